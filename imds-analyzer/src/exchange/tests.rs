//! Orders, pipelines, gaps, ends and bounds.

use super::*;

const STREAM: StreamId = StreamId {
    socket: 1,
    opened_ns: 1,
};

/// When requests are sent, nanoseconds on the boot-time clock.
const SENT: u64 = 10_000_000_000;
/// Length of every request, bytes.
const LEN: u32 = 100;

struct Bench {
    exchanges: Exchanges<&'static str>,
    out: Vec<Finished<&'static str>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            exchanges: Exchanges::new(limits),
            out: Vec::new(),
        }
    }

    /// The `index`th request of the stream.
    fn sent(&mut self, index: u32, request: &'static str) -> &mut Self {
        self.sent_on(STREAM, index, request)
    }

    fn sent_on(&mut self, stream: StreamId, index: u32, request: &'static str) -> &mut Self {
        self.send(Sent {
            stream,
            ..sent(index, request)
        })
    }

    fn send(&mut self, sent: Sent<&'static str>) -> &mut Self {
        self.exchanges.sent(sent, &mut self.out);
        self
    }

    /// A response that was sent when the server had received the first `count` requests.
    fn answered(&mut self, count: u32, code: u16) -> &mut Self {
        self.status(count, code, false)
    }

    /// As that, behind a gap.
    fn resynced(&mut self, count: u32, code: u16) -> &mut Self {
        self.status(count, code, true)
    }

    fn status(&mut self, count: u32, code: u16, resynced: bool) -> &mut Self {
        self.received(
            count,
            Received::Status {
                code,
                server: b"EC2ws".to_vec(),
                resynced,
            },
        )
    }

    fn received(&mut self, count: u32, what: Received) -> &mut Self {
        let response = Response {
            stream: STREAM,
            // Between the sends of the requests before and after it.
            time_ns: SENT + u64::from(count) * 1_000 - 300,
            acknowledged: count.wrapping_mul(LEN),
            what,
        };
        self.exchanges.received(response, &mut self.out);
        self
    }

    fn blur(&mut self) -> &mut Self {
        self.exchanges.blur(STREAM, &mut self.out);
        self
    }

    fn close(&mut self, lost_track: bool) -> &mut Self {
        self.exchanges.closed(STREAM, lost_track, &mut self.out);
        self
    }

    fn expire(&mut self, after_ns: u64) -> &mut Self {
        self.exchanges.expire(SENT + after_ns, &mut self.out);
        self
    }

    /// What has gone on since the last call.
    fn expect(&mut self, expected: &[(&str, &str)]) -> &mut Self {
        let found: Vec<(&str, String)> = self
            .out
            .drain(..)
            .map(|finished| (finished.request, word(&finished.outcome)))
            .collect();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(request, outcome)| (*request, outcome.as_str()))
            .collect();
        assert_eq!(found, expected);
        self
    }

    /// Nothing waits, and nothing is remembered of any stream but closed ones.
    fn expect_blank(&self) {
        assert_eq!(self.exchanges.waiting(), 0);
        assert_eq!(self.exchanges.weight, 0);
        assert_eq!(self.exchanges.queued, 0);
        assert!(self.exchanges.streams.is_empty() && self.exchanges.by_age.is_empty());
    }
}

fn sent(index: u32, request: &'static str) -> Sent<&'static str> {
    let time_ns = SENT + u64::from(index) * 1_000;
    Sent {
        stream: STREAM,
        position: index.wrapping_mul(LEN),
        time_ns,
        sent_ns: Some(time_ns + 100),
        started_mid_stream: false,
        weight: 10,
        request,
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => answer.status.to_string(),
        Outcome::NoResponse(NoResponse::ConnectionClosed) => "closed".to_owned(),
        Outcome::NoResponse(NoResponse::Deadline) => "deadline".to_owned(),
        Outcome::Unread => "unread".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn request_waits_for_its_status() {
    let mut bench = Bench::new();
    bench.sent(0, "a").expect(&[]);
    bench.answered(1, 200);
    let [finished] = &bench.out[..] else {
        panic!("not one: {:?}", bench.out);
    };
    assert_eq!(
        finished.outcome,
        Outcome::Answered(Answer {
            status: 200,
            server: b"EC2ws".to_vec(),
            latency_ns: Some(600),
        })
    );
    assert_eq!(finished.time_ns, SENT);
    bench.expect_blank();
}

#[test]
fn response_that_is_told_first_waits_for_its_request() {
    let mut bench = Bench::new();
    bench.answered(1, 200).sent(0, "a").expect(&[("a", "200")]);
    bench.expect_blank();
}

#[test]
fn pipelined_requests_are_answered_in_order_whoever_is_told_first() {
    let mut bench = Bench::new();
    bench.sent(0, "a").sent(1, "b").sent(2, "c");
    bench.answered(3, 200).answered(3, 404).answered(3, 401);
    bench.expect(&[("a", "200"), ("b", "404"), ("c", "401")]);
    bench.answered(5, 200).answered(5, 500);
    bench.sent(3, "d").sent(4, "e");
    bench.expect(&[("d", "200"), ("e", "500")]).expect_blank();
}

#[test]
fn status_of_a_request_before_is_not_that_of_the_next() {
    // A timeout that the server told while the next request was on its way.
    let mut bench = Bench::new();
    bench.sent(1, "b").answered(1, 408).expect(&[]);
    bench.answered(2, 200).expect(&[("b", "200")]);
    bench.answered(2, 408).sent(2, "c").expect(&[]);
    bench
        .answered(3, 200)
        .expect(&[("c", "200")])
        .expect_blank();
}

#[test]
fn positions_wrap() {
    let before_the_end = u32::MAX / LEN;
    let mut bench = Bench::new();
    for index in [before_the_end, before_the_end + 1] {
        bench.sent(index, "a");
        bench.answered(index + 1, 200).expect(&[("a", "200")]);
    }
}

#[test]
fn latency_is_absent_where_the_send_of_the_last_byte_is_not_known() {
    let mut bench = Bench::new();
    bench.send(Sent {
        sent_ns: None,
        ..sent(0, "a")
    });
    // A server need not wait for the end of a request.
    bench.sent(1, "b").answered(2, 200).answered(2, 200);
    bench.send(Sent {
        sent_ns: Some(u64::MAX / 2),
        ..sent(2, "c")
    });
    bench.answered(3, 200);
    let latencies: Vec<Option<u64>> = bench
        .out
        .iter()
        .map(|finished| match &finished.outcome {
            Outcome::Answered(answer) => answer.latency_ns,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(latencies, [None, Some(600), None]);
}

#[test]
fn end_of_the_stream_is_the_outcome_of_what_waits() {
    let mut bench = Bench::new();
    bench
        .sent(0, "a")
        .sent(1, "b")
        .answered(2, 200)
        .close(false);
    bench.expect(&[("a", "200"), ("b", "closed")]);
    bench.expect_blank();
}

#[test]
fn request_read_behind_the_close_has_its_outcome() {
    let mut bench = Bench::new();
    bench.answered(1, 200).close(false);
    bench.sent(0, "a").sent(1, "b");
    bench.expect(&[("a", "200"), ("b", "closed")]);
    bench.expect_blank();
}

#[test]
fn server_that_is_done_answers_nothing_more() {
    let mut bench = Bench::new();
    bench.sent(0, "a").received(1, Received::ServerDone);
    bench.expect(&[("a", "closed")]).expect_blank();
}

#[test]
fn deadline_is_counted_from_the_send() {
    let mut bench = Bench::new();
    bench.sent(0, "a").sent(1, "b");
    let deadline = Limits::default().deadline_ns + 100;
    assert_eq!(bench.exchanges.next_expiry(), Some(SENT + deadline));
    bench.expire(deadline - 1).expect(&[]);
    bench.expire(deadline).expect(&[("a", "deadline")]);
    bench.expire(deadline + 1_000).expect(&[("b", "deadline")]);
    assert_eq!(bench.exchanges.next_expiry(), None);
}

#[test]
fn silence_until_the_deadline_proves_nothing_where_only_what_is_read_is_seen() {
    let mut bench = Bench::with(Limits {
        sees_unread: false,
        ..Limits::default()
    });
    bench.sent(0, "a").expire(u64::MAX / 2);
    bench.expect(&[("a", "unread")]);
    bench.sent(1, "b").close(false);
    bench.expect(&[("b", "closed")]);
}

#[test]
fn late_response_is_not_given_to_the_next_request() {
    let mut bench = Bench::new();
    bench.sent(0, "a").expire(u64::MAX / 2);
    bench.expect(&[("a", "deadline")]);
    bench.sent(1, "b").answered(2, 503).expect(&[]);
    bench.answered(2, 200).expect(&[("b", "200")]);
    bench.expect_blank();
}

#[test]
fn silence_proves_nothing_where_responses_may_pass_unseen() {
    let late = u64::MAX / 2;
    let mut bench = Bench::new();
    bench.sent(0, "a").received(0, Received::LostTrack);
    bench.sent(1, "b").expire(late);
    bench.expect(&[("a", "unknown"), ("b", "unknown")]);

    let mut bench = Bench::new();
    bench.sent(0, "a").received(0, Received::LostTrack);
    bench.close(false).expect(&[("a", "unknown")]);

    let mut bench = Bench::new();
    bench.sent(0, "a").close(true).expect(&[("a", "unknown")]);

    let mut bench = Bench::new();
    bench.sent(0, "a").exchanges.note_loss(SENT + 1);
    bench.expire(late).expect(&[("a", "unknown")]);

    let mut bench = Bench::new();
    bench.send(Sent {
        started_mid_stream: true,
        ..sent(0, "a")
    });
    bench.expire(late).expect(&[("a", "unknown")]);
}

#[test]
fn silence_counts_again_once_responses_are_followed_again() {
    let mut bench = Bench::new();
    bench.sent(0, "a").received(0, Received::LostTrack);
    bench.resynced(1, 200).expect(&[("a", "200")]);
    bench.sent(1, "b").close(false).expect(&[("b", "closed")]);
}

#[test]
fn response_behind_a_gap_counts_only_if_one_request_can_have_it() {
    let mut bench = Bench::new();
    bench.sent(0, "a").sent(1, "b").resynced(2, 200);
    bench.expect(&[("a", "unknown"), ("b", "unknown")]);
    // It was one of theirs, and those that follow are certain again.
    bench.sent(2, "c").answered(3, 404).expect(&[("c", "404")]);
    bench.sent(3, "d").sent(4, "e").resynced(4, 401);
    bench.expect(&[("d", "401")]);
    bench.answered(5, 200).expect(&[("e", "200")]);
    bench.expect_blank();
}

#[test]
fn what_is_not_understood_keeps_its_response() {
    // A region whose response has come before the next request is sent.
    let mut bench = Bench::new();
    bench.blur().answered(1, 400).sent(1, "b").expect(&[]);
    bench.answered(2, 200).expect(&[("b", "200")]);
    bench.expect_blank();

    // A region whose response may be the one that comes.
    let mut bench = Bench::new();
    bench.blur().sent(1, "b").answered(2, 400);
    bench.expect(&[("b", "unknown")]);

    // What is before a region is certain.
    let mut bench = Bench::new();
    bench
        .sent(0, "a")
        .blur()
        .answered(2, 200)
        .expect(&[("a", "200")]);
    bench.sent(2, "c").close(false).expect(&[("c", "closed")]);
}

#[test]
fn beyond_the_bounds_the_oldest_goes_on() {
    let mut bench = Bench::with(Limits {
        max_waiting: 2,
        ..Limits::default()
    });
    bench.sent(0, "a").sent(1, "b").expect(&[]);
    bench.sent(2, "c").expect(&[("a", "unknown")]);
    // Its response is known for its own.
    bench.answered(3, 500).answered(3, 200);
    bench.expect(&[("b", "200")]);

    let mut bench = Bench::with(Limits {
        max_weight: 25,
        ..Limits::default()
    });
    bench.sent(0, "a").sent(1, "b").sent(2, "c");
    bench.expect(&[("a", "unknown")]);
}

#[test]
fn streams_and_what_they_hold_are_bounded() {
    let limits = Limits {
        max_streams: 4,
        max_queued: 16,
        ..Limits::default()
    };
    let mut bench = Bench::with(limits.clone());
    let stream = |socket| StreamId {
        socket,
        opened_ns: 1,
    };
    for socket in 0..10 {
        bench.sent_on(stream(socket), 0, "a");
    }
    assert_eq!(bench.out.len(), 6);
    assert!(bench.exchanges.streams.len() <= limits.max_streams);
    for index in 0..1_000 {
        bench.sent_on(stream(9), index, "b");
        // Places of requests that have gone on are bounded too.
        bench.expire(u64::MAX / 2);
        bench.blur();
    }
    assert!(bench.exchanges.queued <= limits.max_queued);
    for index in 0..1_000 {
        bench.answered(index, 200);
    }
    assert!(bench.exchanges.queued <= limits.max_queued);
    assert!(bench.exchanges.streams.len() <= limits.max_streams);
    bench.exchanges.drain_all(&mut bench.out);
    bench.expect_blank();
    assert_eq!(bench.out.len(), 1_010, "none is lost, none goes on twice");
}

#[test]
fn end_of_capture_lets_everything_go_on() {
    let mut bench = Bench::new();
    bench.sent(0, "a").sent(1, "b");
    bench.exchanges.drain_all(&mut bench.out);
    bench.expect(&[("a", "unknown"), ("b", "unknown")]);
    bench.expect_blank();
}

/// Whatever comes in whatever order, each request goes on once, and the books are right.
#[test]
fn any_order_loses_no_request() {
    for seed in 0..2_000_u64 {
        let mut bench = Bench::with(Limits {
            max_waiting: 6,
            max_streams: 3,
            max_queued: 12,
            ..Limits::default()
        });
        let mut state = seed;
        let mut next = |bound: u64| {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % bound
        };
        let mut sent_count = 0;
        for _ in 0..40 {
            let index = next(30) as u32;
            let stream = StreamId {
                socket: 1 + next(4),
                opened_ns: 1,
            };
            match next(12) {
                0..=4 => {
                    sent_count += 1;
                    bench.sent_on(stream, index, "a");
                }
                5 | 6 => drop(bench.answered(index, 200)),
                7 => drop(bench.resynced(index, 200)),
                8 => drop(bench.blur()),
                9 => drop(bench.received(index, Received::LostTrack)),
                10 => bench.exchanges.closed(stream, next(2) == 0, &mut bench.out),
                _ => drop(bench.expire(next(10_000_000_000))),
            }
            let exchanges = &bench.exchanges;
            assert_eq!(exchanges.weight, exchanges.waiting() * 10, "seed {seed}");
            let queued: usize = exchanges.streams.values().map(Queue::len).sum();
            assert_eq!(exchanges.queued, queued, "seed {seed}");
            assert!(exchanges.waiting() <= 6 && queued <= 12, "seed {seed}");
        }
        bench.exchanges.drain_all(&mut bench.out);
        assert_eq!(bench.out.len(), sent_count, "seed {seed}");
    }
}
