//! Requests that are read.

use super::*;

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
fn cut_off_head_is_incomplete() {
    let mut bench = Bench::new();
    bench.send(&GET[..GET.len() - 1]).close();
    assert!(bench.out[0].truncated);
    bench.expect(&["incomplete_head"]);
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
