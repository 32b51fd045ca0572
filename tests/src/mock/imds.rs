//! What the mock answers: the IMDS of the EC2 User Guide ("Use the Instance
//! Metadata Service to access instance metadata"), as far as clients look at it.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{access_log::TOKEN_HEADER, documents, head::Head};
use crate::canary;

pub use super::documents::ROLE;

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Longest life of a token in seconds: six hours.
const TTL_LIMIT: u32 = 21_600;

/// How requests for a token are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAnswer {
    /// With a token, as they should.
    #[default]
    Issue,
    /// With this status: 403 as IMDS refuses what a proxy forwarded, 404 or 405 as
    /// something that knows no tokens does.
    Refuse(u16),
    /// Not at all.
    Never,
    /// With a token, in packets whose hop limit is 1, as IMDS does by default: behind a
    /// router they do not arrive.
    WithinOneHop,
}

/// Lets tokens be issued again when dropped.
#[derive(Debug)]
#[must_use = "tokens are issued again when this is dropped"]
pub struct Unanswered<'i> {
    imds: &'i Imds,
}

/// State of a service: which tokens are valid and whether v1 is allowed.
#[derive(Debug, Default)]
pub struct Imds {
    tokens: Mutex<HashSet<Vec<u8>>>,
    issued: AtomicU64,
    v2_only: AtomicBool,
    token_answer: Mutex<TokenAnswer>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Its phrase.
    pub phrase: &'static str,
    /// Fields that only some answers have.
    pub fields: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
    /// It goes no further than to the next router.
    pub one_hop: bool,
}

impl Imds {
    /// Like the instance option `HttpTokens=required`.
    pub fn require_tokens(&self, required: bool) {
        self.v2_only.store(required, Ordering::Relaxed);
    }

    /// Answers requests for tokens in another way until what this returns is dropped.
    pub fn answer_tokens(&self, answer: TokenAnswer) -> Unanswered<'_> {
        *self.token_answer() = answer;
        Unanswered { imds: self }
    }

    fn token_answer(&self) -> MutexGuard<'_, TokenAnswer> {
        self.token_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request; `None` if it is to get no answer.
    pub fn respond(&self, head: &Head) -> Option<Response> {
        let target = String::from_utf8_lossy(&head.target);
        let path = path_of(&target);
        let answer = *self.token_answer();
        Some(match head.method.as_str() {
            "PUT" if path == "/latest/api/token" => match answer {
                TokenAnswer::Issue => self.issue(head),
                TokenAnswer::Refuse(status) => Response::new(status, "Refused", ""),
                TokenAnswer::Never => return None,
                TokenAnswer::WithinOneHop => Response {
                    one_hop: true,
                    ..self.issue(head)
                },
            },
            // Bodies are of no use to IMDS; tests send some to show that they are skipped.
            "GET" | "HEAD" | "PUT" | "POST" => self.read(head, path),
            _ => Response::new(405, "Method Not Allowed", ""),
        })
    }

    fn issue(&self, head: &Head) -> Response {
        if head.field("x-forwarded-for").is_some() {
            return Response::new(403, "Forbidden", "");
        }
        let ttl = head
            .field(TTL_HEADER)
            .and_then(|ttl| std::str::from_utf8(ttl).ok()?.parse::<u32>().ok());
        let Some(ttl) = ttl.filter(|ttl| (1..=TTL_LIMIT).contains(ttl)) else {
            return Response::new(400, "Bad Request", "");
        };
        let mut response = Response::new(200, "OK", &self.new_token());
        // The AWS SDK for Rust takes no token without it.
        response.fields.push((TTL_HEADER, ttl.to_string()));
        response
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
        match documents::at(path) {
            Some(body) => Response::new(200, "OK", &body),
            None => Response::new(404, "Not Found", ""),
        }
    }
}

impl Response {
    /// An answer with no fields of its own.
    pub(super) fn new(status: u16, phrase: &'static str, body: &str) -> Self {
        Self {
            status,
            phrase,
            fields: Vec::new(),
            body: body.to_owned(),
            one_hop: false,
        }
    }

    /// The bytes to send. A HEAD request's body is left out.
    pub fn encode(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\nServer: EC2ws\r\n",
            self.status,
            self.phrase,
            self.body.len(),
        );
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        if !head_only {
            bytes.extend(self.body.as_bytes());
        }
        bytes
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        *self.imds.token_answer() = TokenAnswer::Issue;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::head::{Progress, parse};

    fn ask(imds: &Imds, head: &str) -> Response {
        let Progress::Head(head, _) = parse(head.as_bytes()) else {
            panic!("{head:?} is no head");
        };
        imds.respond(&head).expect("is to be answered")
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
    fn token_tells_its_life_in_the_answer() {
        let answer = ask(
            &Imds::default(),
            "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
        );
        let sent = String::from_utf8(answer.encode(true, false)).expect("is ASCII");
        assert!(sent.contains("\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
        assert!(sent.ends_with(&format!("\r\n\r\n{}", answer.body)));
    }

    #[test]
    fn tokens_are_refused_only_as_long_as_asked() {
        let imds = Imds::default();
        let put =
            "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
        let refused = imds.answer_tokens(TokenAnswer::Refuse(403));
        assert_eq!(ask(&imds, put).status, 403);
        drop(refused);
        assert_eq!(ask(&imds, put).status, 200);
    }

    #[test]
    fn absolute_form_reaches_the_same_path() {
        let imds = Imds::default();
        let get = "GET http://169.254.169.254/latest/meta-data/instance-id?x=1 HTTP/1.1\r\n\r\n";
        assert_eq!(ask(&imds, get).body, "i-1234567890abcdef0");
    }
}
