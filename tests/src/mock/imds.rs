//! What the mock answers: the IMDS of the EC2 User Guide ("Use the Instance
//! Metadata Service to access instance metadata"), as far as clients look at it.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{access_log::TOKEN_HEADER, head::Head};
use crate::canary;

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Longest life of a token in seconds: six hours.
const TTL_LIMIT: u32 = 21_600;

/// Name of the role whose credentials are handed out.
pub const ROLE: &str = "imds-tests-role";

/// State of a service: which tokens are valid and whether v1 is allowed.
#[derive(Debug, Default)]
pub struct Imds {
    tokens: Mutex<HashSet<Vec<u8>>>,
    issued: AtomicU64,
    v2_only: AtomicBool,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Its phrase.
    pub phrase: &'static str,
    /// Body.
    pub body: String,
}

impl Imds {
    /// Like the instance option `HttpTokens=required`.
    pub fn require_tokens(&self, required: bool) {
        self.v2_only.store(required, Ordering::Relaxed);
    }

    /// Answers a request.
    pub fn respond(&self, head: &Head) -> Response {
        let target = String::from_utf8_lossy(&head.target);
        let path = path_of(&target);
        match head.method.as_str() {
            "PUT" if path == "/latest/api/token" => self.issue(head),
            // Bodies are of no use to IMDS; tests send some to show that they are skipped.
            "GET" | "HEAD" | "PUT" | "POST" => self.read(head, path),
            _ => Response::new(405, "Method Not Allowed", ""),
        }
    }

    fn issue(&self, head: &Head) -> Response {
        if head.field("x-forwarded-for").is_some() {
            return Response::new(403, "Forbidden", "");
        }
        let ttl = head
            .field(TTL_HEADER)
            .and_then(|ttl| std::str::from_utf8(ttl).ok()?.parse::<u32>().ok());
        if !ttl.is_some_and(|ttl| (1..=TTL_LIMIT).contains(&ttl)) {
            return Response::new(400, "Bad Request", "");
        }
        Response::new(200, "OK", &self.new_token())
    }

    /// A valid token, without a request for it.
    pub fn new_token(&self) -> String {
        let token = canary::token(self.issued.fetch_add(1, Ordering::Relaxed));
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.clone().into_bytes());
        token
    }

    fn read(&self, head: &Head, path: &str) -> Response {
        let allowed = match head.field(TOKEN_HEADER) {
            Some(token) => self
                .tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(token),
            None => !self.v2_only.load(Ordering::Relaxed),
        };
        if !allowed {
            return Response::new(401, "Unauthorized", "");
        }
        let body = match path.trim_end_matches('/') {
            "/latest/meta-data/ami-id" => "ami-0abcdef1234567890".to_owned(),
            "/latest/meta-data/instance-id" => "i-1234567890abcdef0".to_owned(),
            "/latest/meta-data/iam/security-credentials" => ROLE.to_owned(),
            "/latest/meta-data/iam/security-credentials/imds-tests-role" => credentials(),
            _ => "ami-id\nhostname\niam/\ninstance-id\n".to_owned(),
        };
        Response::new(200, "OK", &body)
    }
}

impl Response {
    fn new(status: u16, phrase: &'static str, body: &str) -> Self {
        Self {
            status,
            phrase,
            body: body.to_owned(),
        }
    }

    /// The bytes to send. A HEAD request's body is left out.
    pub fn encode(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\nServer: EC2ws\r\n\r\n",
            self.status,
            self.phrase,
            self.body.len(),
        )
        .into_bytes();
        if !head_only {
            bytes.extend(self.body.as_bytes());
        }
        bytes
    }
}

/// The path of an origin-form or absolute-form target (RFC 9112 3.2).
fn path_of(target: &str) -> &str {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    path.split('?').next().unwrap_or(path)
}

fn credentials() -> String {
    format!(
        "{{\n  \"Code\" : \"Success\",\n  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"{}\",\n  \
         \"SecretAccessKey\" : \"{}\",\n  \"Token\" : \"{}\"\n}}",
        canary::access_key_id(),
        canary::secret_access_key(),
        canary::session_token(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::head::{Progress, parse};

    fn ask(imds: &Imds, head: &str) -> Response {
        let Progress::Head(head, _) = parse(head.as_bytes()) else {
            panic!("{head:?} is no head");
        };
        imds.respond(&head)
    }

    #[test]
    fn token_needs_a_ttl_within_bounds() {
        let imds = Imds::default();
        let put = "PUT /latest/api/token HTTP/1.1\r\n";
        assert_eq!(ask(&imds, &format!("{put}\r\n")).status, 400);
        for (ttl, status) in [("0", 400), ("1", 200), ("21600", 200), ("21601", 400)] {
            let head = format!("{put}X-aws-ec2-metadata-token-ttl-seconds: {ttl}\r\n\r\n");
            assert_eq!(ask(&imds, &head).status, status, "{ttl}");
        }
        let forwarded =
            format!("{put}X-Forwarded-For: a\r\nX-aws-ec2-metadata-token-ttl-seconds: 1\r\n\r\n");
        assert_eq!(ask(&imds, &forwarded).status, 403);
    }

    #[test]
    fn only_tokens_that_were_issued_are_valid() {
        let imds = Imds::default();
        let token = ask(
            &imds,
            "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
        )
        .body;
        let get = |token: &str| {
            format!("GET /latest/meta-data/ HTTP/1.1\r\nX-Aws-Ec2-Metadata-Token: {token}\r\n\r\n")
        };
        assert_eq!(ask(&imds, &get(&token)).status, 200);
        assert_eq!(ask(&imds, &get("made-up")).status, 401);
    }

    #[test]
    fn v1_is_refused_once_tokens_are_required() {
        let imds = Imds::default();
        let get = "GET /latest/meta-data/ HTTP/1.1\r\n\r\n";
        assert_eq!(ask(&imds, get).status, 200);
        imds.require_tokens(true);
        assert_eq!(ask(&imds, get).status, 401);
    }

    #[test]
    fn absolute_form_reaches_the_same_path() {
        let imds = Imds::default();
        let get = "GET http://169.254.169.254/latest/meta-data/instance-id?x=1 HTTP/1.1\r\n\r\n";
        assert_eq!(ask(&imds, get).body, "i-1234567890abcdef0");
    }
}
