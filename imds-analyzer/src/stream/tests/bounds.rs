//! Many streams, time and memory.

use super::*;

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
