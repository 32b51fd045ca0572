//! Gaps, lost boundaries and what is certain behind them.

use super::*;

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
fn lost_stream_is_not_taken_up_within_a_chunk() {
    let overlapping = [b"tail", NEXT].concat();
    let mut bench = Bench::new();
    bench
        .push(Chunk {
            started_mid_stream: true,
            ..chunk(0, b"tail")
        })
        .take();
    bench.push(chunk(0, &overlapping)).close().expect(&[]);
    let mut bench = Bench::new();
    bench
        .push(chunk(50, b"tail"))
        .push(chunk(50, &overlapping))
        .close();
    bench.expect(&["bytes_missing"]);
}

#[test]
fn overlapping_gaps_that_are_filled_in_part_expire() {
    let n = GET.len() as u32;
    let guess = |position| Chunk {
        position_uncertain: true,
        ..chunk(position, &vec![b'x'; n as usize])
    };
    for first_two in [[guess(0), guess(n / 2)], [missing(0, n), missing(n / 2, n)]] {
        let mut bench = Bench::new();
        for gap in first_two {
            bench.push(gap);
        }
        bench.push(chunk(0, GET));
        let request = bench.take().len();
        bench.expire(1_000 * SECOND);
        assert_eq!(
            (request, bench.take().len()),
            (1, 1),
            "the request, then one unknown"
        );
        assert_eq!(bench.reassembler.next_expiry(), None);
    }
}
