//! Events of the kernel side in, events of the log out.

mod causes;
mod outcomes;
mod secrets;
mod services;

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::{
    capture::{Ancestor, Chunk, Destination, MissingCause, StreamId, Task},
    clock::Clock,
    record::{Operation, Request},
};

/// When the first chunk was sent, nanoseconds on the boot-time clock.
const SENT: u64 = 5_000_000_000;

/// Long after every timeout.
const MUCH_LATER: u64 = 500_000_000_000;

/// Stands for every secret. No record may have it.
const CANARY: &str = "c4n4ryV4lue";

const STREAM: StreamId = StreamId {
    socket: 0xffff_8880_0000_0001,
    opened_ns: 4_000_000_000,
};

/// A pipeline, and what it has emitted.
struct Run {
    pipeline: Pipeline,
    emitted: Vec<(u64, Event)>,
    /// What `/proc` and the passwd file are: nothing.
    _root: TempDir,
}

fn run() -> Run {
    let root = tempfile::tempdir().unwrap();
    let attributor = Attributor::new(root.path(), Arc::new(Clock::new()));
    Run {
        pipeline: Pipeline::new(Limits::default(), attributor, Backend::Kprobe),
        emitted: Vec::new(),
        _root: root,
    }
}

impl Run {
    fn take(&mut self, event: capture::Event) {
        let mut emit = |time_ns, event| self.emitted.push((time_ns, event));
        self.pipeline.take(event, SENT, &mut emit);
    }

    /// A chunk that was sent `at_ns` after [`SENT`].
    fn send(&mut self, position: u32, at_ns: u64, bytes: &[u8]) {
        self.take(chunk(position, at_ns, Payload::Bytes(bytes.to_vec())));
    }

    fn close(&mut self) {
        self.take(capture::Event::Closed {
            stream: STREAM,
            time_ns: SENT,
            lost_track: false,
        });
    }

    fn expire(&mut self) {
        let mut emit = |time_ns, event| self.emitted.push((time_ns, event));
        self.pipeline.expire(MUCH_LATER, &mut emit);
    }

    /// The requests that were emitted, each with its time after [`SENT`].
    fn requests(&self) -> Vec<(u64, &Request)> {
        let requests = self.emitted.iter().map(|(time_ns, event)| match event {
            Event::ImdsRequest(request) => (time_ns - SENT, &**request),
            other => panic!("{other:?} is no request"),
        });
        requests.collect()
    }

    fn only_request(&self) -> &Request {
        match self.requests()[..] {
            [(_, request)] => request,
            ref requests => panic!("{} requests", requests.len()),
        }
    }

    fn versions(&self) -> [u64; 3] {
        let requests = self.pipeline.counters().requests;
        [requests.v1, requests.v2, requests.unknown]
    }

    /// All that was emitted, as it is written and as it is debugged.
    fn everything(&self) -> String {
        let events = self.emitted.iter();
        events
            .map(|(_, event)| format!("{event:?}{}", serde_json::to_string(event).unwrap()))
            .collect()
    }
}

fn task() -> Task {
    Task {
        tgid: 7,
        tid: 8,
        start_boottime_ns: 3_000_000_000,
        exec_id: 1,
        uid: 1000,
        gid: 1000,
        thread_name: b"worker".to_vec(),
        process_name: b"curl".to_vec(),
    }
}

fn chunk(position: u32, at_ns: u64, payload: Payload) -> capture::Event {
    capture::Event::Chunk(Chunk {
        stream: STREAM,
        time_ns: SENT + at_ns,
        position,
        started_mid_stream: false,
        position_uncertain: false,
        payload,
        task: task(),
        netns: 4_026_531_840,
        destination: Destination {
            ip: [169, 254, 169, 254].into(),
            port: 80,
        },
    })
}

fn missing(position: u32, len: u32) -> capture::Event {
    let cause = MissingCause::Unreadable;
    chunk(position, 0, Payload::Missing { len, cause })
}

const GET: &str =
    "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: curl/8.5.0\r\n\r\n";

fn get_with_token() -> String {
    format!("GET /latest/meta-data/ HTTP/1.1\r\nX-aws-ec2-metadata-token: {CANARY}\r\n\r\n")
}

const PUT_TOKEN: &str =
    "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";

#[test]
fn get_without_a_token_is_v1_and_all_of_it_is_told() {
    let mut run = run();
    run.send(0, 5, GET.as_bytes());
    let [(time, request)] = run.requests()[..] else {
        panic!("not one request");
    };
    assert_eq!(time, 5);
    assert_eq!(request.imds.version, ImdsVersion::V1);
    assert_eq!(request.imds.operation, Some(Operation::Metadata));
    assert_eq!(
        (request.imds.reason.as_ref(), request.imds.credentials),
        (None, Some(false))
    );
    assert_eq!(request.http.method.as_deref(), Some("GET"));
    assert_eq!(request.http.path.as_deref(), Some("/latest/meta-data/"));
    assert_eq!(request.http.host.as_deref(), Some("169.254.169.254"));
    assert_eq!(request.http.user_agent.as_deref(), Some("curl/8.5.0"));
    assert_eq!(request.destination.ip.to_string(), "169.254.169.254");
    assert_eq!(request.destination.port, 80);
    assert_eq!(request.capture.backend, "kprobe");
    assert_eq!(request.capture.netns, 4_026_531_840);
    assert_eq!(request.capture.bytes, GET.len() as u64);
    assert!(!request.capture.truncated);
    let process = request.process.as_ref().expect("a sender");
    assert_eq!(
        (process.pid, process.tid, process.name.as_str()),
        (7, 8, "curl")
    );
    assert_eq!(process.thread_name.as_deref(), Some("worker"));
    assert_eq!(
        (process.user.id, request.lineage.as_deref()),
        (1000, Some("curl"))
    );
}

#[test]
fn token_header_split_anywhere_over_two_chunks_is_v2() {
    let head = get_with_token();
    for cut in 1..head.len() {
        let mut run = run();
        run.send(0, 0, &head.as_bytes()[..cut]);
        assert_eq!(run.emitted, [], "cut at {cut}");
        run.send(cut as u32, 9, &head.as_bytes()[cut..]);
        assert_eq!(
            run.only_request().imds.version,
            ImdsVersion::V2,
            "cut at {cut}"
        );
        assert_eq!(run.requests()[0].0, 0, "the time of its first byte");
        assert!(!run.everything().contains(CANARY), "cut at {cut}");
    }
}

#[test]
fn put_for_a_token_is_v2() {
    let mut run = run();
    run.send(0, 0, PUT_TOKEN.as_bytes());
    let imds = &run.only_request().imds;
    assert_eq!(
        (imds.version, imds.operation),
        (ImdsVersion::V2, Some(Operation::Token))
    );
}

#[test]
fn pipelined_requests_come_in_order_each_with_the_time_of_its_first_byte() {
    let mut run = run();
    let heads = [GET.to_owned(), PUT_TOKEN.to_owned(), get_with_token()].concat();
    // The first and the beginning of the second; the rest of it; the third.
    let cuts = [0, GET.len() + 3, GET.len() + PUT_TOKEN.len(), heads.len()];
    for (at, window) in cuts.windows(2).enumerate() {
        let bytes = &heads.as_bytes()[window[0]..window[1]];
        run.send(window[0] as u32, 10 * at as u64, bytes);
    }
    let told: Vec<_> = run
        .requests()
        .iter()
        .map(|(time, it)| (*time, it.imds.version, it.http.method.as_deref()))
        .collect();
    let expected = [
        (0, ImdsVersion::V1, Some("GET")),
        (0, ImdsVersion::V2, Some("PUT")),
        (20, ImdsVersion::V2, Some("GET")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn three_requests_in_one_chunk_are_three_events() {
    let mut run = run();
    run.send(0, 0, GET.repeat(3).as_bytes());
    assert_eq!(run.requests().len(), 3);
    assert_eq!(run.versions(), [3, 0, 0]);
}

#[test]
fn head_that_is_cut_off_by_the_close_is_unknown_wherever() {
    for cut in 1..GET.len() {
        let mut run = run();
        run.send(0, 0, &GET.as_bytes()[..cut]);
        run.close();
        let imds = &run.only_request().imds;
        assert_eq!(imds.version, ImdsVersion::Unknown, "cut at {cut}");
        assert_eq!(
            imds.reason.as_deref(),
            Some("incomplete_head"),
            "cut at {cut}"
        );
        assert_eq!(
            (imds.operation, imds.credentials),
            (None, None),
            "cut at {cut}"
        );
    }
}

#[test]
fn head_that_is_cut_off_shows_what_was_read_of_it() {
    let mut run = run();
    run.send(
        0,
        0,
        b"GET /latest/user-data HTTP/1.1\r\nHost: imds\r\nUser-Ag",
    );
    run.close();
    let http = &run.only_request().http;
    assert_eq!(http.path.as_deref(), Some("/latest/user-data"));
    assert_eq!(http.host.as_deref(), Some("imds"));
    assert_eq!(http.user_agent, None);
}

#[test]
fn missing_bytes_are_unknown_once_nobody_delivers_them() {
    let mut run = run();
    let cut = 40;
    run.send(0, 0, &GET.as_bytes()[..cut]);
    run.take(missing(cut as u32, 10));
    run.send(cut as u32 + 10, 0, &GET.as_bytes()[cut + 10..]);
    assert_eq!(run.emitted, []);
    let due = run
        .pipeline
        .next_expiry()
        .expect("it does not wait for ever");
    assert!((SENT..MUCH_LATER).contains(&due));
    run.expire();
    let request = run.only_request();
    assert_eq!(request.imds.version, ImdsVersion::Unknown);
    assert_eq!(request.imds.reason.as_deref(), Some("bytes_missing"));
    assert!(request.capture.truncated);
    assert_eq!(run.pipeline.next_expiry(), None);
}

#[test]
fn missing_bytes_that_another_source_delivers_are_not_missed() {
    let mut run = run();
    run.take(missing(0, GET.len() as u32));
    run.send(0, 0, GET.as_bytes());
    assert_eq!(run.only_request().imds.version, ImdsVersion::V1);
}

#[test]
fn what_is_not_http_is_unknown() {
    let mut run = run();
    run.send(
        0,
        0,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    );
    run.close();
    assert_eq!(run.only_request().imds.reason.as_deref(), Some("not_http"));
    assert_eq!(run.only_request().http, record::Http::default());
}

#[test]
fn end_of_capture_tells_what_is_unfinished() {
    let mut run = run();
    run.send(0, 0, &GET.as_bytes()[..20]);
    let mut emit = |time_ns, event| run.emitted.push((time_ns, event));
    run.pipeline.finish(SENT, &mut emit);
    assert_eq!(
        run.only_request().imds.reason.as_deref(),
        Some("incomplete_head")
    );
}

#[test]
fn requests_are_counted_by_version() {
    let mut run = run();
    assert_eq!(run.versions(), [0, 0, 0]);
    run.send(0, 0, GET.as_bytes());
    assert_eq!(run.versions(), [1, 0, 0]);
    run.send(GET.len() as u32, 0, PUT_TOKEN.as_bytes());
    assert_eq!(run.versions(), [1, 1, 0]);
    run.send((GET.len() + PUT_TOKEN.len()) as u32, 0, b"GET /");
    run.close();
    assert_eq!(run.versions(), [1, 1, 1]);
}

#[test]
fn chunks_and_their_bytes_are_counted() {
    let mut run = run();
    run.send(0, 0, b"GET /");
    run.take(missing(5, 100));
    let counters = run.pipeline.counters();
    assert_eq!((counters.chunks, counters.bytes), (2, 5));
}

#[test]
fn losses_are_counted_by_cause() {
    let mut run = run();
    run.pipeline.count_loss("ring_full", 2, SENT);
    run.pipeline.count_loss("unreadable", 1, SENT);
    run.pipeline.count_loss("ring_full", 5, SENT);
    run.pipeline.count_malformed();
    run.pipeline.count_malformed();
    let lost = run.pipeline.counters().lost;
    let lost: Vec<_> = lost
        .iter()
        .map(|(cause, total)| (&**cause, *total))
        .collect();
    assert_eq!(
        lost,
        [("malformed", 2), ("ring_full", 5), ("unreadable", 1)]
    );
}

#[test]
fn what_reassembly_did_is_counted() {
    let mut run = run();
    run.send(0, 0, GET.as_bytes());
    run.send(0, 0, GET.as_bytes());
    assert_eq!(run.pipeline.counters().reassembly.duplicate_chunks, 1);
    // Neither http nor a boundary: passed over.
    run.send(GET.len() as u32, 0, &[0; 64]);
    run.send(GET.len() as u32 + 64, 0, &[0; 64]);
    run.close();
    assert!(run.pipeline.counters().reassembly.skipped_bytes > 0);
}

#[test]
fn sender_is_told_with_what_the_kernel_side_said_of_it() {
    let mut run = run();
    run.take(capture::Event::Arguments {
        task: task(),
        args: vec![b"curl".to_vec(), b"-s".to_vec()],
        truncated: false,
        at_exec: false,
    });
    let ancestors = [(5, "backup.sh"), (1, "systemd")].map(|(tgid, name)| Ancestor {
        tgid,
        start_boottime_ns: 1,
        exec_id: 1,
        file: None,
        uid: 0,
        name: name.into(),
    });
    run.take(capture::Event::Ancestors {
        task: task(),
        ancestors: ancestors.to_vec(),
        truncated: true,
    });
    assert_eq!(run.emitted, []);
    run.send(0, 0, GET.as_bytes());
    let request = run.only_request();
    assert_eq!(
        request.process.as_ref().expect("a sender").args.as_deref(),
        Some(&["curl", "-s"].map(str::to_owned)[..])
    );
    assert_eq!(
        request.lineage.as_deref(),
        Some("curl < backup.sh < systemd")
    );
    let pids: Vec<u32> = request.ancestors.iter().map(|it| it.pid).collect();
    assert_eq!(pids, [5, 1]);
    assert!(request.ancestors_truncated);
}

#[test]
fn sender_that_the_kernel_could_not_tell_is_absent() {
    let mut run = run();
    let mut event = chunk(0, 0, Payload::Bytes(GET.as_bytes().to_vec()));
    if let capture::Event::Chunk(chunk) = &mut event {
        chunk.task.tgid = 0;
    }
    run.take(event);
    let request = run.only_request();
    assert_eq!((&request.process, &request.lineage), (&None, &None));
    assert!(request.ancestors.is_empty());
}
