//! Streams nobody wrote by hand, from a generator with fixed seeds.

use super::tests::{Bench, STREAM, chunk, missing};
use super::*;
use crate::capture::Payload;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    fn pick<'a>(&mut self, items: &[&'a [u8]]) -> &'a [u8] {
        items[self.below(items.len())]
    }
}

/// A well-formed stream and the heads in it.
fn stream(random: &mut Random) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut bytes = Vec::new();
    let mut heads = Vec::new();
    for n in 0..1 + random.below(6) {
        let eol: &[u8] = if random.below(4) == 0 { b"\n" } else { b"\r\n" };
        for _ in 0..random.below(3) {
            bytes.extend_from_slice(eol);
        }
        let method = random.pick(&[b"GET", b"PUT", b"HEAD"]);
        let mut head = [method, format!(" /{n} HTTP/1.1").as_bytes(), eol].concat();
        if random.below(2) == 0 {
            head.extend_from_slice(b"X-aws-ec2-metadata-token: T");
            head.extend_from_slice(eol);
        }
        let body: Vec<u8> = match random.below(3) {
            0 => Vec::new(),
            1 => {
                let body = vec![b':'; random.below(40)];
                head.extend(format!("Content-Length: {}", body.len()).bytes());
                head.extend_from_slice(eol);
                body
            }
            _ => {
                head.extend_from_slice(b"Transfer-Encoding: chunked");
                head.extend_from_slice(eol);
                b"5\r\n\r\n\r\n:\r\n1;e\r\n:\r\n0\r\nX-aws-ec2-metadata-token: T\r\n\r\n".to_vec()
            }
        };
        head.extend_from_slice(eol);
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&body);
        heads.push(head);
    }
    (bytes, heads)
}

/// Cuts `bytes` into chunks of random length.
fn cut(random: &mut Random, bytes: &[u8]) -> Vec<Chunk> {
    let longest = 1 + random.below(80);
    let mut chunks = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + 1 + random.below(longest));
        chunks.push(chunk(at as u32, &bytes[at..end]));
        at = end;
    }
    chunks
}

fn whole_heads(out: &[Captured]) -> Vec<Vec<u8>> {
    out.iter()
        .filter_map(|captured| match &captured.head {
            Head::Complete(head) => Some(head.clone()),
            Head::Broken { .. } => None,
        })
        .collect()
}

#[test]
fn splitting_reordering_and_duplication_change_nothing() {
    for seed in 0..3000 {
        let mut random = Random(seed);
        let (bytes, heads) = stream(&mut random);
        let mut chunks = cut(&mut random, &bytes);
        chunks.extend(cut(&mut random, &bytes));
        random.shuffle(&mut chunks);
        let unbounded = usize::MAX;
        let mut bench = Bench::with(Limits {
            max_ahead: unbounded,
            max_ahead_segments: unbounded,
            ..Limits::default()
        });
        for chunk in chunks {
            bench.push(chunk);
        }
        assert_eq!(whole_heads(&bench.out), heads, "seed {seed}");
        assert_eq!(bench.out.len(), heads.len(), "seed {seed}");
        assert_eq!(bench.reassembler.buffered(), 0, "seed {seed}");
        bench.reassembler.close(STREAM, 0, &mut bench.out);
        assert_eq!(bench.out.len(), heads.len(), "seed {seed}");
    }
}

#[test]
fn whatever_is_missing_only_requests_that_were_sent_are_read() {
    let mut read = 0;
    let mut unknown = 0;
    for seed in 0..5000 {
        let mut random = Random(seed);
        let (bytes, heads) = stream(&mut random);
        let mut bench = Bench::new();
        let started_mid_stream = random.below(4) == 0;
        let mut lost = false;
        for mut chunk in cut(&mut random, &bytes) {
            chunk.started_mid_stream = started_mid_stream;
            match random.below(12) {
                0 => {
                    lost = true;
                    continue;
                }
                1 => {
                    lost = true;
                    chunk = missing(chunk.position, chunk.payload.len());
                }
                2 => {
                    lost = true;
                    chunk.position_uncertain = true;
                }
                3 => bench.reassembler.expire(random.next(), &mut bench.out),
                _ => {}
            }
            bench.push(chunk);
        }
        bench.reassembler.close(STREAM, 0, &mut bench.out);
        let found = whole_heads(&bench.out);
        let mut sent = heads.iter();
        for head in &found {
            assert!(
                sent.any(|other| other == head),
                "seed {seed}: {found:?} of {heads:?}"
            );
        }
        if !lost && !started_mid_stream && bench.reassembler.counters().unknown == 0 {
            assert_eq!(found, heads, "seed {seed}");
        }
        read += found.len();
        unknown += bench.out.len() - found.len();
    }
    assert!(
        read > 1000 && unknown > 1000,
        "the generator is one-sided: {read}, {unknown}"
    );
}

/// Requests at the beginning of `bytes`, told by the strictest reading: CRLF
/// only, no body, plain characters. Written without the code under test.
fn strict_heads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let mut rest = text.as_str();
    let mut heads = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let mut lines = head.split("\r\n");
        let line: Vec<&str> = lines.next().unwrap_or("").split(' ').collect();
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = line[..] else {
            break;
        };
        let fields = lines.all(|line| match line.split_once(": ") {
            Some((name, value)) => name.bytes().all(|b| b.is_ascii_alphabetic()) && plain(value),
            None => false,
        });
        if !method.bytes().all(|b| b.is_ascii_alphabetic())
            || method.is_empty()
            || !plain(target)
            || !fields
        {
            break;
        }
        heads.push(format!("{head}\r\n\r\n").into_bytes());
        rest = after;
    }
    heads
}

#[test]
fn noise_is_never_a_request_and_stays_within_the_bounds() {
    let limits = Limits {
        max_streams: 8,
        max_buffered: 64 * 1024,
        max_ahead: 8 * 1024,
        max_ahead_segments: 16,
        ..Limits::default()
    };
    let words: [&[u8]; 18] = [
        b"GET ",
        b"PUT ",
        b"/",
        b"/latest/api/token",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"\0",
        b"\xff",
        b"A: b\r\n",
        b"Content-Length: 3\r\n",
        b"\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    let mut requests = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut bench = Bench::with(limits.clone());
        for _ in 0..200 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(12) {
                bytes.extend_from_slice(random.pick(&words));
            }
            if random.below(20) == 0 {
                bytes.resize(random.below(40_000), b'x');
            }
            let mut chunk = chunk(random.below(5000) as u32, &bytes);
            chunk.stream.socket = random.below(12) as u64;
            chunk.position = if random.below(50) == 0 {
                random.next() as u32
            } else {
                chunk.position
            };
            chunk.started_mid_stream = random.below(10) == 0;
            chunk.position_uncertain = random.below(10) == 0;
            if random.below(10) == 0 {
                chunk = Chunk {
                    payload: missing(0, random.next() as u32).payload,
                    ..chunk
                };
            }
            let stream = chunk.stream;
            bench.push(chunk);
            match random.below(20) {
                0 => bench.reassembler.close(stream, 0, &mut bench.out),
                1 => bench
                    .reassembler
                    .expire(random.next() >> 20, &mut bench.out),
                _ => {}
            }
            assert!(bench.reassembler.streams() <= limits.max_streams);
            assert!(bench.reassembler.buffered() <= limits.max_buffered);
        }
        for head in whole_heads(&bench.out) {
            assert!(
                crate::http::RequestHead::parse(&head).is_ok(),
                "seed {seed}: {head:?}"
            );
            requests += 1;
        }
        for captured in &bench.out {
            assert!(captured.bytes <= limits.max_head as u64);
        }
        bench.reassembler.drain_all(&mut bench.out);
        assert_eq!(bench.reassembler.buffered(), 0, "seed {seed}");
        assert_eq!(bench.reassembler.next_expiry(), None, "seed {seed}");
    }
    assert!(requests > 50, "the generator gives no requests: {requests}");
}

#[test]
fn damaged_streams_give_what_a_strict_reading_gives_up_to_the_damage() {
    let valid = b"GET /1 HTTP/1.1\r\nA: b\r\n\r\nHEAD /2 HTTP/1.0\r\nToken: c\r\n\r\nGET /3 HTTP/1.1\r\n\r\n";
    for seed in 0..5000 {
        let mut random = Random(seed);
        let mut bytes = valid.to_vec();
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
        let mut bench = Bench::new();
        for chunk in cut(&mut random, &bytes) {
            bench.push(chunk);
        }
        bench.reassembler.close(STREAM, 0, &mut bench.out);
        let (found, strict) = (whole_heads(&bench.out), strict_heads(&bytes));
        assert!(
            found.len() >= strict.len(),
            "seed {seed}: {found:?} {strict:?}"
        );
        assert_eq!(found[..strict.len()], strict, "seed {seed}");
    }
}

#[test]
fn one_damaged_byte_never_turns_v2_into_v1() {
    use crate::record::ImdsVersion;
    let valid = b"GET /1 HTTP/1.1\r\nHost: h\r\nX-aws-ec2-metadata-token: T\r\n\r\n";
    let name = valid
        .windows(5)
        .position(|window| window == b"X-aws")
        .unwrap();
    let intact_name = name..name + crate::classify::TOKEN_HEADER.len();
    for at in (0..valid.len()).filter(|at| !intact_name.contains(at)) {
        // A line feed in the place of a CR is an early empty line.
        for byte in (0..=255).filter(|&byte| byte != b'\n') {
            let mut bytes = valid.to_vec();
            bytes[at] = byte;
            let mut bench = Bench::new();
            bench.push(chunk(0, &bytes));
            bench.reassembler.close(STREAM, 0, &mut bench.out);
            for head in whole_heads(&bench.out) {
                let head = crate::http::RequestHead::parse(&head).unwrap();
                let version =
                    crate::classify::classify(&head, &crate::service::Service::Imds).version;
                assert_eq!(version, ImdsVersion::V2, "byte {at} = {byte}");
            }
            assert_eq!(bench.out.len(), 1, "byte {at} = {byte}");
        }
    }
}

#[test]
fn endless_one_byte_sends_cost_no_more_than_a_head() {
    let mut bench = Bench::new();
    let head = b"GET /";
    bench.push(chunk(0, head));
    for n in 0..100_000 {
        bench.push(chunk((head.len() + n) as u32, b"a"));
        assert!(bench.reassembler.buffered() <= 3 * Limits::default().max_head);
    }
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn payload_of_missing_bytes_has_their_length() {
    let Payload::Missing { len, .. } = missing(0, 5).payload else {
        panic!("bytes")
    };
    assert_eq!(len, 5);
}
