use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::capture::{Destination, MissingCause, Payload, Task};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const STREAM: StreamId = StreamId {
    socket: 1,
    opened_ns: 1,
};
const GET: &[u8] = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: h\r\n\r\n";
/// An idle stream is small.
const _: () = assert!(Reassembler::IDLE_STREAM_BYTES <= 160);
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\n\r\n";

pub(super) fn task(tgid: u32) -> Task {
    Task {
        tgid,
        tid: tgid,
        start_boottime_ns: 0,
        uid: 0,
        gid: 0,
        thread_name: b"t".to_vec(),
        process_name: b"p".to_vec(),
    }
}

pub(super) fn chunk(position: u32, bytes: &[u8]) -> Chunk {
    Chunk {
        stream: STREAM,
        time_ns: SECOND,
        position,
        started_mid_stream: false,
        position_uncertain: false,
        payload: Payload::Bytes(bytes.to_vec()),
        task: task(1),
        netns: 7,
        destination: Destination {
            ip: IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
            port: 80,
        },
    }
}

pub(super) fn missing(position: u32, len: u32) -> Chunk {
    let cause = MissingCause::Unreadable;
    Chunk {
        payload: Payload::Missing { len, cause },
        ..chunk(position, b"")
    }
}

/// A reassembler and what came out of it.
pub(super) struct Bench {
    pub(super) reassembler: Reassembler,
    pub(super) out: Vec<Captured>,
    end: u32,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        Self {
            reassembler: Reassembler::new(limits),
            out: Vec::new(),
            end: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) -> &mut Self {
        self.end = chunk.position.wrapping_add(chunk.payload.len());
        self.reassembler.push(chunk, &mut self.out);
        self
    }

    /// Sends bytes behind the chunk that was sent last.
    fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.push(chunk(self.end, bytes))
    }

    fn skip(&mut self, len: u32) -> &mut Self {
        self.push(missing(self.end, len))
    }

    fn close(&mut self) -> &mut Self {
        self.reassembler.close(STREAM, 2 * SECOND, &mut self.out);
        self
    }

    fn expire(&mut self, now_ns: u64) -> &mut Self {
        self.reassembler.expire(now_ns, &mut self.out);
        self
    }

    /// What came out since the last call, one word each: the request's target,
    /// or the reason it is broken.
    fn take(&mut self) -> Vec<String> {
        self.out
            .drain(..)
            .map(|captured| summary(&captured))
            .collect()
    }

    fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(self.take(), expected);
        self
    }
}

fn summary(captured: &Captured) -> String {
    match &captured.head {
        Head::Complete(head) => {
            let head = crate::http::RequestHead::parse(head).expect("a well-formed head");
            String::from_utf8_lossy(head.target).into_owned()
        }
        Head::Broken { reason, .. } => reason.as_str().to_owned(),
    }
}

#[test]
fn whole_head_in_one_chunk_is_a_request() {
    let mut bench = Bench::new();
    bench.send(GET);
    let captured = bench.out.pop().unwrap();
    assert_eq!(captured.head, Head::Complete(GET.to_vec()));
    assert_eq!((captured.stream, captured.time_ns), (STREAM, SECOND));
    assert_eq!(
        (captured.bytes, captured.truncated),
        (GET.len() as u64, false)
    );
    assert_eq!((captured.task.tgid, captured.netns), (1, 7));
    assert_eq!(captured.destination.port, 80);
    assert_eq!(
        (
            bench.reassembler.buffered(),
            bench.reassembler.next_expiry()
        ),
        (0, None)
    );
}

#[test]
fn head_sent_a_byte_at_a_time_is_one_request() {
    let mut bench = Bench::new();
    for byte in GET {
        bench.expect(&[]).send(&[*byte]);
    }
    assert_eq!(bench.out[0].head, Head::Complete(GET.to_vec()));
    assert_eq!(bench.reassembler.buffered(), 0);
}

#[test]
fn pipelined_requests_are_told_apart_across_chunks() {
    let all = [GET, NEXT, b"GET /3 HTTP/1.1\r\n\r\n"].concat();
    for cut in 0..all.len() {
        let mut bench = Bench::new();
        bench.send(&all[..cut]).send(&all[cut..]);
        bench.expect(&["/latest/meta-data/", "/next", "/3"]);
    }
}

#[test]
fn request_is_its_first_byte_s_senders() {
    let mut bench = Bench::new();
    let first = Chunk {
        time_ns: 5,
        task: task(5),
        ..chunk(0, &GET[..3])
    };
    let rest = [&GET[3..], NEXT].concat();
    bench.push(first).push(Chunk {
        time_ns: 6,
        task: task(6),
        ..chunk(3, &rest)
    });
    let senders: Vec<_> = bench.out.iter().map(|c| (c.time_ns, c.task.tgid)).collect();
    assert_eq!(senders, [(5, 5), (6, 6)]);
}

#[test]
fn chunks_in_any_order_and_twice_are_counted_once() {
    let mut bench = Bench::new();
    bench
        .push(chunk(10, &GET[10..20]))
        .push(chunk(20, &GET[20..]))
        .expect(&[]);
    bench
        .push(chunk(5, &GET[5..12]))
        .push(chunk(0, &GET[..8]))
        .expect(&["/latest/meta-data/"]);
    bench
        .push(chunk(0, GET))
        .push(chunk(7, &GET[7..]))
        .close()
        .expect(&[]);
    assert_eq!(bench.reassembler.counters().duplicate_chunks, 2);
}

#[test]
fn bytes_that_arrive_first_win() {
    let mut bench = Bench::new();
    bench.push(chunk(4, b"/first HTTP/1.1\r\n\r\n"));
    bench.push(chunk(0, b"GET /other HTTP/1.1\r\n\r\n"));
    bench.expect(&["/first"]);
}

#[test]
fn positions_wrap() {
    let mut bench = Bench::new();
    bench.send(b"POST /1 HTTP/1.1\r\nContent-Length: 4294967290\r\n\r\n");
    bench
        .skip(2_000_000_000)
        .skip(2_000_000_000)
        .skip(294_967_290);
    bench.send(NEXT).expect(&["/1", "/next"]);
    assert!(bench.end < 100, "the position has wrapped");
}

#[test]
fn bodies_are_passed_over() {
    let mut bench = Bench::new();
    bench.send(b"PUT /1 HTTP/1.1\r\nContent-Length: 30\r\nExpect: 100-continue\r\n\r\n");
    bench
        .send(b"GET /body HTTP/1.1\r\n\r\n")
        .send(b"abcdefgh")
        .send(NEXT);
    bench.send(b"POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n16\r\nGET /body ");
    bench
        .send(b"HTTP/1.1\r\n\r\n\r\n0\r\nA: b\r\n")
        .send(b"\r\nGET /3 HTTP/1.1\r\n\r\n");
    bench.close().expect(&["/1", "/next", "/2", "/3"]);
}

#[test]
fn bytes_missing_within_a_body_do_not_matter() {
    let mut bench = Bench::new();
    bench
        .send(b"PUT /1 HTTP/1.1\r\nContent-Length: 30\r\n\r\nabc")
        .skip(20)
        .send(b"defghij");
    bench.send(NEXT).expect(&["/1", "/next"]);
    bench
        .send(b"PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n")
        .skip(30);
    bench
        .send(b"\r\n0\r\n\r\n")
        .send(NEXT)
        .close()
        .expect(&["/2", "/next"]);
}

#[test]
fn lost_chunk_within_a_body_does_not_matter() {
    let mut bench = Bench::new();
    let head = b"PUT /1 HTTP/1.1\r\nContent-Length: 30\r\n\r\n";
    bench.send(head).push(chunk(head.len() as u32 + 30, NEXT));
    bench.expect(&["/1", "/next"]);
}

#[test]
fn gap_that_reaches_over_the_end_of_a_body_loses_what_follows() {
    let mut bench = Bench::new();
    bench
        .send(b"PUT /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        .skip(10)
        .send(NEXT);
    bench
        .expect(&["/1"])
        .expire(10 * SECOND)
        .expect(&["bytes_missing", "bytes_missing"]);
    bench.send(GET).expect(&["/latest/meta-data/"]);
}

#[test]
fn gap_in_the_lines_between_chunks_loses_what_follows() {
    let mut bench = Bench::new();
    bench
        .send(b"PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .skip(10)
        .send(b"\r\n");
    bench.close().expect(&["/1", "bytes_missing"]);
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    let mut bench = Bench::new();
    bench
        .send(b"\r\n")
        .send(b"\n\r")
        .send(b"\n")
        .send(b"\r\nGET /1 HTTP/1.1\r\n\r\n\r\n");
    bench.send(NEXT).close().expect(&["/1", "/next"]);
    assert_eq!(bench.reassembler.buffered(), 0);
}

#[test]
fn bare_line_feeds_end_a_head() {
    let mut bench = Bench::new();
    bench
        .send(b"GET /1 HTTP/1.1\nHost: h\n")
        .send(b"\nGET /2 HTTP/1.1\n\n");
    bench.expect(&["/1", "/2"]);
}

#[test]
fn missing_bytes_in_a_head_are_unknown_once_nothing_fills_them() {
    let mut bench = Bench::new();
    bench.send(&GET[..20]).skip(10);
    assert_eq!(bench.reassembler.next_expiry(), Some(3 * SECOND));
    bench.expire(3 * SECOND - 1).expect(&[]).expire(3 * SECOND);
    let captured = bench.out[0].clone();
    let (reason, prefix) = (Reason::BytesMissing, GET[..20].to_vec());
    assert_eq!(captured.head, Head::Broken { reason, prefix });
    assert_eq!((captured.bytes, captured.truncated), (20, true));
    bench
        .expect(&["bytes_missing"])
        .send(b"x: y\r\n\r\n")
        .close()
        .expect(&[]);
}

#[test]
fn missing_bytes_are_filled_by_another_source() {
    let mut bench = Bench::new();
    bench.push(missing(0, GET.len() as u32)).expect(&[]);
    bench
        .push(chunk(0, GET))
        .close()
        .expect(&["/latest/meta-data/"]);
}

#[test]
fn missing_request_names_its_sender() {
    let mut bench = Bench::new();
    bench
        .push(Chunk {
            task: task(9),
            ..missing(0, 50)
        })
        .close();
    assert_eq!(bench.out[0].task.tgid, 9);
    bench.expect(&["bytes_missing"]);
}

#[test]
fn close_reads_what_lies_behind_a_gap() {
    let mut bench = Bench::new();
    bench.skip(50).send(NEXT).send(GET).close();
    bench.expect(&["bytes_missing", "bytes_missing", "/latest/meta-data/"]);
}

#[test]
fn lost_stream_is_taken_up_at_a_chunk_that_begins_with_a_request_line() {
    let mut bench = Bench::new();
    bench
        .skip(5)
        .send(b"tail\r\n\r\nGET /inside HTTP/1.1\r\n\r\n")
        .expire(10 * SECOND);
    bench
        .send(b" GET / HTTP/1.1\r\n\r\n")
        .send(b"GET / HTT")
        .expect(&["bytes_missing"]);
    bench
        .send(b"GET /suspect HTTP/1.1\r\nContent-Length: 3\r\n")
        .send(b"\r\nabc");
    let Head::Broken { prefix, .. } = &bench.out[0].head else {
        panic!("certain")
    };
    let head = crate::http::RequestHead::parse_prefix(prefix).unwrap();
    assert_eq!(head.target, b"/suspect");
    bench
        .expect(&["bytes_missing"])
        .send(NEXT)
        .expect(&["/next"]);
    assert!(bench.reassembler.counters().skipped_bytes > 0);
}

#[test]
fn cut_off_head_is_incomplete() {
    let mut bench = Bench::new();
    bench.send(&GET[..GET.len() - 1]).close();
    assert!(bench.out[0].truncated);
    bench.expect(&["incomplete_head"]);
}

#[test]
fn head_that_waits_too_long_is_incomplete_and_its_rest_is_no_request() {
    let mut bench = Bench::new();
    bench.send(&GET[..20]);
    let due = SECOND + 120 * SECOND;
    assert_eq!(bench.reassembler.next_expiry(), Some(due));
    bench
        .expire(due - 1)
        .expect(&[])
        .expire(due)
        .expect(&["incomplete_head"]);
    bench.send(&GET[20..]).expect(&[]);
    bench
        .send(NEXT)
        .send(GET)
        .expect(&["incomplete_head", "/latest/meta-data/"]);
}

#[test]
fn every_byte_puts_the_idle_deadline_off() {
    let mut bench = Bench::new();
    bench.send(&GET[..3]);
    bench.push(Chunk {
        time_ns: 100 * SECOND,
        ..chunk(3, &GET[3..5])
    });
    bench.expire(200 * SECOND).expect(&[]);
    assert_eq!(bench.reassembler.next_expiry(), Some(220 * SECOND));
}

#[test]
fn idle_stream_goes_on_where_it_stood() {
    let mut bench = Bench::new();
    bench
        .send(GET)
        .expire(u64::MAX)
        .send(NEXT)
        .expect(&["/latest/meta-data/", "/next"]);
    assert_eq!(bench.reassembler.streams(), 1);
}

#[test]
fn bytes_that_are_not_http_are_unknown_once() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"\0",
        b"HELO x\r\n",
        b"GET /\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        b"\rGET / HTTP/1.1\r\n\r\n",
    ] {
        let mut bench = Bench::new();
        bench
            .send(bytes)
            .send(b"more")
            .send(bytes)
            .close()
            .expect(&["not_http"]);
        let mut bench = Bench::new();
        for byte in bytes {
            bench.send(&[*byte]);
        }
        bench.close().expect(&["not_http"]);
    }
}

#[test]
fn malformed_header_line_is_unknown() {
    let head = b"GET / HTTP/1.1\r\nX-aws-ec2-metadata-token : T\r\n\r\n";
    let mut bench = Bench::new();
    bench.send(head);
    let (reason, prefix) = (Reason::MalformedHead, head.to_vec());
    assert_eq!(bench.out[0].head, Head::Broken { reason, prefix });
    assert!(!bench.out[0].truncated);
    bench
        .expect(&["malformed_head"])
        .send(head)
        .expect(&["malformed_head"]);
}

#[test]
fn head_of_the_longest_length_is_read_and_a_longer_one_is_not() {
    let max_head = MIN_MAX_HEAD;
    let limits = Limits {
        max_head: 0,
        ..Limits::default()
    };
    let fixed = "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
    for (len, expected) in [(max_head, "/"), (max_head + 1, "head_too_large")] {
        let value = "v".repeat(len - fixed);
        let head = format!("GET / HTTP/1.1\r\nX: {value}\r\n\r\n");
        for part in [1, 1000, head.len()] {
            let mut bench = Bench::with(limits.clone());
            head.as_bytes().chunks(part).for_each(|bytes| {
                bench.send(bytes);
            });
            assert!(bench.out[0].bytes <= max_head as u64);
            bench.expect(&[expected]);
            assert_eq!(bench.reassembler.buffered(), 0);
        }
    }
}

#[test]
fn first_request_of_a_stream_older_than_the_capture_is_unknown() {
    let mut bench = Bench::new();
    bench.push(Chunk {
        started_mid_stream: true,
        ..chunk(0, GET)
    });
    let (reason, prefix) = (Reason::StartedMidStream, GET.to_vec());
    assert_eq!(bench.out[0].head, Head::Broken { reason, prefix });
    bench
        .expect(&["started_mid_stream"])
        .send(NEXT)
        .expect(&["/next"]);
}

#[test]
fn stream_that_starts_within_a_request_is_unknown_until_a_boundary_is_certain() {
    let mut bench = Bench::new();
    bench.push(Chunk {
        started_mid_stream: true,
        ..chunk(0, b"token: T\r\n")
    });
    assert_eq!(
        bench.out[0].bytes, 0,
        "nothing of an unknown part is given away"
    );
    bench.send(b"\r\n").send(NEXT).send(GET);
    bench.expect(&[
        "started_mid_stream",
        "started_mid_stream",
        "/latest/meta-data/",
    ]);
}

#[test]
fn stream_older_than_the_capture_that_sends_nothing_is_no_record() {
    let mut bench = Bench::new();
    bench
        .push(Chunk {
            started_mid_stream: true,
            ..chunk(0, b"")
        })
        .close()
        .expect(&[]);
}

#[test]
fn uncertain_positions_are_unknown() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.push(Chunk {
            position_uncertain: true,
            ..chunk(0, GET)
        });
    }
    bench
        .push(chunk(2 * GET.len() as u32, NEXT))
        .expect(&[])
        .close();
    bench.expect(&["concurrent_senders", "concurrent_senders"]);
}

#[test]
fn certain_bytes_replace_uncertain_ones() {
    let both = [GET, NEXT].concat();
    let uncertain = || Chunk {
        position_uncertain: true,
        ..chunk(0, NEXT)
    };
    let mut bench = Bench::new();
    bench
        .push(uncertain())
        .push(chunk(0, &both))
        .close()
        .expect(&["/latest/meta-data/", "/next"]);
    let mut bench = Bench::new();
    bench
        .push(chunk(0, &both))
        .push(uncertain())
        .close()
        .expect(&["/latest/meta-data/", "/next"]);
    let mut bench = Bench::new();
    bench.push(chunk(9, &both[9..])).push(Chunk {
        position: 20,
        ..uncertain()
    });
    bench
        .push(chunk(0, &both))
        .close()
        .expect(&["/latest/meta-data/", "/next"]);
}

#[test]
fn uncertain_bytes_are_not_taken_for_a_body() {
    let mut bench = Bench::new();
    bench.send(b"PUT /1 HTTP/1.1\r\nContent-Length: 500\r\n\r\n");
    bench.push(Chunk {
        position_uncertain: true,
        ..chunk(bench.end, GET)
    });
    bench
        .expire(10 * SECOND)
        .expect(&["/1", "concurrent_senders"]);
}

#[test]
fn behind_an_ambiguous_body_all_is_unknown_once_and_for_good() {
    let smuggling = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Transfer-Encoding: x\r\n",
    ];
    for fields in smuggling {
        let mut bench = Bench::new();
        bench
            .send(format!("POST /1 HTTP/1.1\r\n{fields}\r\n").as_bytes())
            .expect(&["/1"]);
        bench
            .send(NEXT)
            .send(NEXT)
            .close()
            .expect(&["ambiguous_framing"]);
        let mut bench = Bench::new();
        bench
            .send(format!("POST /1 HTTP/1.1\r\n{fields}\r\n").as_bytes())
            .close()
            .expect(&["/1"]);
    }
}

#[test]
fn invalid_chunks_make_what_follows_ambiguous() {
    let mut bench = Bench::new();
    bench
        .send(b"POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        .send(NEXT);
    bench.close().expect(&["/1", "ambiguous_framing"]);
}

#[test]
fn gap_does_not_end_an_ambiguous_region() {
    let mut bench = Bench::new();
    bench
        .send(b"POST /1 HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        .skip(5)
        .send(NEXT)
        .send(NEXT);
    bench
        .expire(u64::MAX)
        .close()
        .expect(&["/1", "ambiguous_framing"]);
}

#[test]
fn streams_do_not_mix() {
    let mut bench = Bench::new();
    let other = StreamId {
        socket: STREAM.socket,
        opened_ns: 2,
    };
    let on_other = |position, bytes| Chunk {
        stream: other,
        ..chunk(position, bytes)
    };
    bench
        .push(chunk(0, &GET[..30]))
        .push(on_other(0, &NEXT[..9]));
    bench
        .push(on_other(9, &NEXT[9..]))
        .push(chunk(30, &GET[30..]));
    bench.expect(&["/next", "/latest/meta-data/"]);
}

#[test]
fn chunk_behind_its_streams_close_is_neither_lost_nor_counted_twice() {
    let mut bench = Bench::new();
    bench.send(GET).close().expect(&["/latest/meta-data/"]);
    bench.push(chunk(0, GET)).expect(&[]);
    bench.push(chunk(GET.len() as u32, NEXT)).expect(&["/next"]);
    assert_eq!(bench.reassembler.streams(), 0);
}

#[test]
fn closed_streams_are_remembered_up_to_a_bound() {
    let mut bench = Bench::new();
    for socket in 0..3 * MAX_CLOSED as u64 {
        let stream = StreamId {
            socket,
            opened_ns: 0,
        };
        bench.push(Chunk {
            stream,
            ..chunk(0, GET)
        });
        bench.reassembler.close(stream, 0, &mut bench.out);
    }
    assert_eq!(bench.reassembler.closed.len(), MAX_CLOSED);
    assert_eq!(bench.reassembler.closed_order.len(), MAX_CLOSED);
}

#[test]
fn quietest_stream_is_forgotten_first_and_counted() {
    let mut bench = Bench::with(Limits {
        max_streams: 2,
        ..Limits::default()
    });
    let on = |socket, position, bytes: &[u8]| {
        let stream = StreamId {
            socket,
            opened_ns: 0,
        };
        Chunk {
            stream,
            ..chunk(position, bytes)
        }
    };
    bench
        .push(on(1, 0, GET))
        .push(on(2, 0, &GET[..9]))
        .push(on(1, GET.len() as u32, NEXT));
    bench.expect(&["/latest/meta-data/", "/next"]);
    bench
        .push(on(3, 0, GET))
        .expect(&["too_many_streams", "/latest/meta-data/"]);
    bench.push(on(4, 0, NEXT)).expect(&["/next"]);
    assert_eq!(bench.reassembler.counters().forgotten_streams, 2);
    let position = (GET.len() + NEXT.len()) as u32;
    bench
        .push(on(1, position, GET))
        .push(on(1, position + GET.len() as u32, NEXT));
    bench.expect(&["too_many_streams", "/next"]);
}

#[test]
fn buffers_are_dropped_at_their_bound_oldest_first() {
    let mut bench = Bench::with(Limits {
        max_buffered: 5000,
        ..Limits::default()
    });
    for socket in 0..20 {
        let stream = StreamId {
            socket,
            opened_ns: 0,
        };
        bench.push(Chunk {
            stream,
            time_ns: socket,
            ..chunk(0, &GET[..30])
        });
        assert!(bench.reassembler.buffered() <= 5000);
    }
    assert!(
        bench
            .out
            .iter()
            .all(|captured| summary(captured) == "too_many_streams")
    );
    let dropped: Vec<_> = bench
        .out
        .iter()
        .map(|captured| captured.stream.socket)
        .collect();
    assert_eq!(dropped, (0..dropped.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        bench.reassembler.counters().dropped_buffers,
        dropped.len() as u64
    );
}

#[test]
fn bytes_ahead_of_a_gap_are_bounded() {
    let mut bench = Bench::with(Limits {
        max_ahead: 4096,
        ..Limits::default()
    });
    for n in 0..1000 {
        bench.push(chunk(10 + n * 20, b"0123456789"));
        assert!(bench.reassembler.buffered() <= 8192);
    }
    bench.close().expect(&["bytes_missing"]);
}

#[test]
fn shutdown_gives_everything_that_is_unfinished() {
    let mut bench = Bench::new();
    bench.send(&GET[..9]);
    bench.push(Chunk {
        stream: StreamId {
            socket: 2,
            opened_ns: 0,
        },
        ..missing(0, 9)
    });
    bench
        .push(Chunk {
            stream: StreamId {
                socket: 3,
                opened_ns: 0,
            },
            ..chunk(0, GET)
        })
        .out
        .pop();
    bench.reassembler.drain_all(&mut bench.out);
    bench.expect(&["incomplete_head", "bytes_missing"]);
    assert_eq!(
        (bench.reassembler.streams(), bench.reassembler.buffered()),
        (0, 0)
    );
    assert_eq!(bench.reassembler.next_expiry(), None);
}

#[test]
fn counters_count_requests_and_unknowns() {
    let mut bench = Bench::new();
    bench.send(GET).send(NEXT).send(b"\0").close();
    let counters = bench.reassembler.counters();
    assert_eq!(
        (counters.chunks, counters.requests, counters.unknown),
        (3, 2, 1)
    );
}

#[test]
fn reasons_have_distinct_names() {
    let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}
