//! Outcomes and causes in records.

use super::*;
use crate::{
    capture::{Received, Response},
    exchange,
    record::{Cause, NoResponse},
};

const PUT: &str = "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";

fn awaiting() -> Run {
    let run = run();
    Run {
        pipeline: run.pipeline.awaiting(exchange::Limits::default()),
        ..run
    }
}

impl Run {
    fn answer(&mut self, acknowledged: usize, code: u16) {
        self.take(capture::Event::Response(Response {
            stream: STREAM,
            time_ns: SENT + 1_000_000,
            acknowledged: u32::try_from(acknowledged).unwrap(),
            what: Received::Status {
                code,
                server: b"EC2ws".to_vec(),
                resynced: false,
            },
        }));
    }

    /// A token request that is answered so, and a request without a token after it.
    fn get_after_put(put: impl FnOnce(&mut Self), status: u16) -> Request {
        let mut run = awaiting();
        run.send(0, 0, PUT.as_bytes());
        put(&mut run);
        run.send(u32::try_from(PUT.len()).unwrap(), 10, GET.as_bytes());
        run.answer(PUT.len() + GET.len(), status);
        let requests = run.requests();
        let get = requests
            .iter()
            .find(|(_, it)| it.http.method.as_deref() == Some("GET"));
        get.unwrap().1.clone()
    }
}

#[test]
fn request_waits_for_its_status() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    assert_eq!(run.requests(), []);
    run.answer(GET.len(), 200);
    let request = run.only_request();
    assert_eq!(request.http.status, Some(200));
    assert_eq!(request.http.server.as_deref(), Some("EC2ws"));
    assert_eq!(request.http.latency_us, Some(1_000));
    assert_eq!(request.imds.cause, Some(Cause::NeverAskedForToken));
    assert!(!request.imds.rejected);
}

#[test]
fn request_without_an_answer_says_so() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    run.close();
    let http = &run.only_request().http;
    assert_eq!(http.no_response, Some(NoResponse::ConnectionClosed));
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    run.expire();
    let http = &run.only_request().http;
    assert_eq!(
        (http.status, http.no_response),
        (None, Some(NoResponse::Deadline))
    );
}

#[test]
fn refused_token_is_the_cause_of_what_follows() {
    let get = Run::get_after_put(|run| run.answer(PUT.len(), 403), 200);
    assert_eq!(get.imds.cause, Some(Cause::TokenRefused));
    assert_eq!(get.imds.cause_status, Some(403));
}

#[test]
fn token_that_is_not_used_is_the_cause_of_what_follows() {
    let get = Run::get_after_put(|run| run.answer(PUT.len(), 200), 401);
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
    run.answer(head.len(), 200);
    assert_eq!(run.only_request().imds.cause, None);
}
