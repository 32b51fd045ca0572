//! What comes out of hand-written streams.

mod bounds;
mod heads;
mod lost;

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::capture::{Destination, MissingCause, Payload, Task};

pub(in crate::stream) const SECOND: u64 = 1_000_000_000;
pub(in crate::stream) const STREAM: StreamId = StreamId {
    socket: 1,
    opened_ns: 1,
};
pub(in crate::stream) const GET: &[u8] = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: h\r\n\r\n";
/// An idle stream is small.
const _: () = assert!(Reassembler::IDLE_STREAM_BYTES <= 160);
pub(in crate::stream) const NEXT: &[u8] = b"GET /next HTTP/1.1\r\n\r\n";

pub(in crate::stream) fn task(tgid: u32) -> Task {
    Task {
        tgid,
        tid: tgid,
        start_boottime_ns: 0,
        exec_id: 0,
        uid: 0,
        gid: 0,
        thread_name: b"t".to_vec(),
        process_name: b"p".to_vec(),
    }
}

pub(in crate::stream) fn chunk(position: u32, bytes: &[u8]) -> Chunk {
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

pub(in crate::stream) fn missing(position: u32, len: u32) -> Chunk {
    let cause = MissingCause::Unreadable;
    Chunk {
        payload: Payload::Missing { len, cause },
        ..chunk(position, b"")
    }
}

/// A reassembler and what came out of it.
pub(in crate::stream) struct Bench {
    pub(in crate::stream) reassembler: Reassembler,
    pub(in crate::stream) out: Vec<Captured>,
    pub(in crate::stream) end: u32,
}

impl Bench {
    pub(in crate::stream) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(in crate::stream) fn with(limits: Limits) -> Self {
        Self {
            reassembler: Reassembler::new(limits),
            out: Vec::new(),
            end: 0,
        }
    }

    pub(in crate::stream) fn push(&mut self, chunk: Chunk) -> &mut Self {
        self.end = chunk.position.wrapping_add(chunk.payload.len());
        self.reassembler.push(chunk, &mut self.out);
        self
    }

    /// Sends bytes behind the chunk that was sent last.
    pub(in crate::stream) fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.push(chunk(self.end, bytes))
    }

    pub(in crate::stream) fn skip(&mut self, len: u32) -> &mut Self {
        self.push(missing(self.end, len))
    }

    pub(in crate::stream) fn close(&mut self) -> &mut Self {
        self.reassembler.close(STREAM, 2 * SECOND, &mut self.out);
        self
    }

    pub(in crate::stream) fn expire(&mut self, now_ns: u64) -> &mut Self {
        self.reassembler.expire(now_ns, &mut self.out);
        self
    }

    /// What came out since the last call, one word each: the request's target,
    /// or the reason it is broken.
    pub(in crate::stream) fn take(&mut self) -> Vec<String> {
        self.out
            .drain(..)
            .map(|captured| summary(&captured))
            .collect()
    }

    pub(in crate::stream) fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(self.take(), expected);
        self
    }
}

pub(in crate::stream) fn summary(captured: &Captured) -> String {
    match &captured.head {
        Head::Complete(head) => {
            let head = crate::http::RequestHead::parse(head).expect("a well-formed head");
            String::from_utf8_lossy(head.target).into_owned()
        }
        Head::Broken { reason, .. } => reason.as_str().to_owned(),
    }
}
