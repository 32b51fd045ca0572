//! Records that wait for what their requests are answered.

use super::*;
use crate::{
    capture::{Received, Response},
    record::NoResponse,
};

/// A pipeline that sees responses.
pub(super) fn awaiting() -> Run {
    let mut run = run();
    run.pipeline = run.pipeline.awaiting(exchange::Limits::default());
    run
}

impl Run {
    /// A response that came `after_ns` after [`SENT`], when this much had arrived.
    pub(super) fn answer(&mut self, after_ns: u64, acknowledged: usize, code: u16, server: &[u8]) {
        self.take(capture::Event::Response(Response {
            stream: STREAM,
            time_ns: SENT + after_ns,
            acknowledged: acknowledged as u32,
            what: Received::Status {
                code,
                server: server.to_vec(),
                resynced: false,
            },
        }));
    }
}

#[test]
fn record_waits_for_the_status() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    assert_eq!(run.emitted, []);
    assert_eq!(
        run.versions(),
        [0, 0, 0],
        "not counted before it is written"
    );
    run.answer(431_900, GET.len(), 200, b"EC2ws");
    let request = run.only_request();
    assert_eq!(request.http.status, Some(200));
    assert_eq!(request.http.server.as_deref(), Some("EC2ws"));
    assert_eq!(request.http.latency_us, Some(431));
    assert_eq!(request.http.no_response, None);
    assert!(!request.imds.rejected);
    assert_eq!(run.versions(), [1, 0, 0]);
}

#[test]
fn latency_begins_with_the_last_byte() {
    let mut run = awaiting();
    run.send(0, 0, &GET.as_bytes()[..10]);
    run.send(10, 500_000, &GET.as_bytes()[10..]);
    run.answer(900_000, GET.len(), 200, b"");
    let request = run.only_request();
    assert_eq!(request.http.latency_us, Some(400));
    assert_eq!(request.http.server, None);
}

#[test]
fn latency_of_a_request_with_a_body_is_not_known() {
    let mut run = awaiting();
    let head = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n";
    run.send(0, 0, head.as_bytes());
    run.answer(900_000, head.len(), 405, b"");
    let request = run.only_request();
    assert_eq!(
        (request.http.status, request.http.latency_us),
        (Some(405), None)
    );
}

#[test]
fn only_v1_that_is_answered_401_is_rejected() {
    for (head, code, rejected) in [
        (GET.to_owned(), 401, true),
        (GET.to_owned(), 403, false),
        (get_with_token(), 401, false),
        (PUT_TOKEN.to_owned(), 401, false),
    ] {
        let mut run = awaiting();
        run.send(0, 0, head.as_bytes());
        run.answer(1, head.len(), code, b"");
        assert_eq!(run.only_request().imds.rejected, rejected, "{code} {head}");
    }
}

#[test]
fn name_of_the_server_is_escaped_and_free_of_secrets() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    let name = format!("\x1b[31m token={CANARY}");
    run.answer(1, GET.len(), 200, name.as_bytes());
    let server = run.only_request().http.server.clone().expect("a name");
    assert!(server.starts_with("\\x1b[31m"), "{server}");
    assert!(!run.everything().contains(CANARY), "{server}");
}

#[test]
fn close_without_a_status_is_no_response() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    run.close();
    assert_eq!(
        run.only_request().http.no_response,
        Some(NoResponse::ConnectionClosed)
    );
}

#[test]
fn deadline_without_a_status_is_no_response() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    let due = run.pipeline.next_expiry().expect("it waits");
    assert_eq!(due, SENT + exchange::Limits::default().deadline_ns);
    run.expire();
    let http = &run.only_request().http;
    assert_eq!(http.no_response, Some(NoResponse::Deadline));
    assert_eq!(http.status, None);
}

#[test]
fn after_a_loss_the_deadline_proves_nothing() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    run.pipeline.count_loss("ring_full", 1, SENT + 1);
    run.expire();
    let http = &run.only_request().http;
    assert_eq!((http.status, http.no_response), (None, None));
}

#[test]
fn end_of_capture_writes_what_waits_without_an_outcome() {
    let mut run = awaiting();
    run.send(0, 0, GET.as_bytes());
    let mut emit = |time_ns, event| run.emitted.push((time_ns, event));
    run.pipeline.finish(MUCH_LATER, &mut emit);
    let http = &run.only_request().http;
    assert_eq!((http.status, http.no_response), (None, None));
}

#[test]
fn what_was_not_read_whole_waits_for_nothing() {
    let mut run = awaiting();
    run.send(0, 0, b"\x00\x01\x02 hello\r\n\r\n");
    let http = &run.only_request().http;
    assert_eq!((http.status, http.no_response), (None, None));
    run.answer(1, 20, 400, b"");
    assert_eq!(run.requests().len(), 1);
}

#[test]
fn without_responses_nothing_waits() {
    let mut run = run();
    run.send(0, 0, GET.as_bytes());
    run.answer(1, GET.len(), 200, b"");
    let http = &run.only_request().http;
    assert_eq!((http.status, http.no_response), (None, None));
}
