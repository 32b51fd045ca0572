//! Which version of the instance metadata protocol a request used.
//!
//! Decided by the names of a request's headers, its method and its target, as
//! parsed; never by searching bytes, so a URL that contains a header's name is
//! still a request without a token. Source: "Use the Instance Metadata Service
//! to access instance metadata", Amazon EC2 User Guide.
//!
//! | request | version | operation |
//! |---|---|---|
//! | `PUT` to the token path, see `path` | v2 | token |
//! | any other with the token header, its value empty or not | v2 | metadata |
//! | any other without it (a TTL header alone does not count) | v1 | metadata |

mod path;

use crate::http::RequestHead;
use crate::record::{Imds, ImdsVersion, Operation};

/// Header that carries the session token.
pub const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// Reason of a v2 request whose token is empty. IMDS answers it with 401; a
/// client sends it when it believes that it has a token and does not.
pub const EMPTY_TOKEN: &str = "empty_token";

/// Classifies a whole request.
pub fn classify(head: &RequestHead<'_>) -> Imds {
    let path = path::normalize(head.target);
    let mut tokens = head.values(TOKEN_HEADER).peekable();
    let (version, operation, reason) = if head.method == "PUT" && path::is_token(&path) {
        (ImdsVersion::V2, Operation::Token, None)
    } else if tokens.peek().is_some() {
        let reason = tokens.all(<[u8]>::is_empty).then(|| EMPTY_TOKEN.to_owned());
        (ImdsVersion::V2, Operation::Metadata, reason)
    } else {
        (ImdsVersion::V1, Operation::Metadata, None)
    };
    Imds {
        version,
        operation: Some(operation),
        reason,
        credentials: Some(path::is_credentials(&path)),
    }
}

/// Classification of a request that could not be read whole, `reason` saying
/// why. It is never v1: the part that is missing may hold the token.
pub fn unknown(reason: &str) -> Imds {
    Imds {
        version: ImdsVersion::Unknown,
        operation: None,
        reason: Some(reason.to_owned()),
        credentials: None,
    }
}

#[cfg(test)]
mod tests;
