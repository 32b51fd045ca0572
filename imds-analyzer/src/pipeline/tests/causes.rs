//! Causes in records.

use super::{outcomes::awaiting, *};
use crate::record::Cause;

const PUT: &str = "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";

impl Run {
    /// A token request that is answered so, and a request without a token after it.
    fn get_after_put(put: impl FnOnce(&mut Self), status: u16) -> Request {
        let mut run = awaiting();
        run.send(0, 0, PUT.as_bytes());
        put(&mut run);
        run.send(u32::try_from(PUT.len()).unwrap(), 10, GET.as_bytes());
        run.answer(20, PUT.len() + GET.len(), status, b"");
        let requests = run.requests();
        let get = requests
            .iter()
            .find(|(_, it)| it.http.method.as_deref() == Some("GET"));
        get.unwrap().1.clone()
    }
}

#[test]
fn request_without_a_try_before_it_never_asked() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    run.answer(10, GET.len(), 200, b"");
    let imds = &run.only_request().imds;
    assert_eq!(imds.cause, Some(Cause::NeverAskedForToken));
}

#[test]
fn refused_token_is_the_cause_of_what_follows() {
    let get = Run::get_after_put(|run| run.answer(5, PUT.len(), 403, b""), 200);
    assert_eq!(get.imds.cause, Some(Cause::TokenRefused));
    assert_eq!(get.imds.cause_status, Some(403));
}

#[test]
fn token_that_is_not_used_is_the_cause_of_what_follows() {
    let get = Run::get_after_put(|run| run.answer(5, PUT.len(), 200, b""), 401);
    assert_eq!(get.imds.cause, Some(Cause::TokenNotUsed));
    assert_eq!(get.imds.cause_status, None);
    assert!(get.imds.rejected);
}

#[test]
fn token_that_never_came_is_the_cause_of_what_follows() {
    let mut run = awaiting();
    run.send(0, 0, PUT.as_bytes());
    run.close();
    let other = StreamId {
        opened_ns: STREAM.opened_ns + 1,
        ..STREAM
    };
    let capture::Event::Chunk(get) = chunk(0, 10, Payload::Bytes(GET.into())) else {
        unreachable!("a chunk")
    };
    run.take(capture::Event::Chunk(Chunk {
        stream: other,
        ..get
    }));
    run.expire();
    let get = run.requests()[1].1;
    assert_eq!(get.imds.cause, Some(Cause::TokenUnanswered));
}

#[test]
fn request_with_a_token_has_no_cause() {
    let mut run = awaiting();
    let head = GET.replace("Host", "X-aws-ec2-metadata-token: t\r\nHost");
    run.send(0, 0, head.as_bytes());
    run.answer(5, head.len(), 200, b"");
    assert_eq!(run.only_request().imds.cause, None);
}
