//! Requests cut out of streams of bytes.
//!
//! Chunks are placed by their position in the stream, so their order, overlaps
//! and duplicates (a retransmission; the same bytes from two sources) do not
//! matter: the bytes that arrive first count. Of HTTP it knows only where a head
//! ends and how long the body is that follows it.
//!
//! A request counts as read only if its first byte is certain to be one. Where
//! that is not so, one record says `unknown` and why, for the whole region:
//!
//! - Bytes missing in a head, or between requests, lose the boundary. Bytes
//!   missing in a body of known length, or in a chunk's data, do not.
//! - A lost stream is taken up again at a chunk that begins with a whole request
//!   line, which is how nearly every client sends. That request is still
//!   `unknown`, since a body could look like it; what follows it is certain if
//!   it is followed by anything that parses. A stream that was open before
//!   capture began starts out lost.
//! - Behind a body with contradicting lengths nothing is certain any more.
//!
//! Memory is bounded by [`Limits`] whatever is sent. Between requests a stream
//! costs [`Reassembler::IDLE_STREAM_BYTES`], kept until it closes, because the
//! position where it stands must not be forgotten.

mod ahead;
mod body;
mod captured;
mod flow;
mod heads;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

pub use captured::{Captured, Extent, Head, Reason};

use crate::capture::{Chunk, StreamId};
use flow::{Context, Flow};

/// The least that [`Limits::max_head`] can be, in bytes.
pub const MIN_MAX_HEAD: usize = 16 * 1024;

/// How many closed streams are remembered, so that a chunk which the ring
/// buffer delivers behind the close is told from a new stream.
const MAX_CLOSED: usize = 1024;

/// Bounds of a [`Reassembler`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes; raised to [`MIN_MAX_HEAD`] if it is less.
    pub max_head: usize,
    /// Streams that are remembered; beyond, the one that was quiet the longest
    /// is forgotten.
    pub max_streams: usize,
    /// Bytes that all streams together may buffer.
    pub max_buffered: usize,
    /// Bytes of one stream that may wait behind a gap.
    pub max_ahead: usize,
    /// Pieces that these bytes may be in.
    pub max_ahead_segments: usize,
    /// How long a gap may wait to be filled by another source, in nanoseconds.
    pub gap_timeout_ns: u64,
    /// How long a head may wait for its next byte, in nanoseconds.
    pub idle_timeout_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head: 32 * 1024,
            max_streams: 16 * 1024,
            max_buffered: 4 * 1024 * 1024,
            max_ahead: 256 * 1024,
            max_ahead_segments: 256,
            gap_timeout_ns: 2_000_000_000,
            idle_timeout_ns: 120_000_000_000,
        }
    }
}

/// What a [`Reassembler`] did, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Chunks taken.
    pub chunks: u64,
    /// Chunks of which every byte was known already.
    pub duplicate_chunks: u64,
    /// Whole requests given.
    pub requests: u64,
    /// Broken requests and lost regions given.
    pub unknown: u64,
    /// Bytes passed over because boundaries were not known.
    pub skipped_bytes: u64,
    /// Streams forgotten because of [`Limits::max_streams`].
    pub forgotten_streams: u64,
    /// Times that a stream's buffers were dropped because of
    /// [`Limits::max_buffered`].
    pub dropped_buffers: u64,
}

/// Cuts requests out of the chunks of many streams.
#[derive(Debug)]
pub struct Reassembler {
    limits: Limits,
    counters: Counters,
    flows: HashMap<StreamId, Entry>,
    /// Streams by when they were last heard of.
    by_use: BTreeMap<u64, StreamId>,
    uses: u64,
    /// Deadlines of streams with buffers: time, then the stream's id.
    deadlines: BTreeSet<(u64, u64, u64)>,
    buffered: usize,
    closed: HashMap<StreamId, Flow>,
    closed_order: VecDeque<StreamId>,
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    used: u64,
    deadline: Option<u64>,
}

impl Reassembler {
    /// Memory of a stream of which nothing is buffered, in bytes, without the
    /// slack of the maps that hold it.
    pub const IDLE_STREAM_BYTES: usize =
        size_of::<(StreamId, Entry)>() + size_of::<(u64, StreamId)>();

    /// A reassembler that knows no stream.
    pub fn new(limits: Limits) -> Self {
        let max_head = limits.max_head.max(MIN_MAX_HEAD);
        Self {
            limits: Limits { max_head, ..limits },
            counters: Counters::default(),
            flows: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            deadlines: BTreeSet::new(),
            buffered: 0,
            closed: HashMap::new(),
            closed_order: VecDeque::new(),
        }
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Streams that are remembered, without closed ones.
    pub fn streams(&self) -> usize {
        self.flows.len()
    }

    /// Bytes that are buffered, at most [`Limits::max_buffered`].
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes a chunk and appends the requests that it completes to `out`.
    pub fn push(&mut self, chunk: Chunk, out: &mut Vec<Captured>) {
        if chunk.payload.is_empty() {
            return;
        }
        self.counters.chunks += 1;
        let id = chunk.stream;
        if !self.flows.contains_key(&id) {
            if let Some(flow) = self.closed.get_mut(&id) {
                let mut cx = Context::new(&self.limits, &mut self.counters, out);
                flow.push(chunk, &mut cx);
                flow.finish(&mut cx);
                return;
            }
            while self.flows.len() >= self.limits.max_streams.max(1) {
                self.forget_quietest(out);
            }
        }
        let forgotten = self.counters.forgotten_streams > 0;
        let used = self.uses;
        self.uses += 1;
        let entry = self.flows.entry(id).or_insert_with(|| Entry {
            flow: Flow::new(&chunk, forgotten),
            used,
            deadline: None,
        });
        self.by_use.remove(&entry.used);
        entry.used = used;
        self.by_use.insert(used, id);

        self.change(id, out, |flow, cx| flow.push(chunk, cx));
        while self.buffered > self.limits.max_buffered {
            let Some(&(_, socket, opened_ns)) = self.deadlines.first() else {
                break;
            };
            self.counters.dropped_buffers += 1;
            self.change(StreamId { socket, opened_ns }, out, Flow::drop_buffers);
        }
    }

    /// A stream was closed at `time_ns`: appends what it leaves unfinished.
    pub fn close(&mut self, stream: StreamId, _time_ns: u64, out: &mut Vec<Captured>) {
        if let Some(flow) = self.end(stream, out, Flow::finish) {
            if self.closed_order.len() >= MAX_CLOSED
                && let Some(oldest) = self.closed_order.pop_front()
            {
                self.closed.remove(&oldest);
            }
            self.closed.insert(stream, flow);
            self.closed_order.push_back(stream);
        }
    }

    /// Gives up what has waited too long at `now_ns` of the boot-time clock.
    pub fn expire(&mut self, now_ns: u64, out: &mut Vec<Captured>) {
        while let Some(&due @ (deadline, socket, opened_ns)) = self.deadlines.first()
            && deadline <= now_ns
        {
            let id = StreamId { socket, opened_ns };
            self.change(id, out, Flow::expire);
            if self.deadlines.contains(&due) {
                // Nothing came of it, and nothing will: no stream may keep this
                // loop, whatever its sender made of it.
                self.counters.dropped_buffers += 1;
                self.change(id, out, Flow::drop_buffers);
            }
        }
    }

    /// When [`Self::expire`] next has something to do, nanoseconds on the
    /// boot-time clock.
    pub fn next_expiry(&self) -> Option<u64> {
        self.deadlines.first().map(|&(deadline, ..)| deadline)
    }

    /// Capture ends: appends what all streams leave unfinished, and forgets
    /// them.
    pub fn drain_all(&mut self, out: &mut Vec<Captured>) {
        let streams: Vec<StreamId> = self.by_use.values().copied().collect();
        for stream in streams {
            self.end(stream, out, Flow::finish);
        }
    }

    fn forget_quietest(&mut self, out: &mut Vec<Captured>) {
        if let Some((_, &stream)) = self.by_use.first_key_value() {
            self.counters.forgotten_streams += 1;
            self.end(stream, out, Flow::drop_buffers);
        }
    }

    /// Does something to a stream and keeps the books.
    fn change(
        &mut self,
        id: StreamId,
        out: &mut Vec<Captured>,
        action: impl FnOnce(&mut Flow, &mut Context<'_>),
    ) {
        let Some(entry) = self.flows.get_mut(&id) else {
            return;
        };
        let before = entry.flow.cost();
        let mut cx = Context::new(&self.limits, &mut self.counters, out);
        action(&mut entry.flow, &mut cx);
        self.buffered = self.buffered + entry.flow.cost() - before;
        let deadline = entry.flow.deadline(&self.limits);
        if deadline != entry.deadline {
            if let Some(old) = entry.deadline {
                self.deadlines.remove(&(old, id.socket, id.opened_ns));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, id.socket, id.opened_ns));
            }
            entry.deadline = deadline;
        }
    }

    /// Does something last to a stream and removes it.
    fn end(
        &mut self,
        id: StreamId,
        out: &mut Vec<Captured>,
        action: impl FnOnce(&mut Flow, &mut Context<'_>),
    ) -> Option<Flow> {
        self.change(id, out, action);
        let entry = self.flows.remove(&id)?;
        self.by_use.remove(&entry.used);
        self.buffered -= entry.flow.cost();
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id.socket, id.opened_ns));
        }
        Some(entry.flow)
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
