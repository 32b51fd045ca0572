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
//!
//! What goes to another service has no version: to call it v1 would accuse software
//! that has nothing to do with IMDS.

mod path;

use crate::http::RequestHead;
use crate::record::{Imds, ImdsVersion, Operation};
use crate::service::Service;

/// Header that carries the session token.
pub const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// Reason of a v2 request whose token is empty. IMDS answers it with 401; a
/// client sends it when it believes that it has a token and does not.
pub const EMPTY_TOKEN: &str = "empty_token";

/// Classifies a whole request to `service`. Only IMDS has versions and operations.
pub fn classify(head: &RequestHead<'_>, service: &Service) -> Imds {
    let path = path::normalize(head.target);
    let credentials = match service {
        Service::Imds => Some(path::is_credentials(&path)),
        Service::Ecs | Service::Eks => Some(path::is_container_credentials(&path)),
        Service::Other(_) => None,
    };
    if *service != Service::Imds {
        return Imds {
            service: service.to_string(),
            cause: None,
            cause_status: None,
            rejected: false,
            version: ImdsVersion::NotApplicable,
            operation: None,
            reason: None,
            credentials,
        };
    }
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
        service: service.to_string(),
        cause: None,
        cause_status: None,
        rejected: false,
        version,
        operation: Some(operation),
        reason,
        credentials,
    }
}

/// Whether a target opens credentials by itself: whoever knows the id in it may have
/// them, from the ECS agent.
pub fn opens_credentials(target: &[u8]) -> bool {
    let path = path::normalize(target);
    path::is_container_credentials(&path) && path.len() > 2
}

/// Classification of a request that could not be read whole, `reason` saying
/// why. It is never v1: the part that is missing may hold the token. Of another
/// service than IMDS the version is not unknown: it has none.
pub fn unknown(reason: &str, service: &Service) -> Imds {
    Imds {
        service: service.to_string(),
        cause: None,
        cause_status: None,
        rejected: false,
        version: match service {
            Service::Imds => ImdsVersion::Unknown,
            _ => ImdsVersion::NotApplicable,
        },
        operation: None,
        reason: Some(reason.to_owned()),
        credentials: None,
    }
}

#[cfg(test)]
mod tests;
