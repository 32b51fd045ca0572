//! One stream: what was read of it, and how the next byte is to be taken.

use std::mem;

use super::ahead::{Ahead, Segment};
use super::body::Body;
use super::captured::{Captured, Origin, Reason};
use super::heads::Partial;
use super::{Counters, Limits};
use crate::capture::{Chunk, Payload, StreamId};
use crate::http;

/// Where a stream's first byte is put, so that positions below it need no sign.
const ORIGIN: u64 = 1 << 32;

/// What a partial head costs beside its bytes, for the bounds.
const PARTIAL_COST: usize = 256;

/// What a flow needs of its surroundings.
pub(super) struct Context<'a> {
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut Counters,
    pub(super) out: &'a mut Vec<Captured>,
    /// The segment that is being read.
    pub(super) segment: Place,
}

/// Where a segment begins in the stream, counted from [`ORIGIN`], and when it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) time_ns: u64,
}

/// The state of one stream: small while nothing is buffered, because it lives
/// as long as the socket does.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) stream: StreamId,
    /// Position of the first byte that was not read, counted from [`ORIGIN`].
    next: u64,
    pub(super) state: State,
    /// There only while the stream waits at a gap.
    ahead: Option<Box<Ahead>>,
    /// Boot-time clock of the last chunk.
    last_ns: u64,
    /// It was open before capture began.
    pub(super) started_mid_stream: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// A request line, or empty lines before it, come next. With a reason, a
    /// request line is there but was taken up behind a lost region.
    Between(Option<Reason>),
    /// In a head.
    Head(Box<Partial>),
    /// In a body.
    Body(Body),
    /// Boundaries are not known.
    Lost(Lost),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    reason: Reason,
    /// The region has its record.
    reported: bool,
    /// A chunk that begins with a request line ends the region.
    may_resume: bool,
}

impl Flow {
    /// A stream whose first chunk is this one. `forgotten` if streams were
    /// forgotten before, so that this may be one of them.
    pub(super) fn new(chunk: &Chunk, forgotten: bool) -> Self {
        let reason = if chunk.started_mid_stream {
            Some(Reason::StartedMidStream)
        } else if forgotten && chunk.position != 0 {
            Some(Reason::TooManyStreams)
        } else if chunk.position > i32::MAX as u32 {
            Some(Reason::BytesMissing)
        } else {
            None
        };
        let (next, state) = match reason {
            Some(reason) => {
                let lost = Lost {
                    reason,
                    reported: false,
                    may_resume: true,
                };
                (ORIGIN + u64::from(chunk.position), State::Lost(lost))
            }
            None => (ORIGIN, State::Between(None)),
        };
        Self {
            stream: chunk.stream,
            next,
            state,
            ahead: None,
            last_ns: chunk.time_ns,
            started_mid_stream: chunk.started_mid_stream,
        }
    }

    /// Takes a chunk of this stream.
    pub(super) fn push(&mut self, chunk: Chunk, cx: &mut Context<'_>) {
        self.last_ns = self.last_ns.max(chunk.time_ns);
        let distance = chunk.position.wrapping_sub(self.next as u32) as i32;
        let start = self.next.wrapping_add_signed(i64::from(distance));
        let end = start + u64::from(chunk.payload.len());
        if end <= self.next {
            cx.counters.duplicate_chunks += 1;
            return;
        }
        let origin = Origin {
            time_ns: chunk.time_ns,
            task: chunk.task,
            netns: chunk.netns,
            destination: chunk.destination,
        };
        match chunk.payload {
            Payload::Bytes(bytes) if !chunk.position_uncertain => {
                let mut segment = Segment {
                    bytes,
                    origin,
                    starts_chunk: true,
                };
                if start <= self.next && self.ahead.is_none() {
                    if start < self.next {
                        segment.bytes.drain(..(self.next - start) as usize);
                        segment.starts_chunk = false;
                    }
                    self.read(segment, cx);
                } else {
                    self.ahead.get_or_insert_default().insert(start, segment);
                    self.advance(cx);
                }
            }
            // The range is a gap until certain bytes fill it, which another
            // source of chunks may still deliver.
            _ => {
                let ahead = self.ahead.get_or_insert_default();
                if chunk.position_uncertain && ahead.covers(start.max(self.next), end) {
                    cx.counters.duplicate_chunks += 1;
                } else {
                    ahead.note_gap(start, end, chunk.position_uncertain, origin);
                }
                self.advance(cx);
            }
        }
        let full = |ahead: &Ahead| {
            ahead.cost() > cx.limits.max_ahead || ahead.segments() > cx.limits.max_ahead_segments
        };
        if self.ahead.as_deref().is_some_and(full) {
            self.give_up_gap(cx);
        }
    }

    /// Ends what waits too long; see [`Self::deadline`].
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        if self.ahead.is_some() {
            self.give_up_gap(cx);
        } else {
            self.lose(Reason::IncompleteHead, None, cx);
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        self.give_up_gap(cx);
        self.lose(Reason::IncompleteHead, None, cx);
    }

    /// Forgets what is buffered.
    pub(super) fn drop_buffers(&mut self, cx: &mut Context<'_>) {
        let origin = self
            .ahead
            .as_ref()
            .and_then(|ahead| ahead.gap_origin(self.next));
        self.lose(Reason::TooManyStreams, origin, cx);
        if let Some(ahead) = self.ahead.take() {
            self.next = self.next.max(ahead.sent_end());
        }
    }

    /// When [`Self::expire`] is due on the boot-time clock; `None` while nothing
    /// is buffered.
    pub(super) fn deadline(&mut self, limits: &Limits) -> Option<u64> {
        if let Some(ahead) = &mut self.ahead {
            let since = ahead.waiting_since(self.next, self.last_ns);
            return Some(since.saturating_add(limits.gap_timeout_ns));
        }
        matches!(self.state, State::Head(_))
            .then(|| self.last_ns.saturating_add(limits.idle_timeout_ns))
    }

    /// Bytes that the stream's buffers take.
    pub(super) fn cost(&self) -> usize {
        let ahead = self
            .ahead
            .as_ref()
            .map_or(0, |ahead| ahead.cost() + PARTIAL_COST);
        match &self.state {
            State::Head(partial) => ahead + partial.bytes.capacity() + PARTIAL_COST,
            _ => ahead,
        }
    }

    /// Reads on through what has arrived, up to a gap that matters.
    fn advance(&mut self, cx: &mut Context<'_>) {
        while let Some(ahead) = &mut self.ahead {
            if let Some(segment) = ahead.take(self.next) {
                self.read(segment, cx);
                continue;
            }
            let Some(gap_end) = ahead.gap_end(self.next) else {
                self.ahead = None;
                return;
            };
            let gap = gap_end - self.next;
            match self.state {
                // What is missing of a body is not missed.
                State::Body(body) if body.opaque() > 0 && !ahead.uncertain_at(self.next) => {
                    let passed = gap.min(body.opaque());
                    self.next += passed;
                    self.state = body.pass(passed).map_or(State::Between(None), State::Body);
                }
                State::Lost(lost) => {
                    if let Some(origin) = ahead.gap_origin(self.next) {
                        self.report(lost, origin, cx);
                    }
                    cx.counters.skipped_bytes += gap;
                    self.next = gap_end;
                }
                _ => return,
            }
        }
    }

    /// The bytes at the next position will not come.
    fn give_up_gap(&mut self, cx: &mut Context<'_>) {
        let Some(ahead) = &self.ahead else { return };
        let reason = if ahead.uncertain_at(self.next) {
            Reason::ConcurrentSenders
        } else {
            Reason::BytesMissing
        };
        let origin = ahead.gap_origin(self.next);
        self.lose(reason, origin, cx);
        self.advance(cx);
    }

    /// Reads the bytes at the next position.
    fn read(&mut self, segment: Segment, cx: &mut Context<'_>) {
        let Segment {
            mut bytes,
            origin,
            starts_chunk,
        } = segment;
        let len = bytes.len();
        cx.segment = Place {
            start: self.next,
            time_ns: origin.time_ns,
        };
        self.next += len as u64;
        let mut at = 0;
        while at < len {
            match &mut self.state {
                State::Between(suspect) => {
                    let suspect = suspect.take();
                    at = self.begin_head(&mut bytes, at, &origin, suspect, cx);
                }
                State::Head(_) => at = self.continue_head(&bytes, at, cx),
                State::Body(body) => match body.read(&bytes[at..]) {
                    Ok((read, rest)) => {
                        at += read;
                        self.state = rest.map_or(State::Between(None), State::Body);
                    }
                    Err(_) => self.state = State::Lost(Lost::AMBIGUOUS),
                },
                State::Lost(lost) => {
                    let lost = *lost;
                    let resumes = lost.may_resume && starts_chunk && at == 0;
                    if resumes && http::begins_with_request_line(&bytes) {
                        self.state = State::Between(Some(lost.reason));
                        continue;
                    }
                    cx.counters.skipped_bytes += (len - at) as u64;
                    self.report(lost, origin, cx);
                    return;
                }
            }
        }
    }

    /// Boundaries are not known from here on. The record names the sender of
    /// the head that is broken off, else `origin`; with neither there is none.
    fn lose(&mut self, reason: Reason, origin: Option<Origin>, cx: &mut Context<'_>) {
        let lost = State::Lost(Lost::reported(reason));
        match mem::replace(&mut self.state, State::Between(None)) {
            State::Head(partial) => self.fail(*partial, reason, cx),
            state @ State::Lost(_) => self.state = state,
            state => match origin {
                Some(origin) => {
                    self.state = lost;
                    cx.broken(origin.broken(self.stream, reason, Vec::new(), true));
                }
                None => self.state = state,
            },
        }
    }

    /// Writes the record of a lost region unless it has one.
    fn report(&mut self, lost: Lost, origin: Origin, cx: &mut Context<'_>) {
        if !lost.reported {
            self.state = State::Lost(Lost {
                reported: true,
                ..lost
            });
            cx.broken(origin.broken(self.stream, lost.reason, Vec::new(), true));
        }
    }
}

impl Lost {
    /// Behind a request whose body has no certain end. Nothing in it can be
    /// trusted to be a request, so it lasts until the stream closes.
    pub(super) const AMBIGUOUS: Self = Self {
        reason: Reason::AmbiguousFraming,
        reported: false,
        may_resume: false,
    };

    pub(super) fn reported(reason: Reason) -> Self {
        Self {
            reason,
            reported: true,
            may_resume: true,
        }
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(
        limits: &'a Limits,
        counters: &'a mut Counters,
        out: &'a mut Vec<Captured>,
    ) -> Self {
        Self {
            limits,
            counters,
            out,
            segment: Place::default(),
        }
    }

    pub(super) fn broken(&mut self, captured: Captured) {
        self.counters.unknown += 1;
        self.out.push(captured);
    }
}
