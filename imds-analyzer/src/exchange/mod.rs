//! Requests and what came of them.
//!
//! A request waits here until its outcome is known: a final status, the end of its
//! stream, or a deadline. Requests and responses of a stream each come in their own
//! order; which came first of the two does not matter.
//!
//! Responses belong to requests in order. That one can only be the answer to something
//! that the server had received is the proof: a response that was sent before the first
//! byte of a request had arrived is none to that request. Where the order is not certain,
//! because responses may have passed unseen or a region of the stream was not read, only
//! a response that can belong to one request alone counts. What is not certain stays
//! [`Outcome::Unknown`]; a status is never guessed, and neither is that there was none.
//!
//! Memory is bounded by [`Limits`]. Beyond, the oldest requests go on with an outcome
//! that is not known: none is lost.
//!
//! Pure: nothing here knows HTTP, and what a request is, is the caller's.

mod queue;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
};

use crate::capture::{Received, Response, StreamId};
use queue::Queue;

/// How many closed streams are remembered, so that a request which is read behind the
/// close still gets its outcome.
const MAX_CLOSED: usize = 1024;

/// Bounds of [`Exchanges`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a request waits for its response, in nanoseconds from its send.
    pub deadline_ns: u64,
    /// Requests that wait at once.
    pub max_waiting: usize,
    /// What they may weigh together, see [`Sent::weight`].
    pub max_weight: usize,
    /// Streams of which something is remembered.
    pub max_streams: usize,
    /// Requests that wait or whose response may still come, and responses that wait for
    /// their requests, at least `max_streams`.
    pub max_queued: usize,
    /// Whether a response is seen even while nobody reads it. If not, that none was seen
    /// until the deadline does not mean that none has come.
    pub sees_unread: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ns: 5_000_000_000,
            max_waiting: 1024,
            max_weight: 2 << 20,
            max_streams: 4096,
            max_queued: 8192,
            sees_unread: true,
        }
    }
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent<T> {
    /// On which stream.
    pub stream: StreamId,
    /// Offset of its first byte in the stream, modulo 2^32.
    pub position: u32,
    /// When its first byte was sent, nanoseconds on the boot-time clock.
    pub time_ns: u64,
    /// When its last byte was sent; `None` if that is not known.
    pub sent_ns: Option<u64>,
    /// Its stream was open before capture began.
    pub started_mid_stream: bool,
    /// Bytes that the request takes.
    pub weight: usize,
    /// The request.
    pub request: T,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A final response.
    Answered(Answer),
    /// None came.
    NoResponse(NoResponse),
    /// None was read until the deadline, and that it had come would not have been seen.
    Unread,
    /// It is not known.
    Unknown,
}

/// What is known of a response.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Value of its `Server` header, any bytes; empty if not known.
    pub server: Vec<u8>,
    /// From the send of the request's last byte to the arrival of the response's first
    /// one, nanoseconds; `None` if the former is not known.
    pub latency_ns: Option<u64>,
}

impl fmt::Debug for Answer {
    /// Without the server's name, which was not looked through for secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("latency_ns", &self.latency_ns)
            .finish_non_exhaustive()
    }
}

/// Why there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// The connection was closed before.
    ConnectionClosed,
    /// None had come at the deadline.
    Deadline,
}

/// A request whose outcome is known, or will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<T> {
    /// When its first byte was sent, nanoseconds on the boot-time clock.
    pub time_ns: u64,
    /// The request.
    pub request: T,
    /// What came of it.
    pub outcome: Outcome,
}

/// Requests that wait, and responses that came before them.
#[derive(Debug)]
pub struct Exchanges<T> {
    limits: Limits,
    streams: HashMap<StreamId, Queue<T>>,
    /// Streams by when they were first noted.
    by_age: BTreeMap<u64, StreamId>,
    /// Requests that wait, by deadline and number.
    deadlines: BTreeMap<(u64, u64), StreamId>,
    weight: usize,
    /// Requests and responses that queues hold, also those that only keep a place.
    queued: usize,
    /// Number of the next stream or request.
    number: u64,
    closed: HashMap<StreamId, Queue<T>>,
    closed_order: VecDeque<StreamId>,
    /// Boot-time clock when records were last found lost: of what was sent before,
    /// silence proves nothing.
    lossy_ns: u64,
}

/// A request in its queue.
#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    deadline_ns: u64,
    position: u32,
    sent_ns: Option<u64>,
    /// Silence would prove nothing.
    doubtful: bool,
    weight: usize,
    time_ns: u64,
    /// `None` once it has gone on without its response, which may still come.
    request: Option<T>,
    /// This is no request, but a region that may hold any number of them.
    is_region: bool,
}

impl<T> Waiting<T> {
    fn region() -> Self {
        Self {
            number: 0,
            deadline_ns: 0,
            position: 0,
            sent_ns: None,
            doubtful: false,
            weight: 0,
            time_ns: 0,
            request: None,
            is_region: true,
        }
    }
}

impl<T> Exchanges<T> {
    /// Nothing waits yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: HashMap::new(),
            by_age: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            weight: 0,
            queued: 0,
            number: 0,
            closed: HashMap::new(),
            closed_order: VecDeque::new(),
            lossy_ns: 0,
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.deadlines.len()
    }

    /// A request was sent: it waits, or goes on at once.
    pub fn sent(&mut self, sent: Sent<T>, out: &mut Vec<Finished<T>>) {
        let waiting = Waiting {
            number: self.next_number(),
            deadline_ns: sent
                .sent_ns
                .unwrap_or(sent.time_ns)
                .saturating_add(self.limits.deadline_ns),
            position: sent.position,
            sent_ns: sent.sent_ns,
            doubtful: sent.started_mid_stream,
            weight: sent.weight,
            time_ns: sent.time_ns,
            request: Some(sent.request),
            is_region: false,
        };
        if let Some(queue) = self.closed.get_mut(&sent.stream) {
            return queue.sent_late(waiting, out);
        }
        self.weight += waiting.weight;
        let due = (waiting.deadline_ns, waiting.number);
        self.deadlines.insert(due, sent.stream);
        self.change(sent.stream, out, |queue, out| queue.sent(waiting, out));
        while self.deadlines.len() > self.limits.max_waiting || self.weight > self.limits.max_weight
        {
            self.give_up_first(out, |_| Outcome::Unknown);
        }
    }

    /// A region of the stream was not understood: it may hold requests, which responses
    /// belong to.
    pub fn blur(&mut self, stream: StreamId, out: &mut Vec<Finished<T>>) {
        if !self.closed.contains_key(&stream) {
            self.change(stream, out, |queue, _| queue.blur());
        }
    }

    /// Something was received.
    pub fn received(&mut self, response: Response, out: &mut Vec<Finished<T>>) {
        let Response {
            stream,
            time_ns,
            acknowledged,
            what,
        } = response;
        if self.closed.contains_key(&stream) {
            return;
        }
        self.change(stream, out, |queue, out| match what {
            Received::Status {
                code,
                server,
                resynced,
            } => {
                let early = queue::Early {
                    acknowledged,
                    time_ns,
                    code,
                    server,
                    resynced,
                };
                queue.answered(early, out);
            }
            Received::LostTrack => queue.lose_track(),
            Received::ServerDone => queue.end(out),
        });
    }

    /// A stream was closed; with `lost_track`, responses may have passed unseen.
    pub fn closed(&mut self, stream: StreamId, lost_track: bool, out: &mut Vec<Finished<T>>) {
        self.change(stream, out, |queue, out| {
            if lost_track {
                queue.lose_track();
            }
            queue.end(out);
        });
        let mut queue = self.forget(stream).unwrap_or_default();
        if lost_track {
            queue.lose_track();
        }
        if self.closed_order.len() >= MAX_CLOSED
            && let Some(oldest) = self.closed_order.pop_front()
        {
            self.closed.remove(&oldest);
        }
        if self.closed.insert(stream, queue).is_none() {
            self.closed_order.push_back(stream);
        }
    }

    /// Records of the kernel side were lost before `now_ns` of the boot-time clock.
    pub fn note_loss(&mut self, now_ns: u64) {
        self.lossy_ns = self.lossy_ns.max(now_ns);
    }

    /// Lets requests go on whose deadline has come at `now_ns` of the boot-time clock.
    pub fn expire(&mut self, now_ns: u64, out: &mut Vec<Finished<T>>) {
        let lossy_ns = self.lossy_ns;
        let sees_unread = self.limits.sees_unread;
        while let Some((&(deadline, _), _)) = self.deadlines.first_key_value()
            && deadline <= now_ns
        {
            self.give_up_first(out, |waiting| {
                if waiting.doubtful || waiting.time_ns <= lossy_ns {
                    Outcome::Unknown
                } else if !sees_unread {
                    Outcome::Unread
                } else {
                    Outcome::NoResponse(NoResponse::Deadline)
                }
            });
        }
    }

    /// When [`Self::expire`] next has something to do, nanoseconds on the boot-time
    /// clock.
    pub fn next_expiry(&self) -> Option<u64> {
        self.deadlines
            .first_key_value()
            .map(|(&(deadline, _), _)| deadline)
    }

    /// Capture ends: lets everything go on, the oldest first.
    pub fn drain_all(&mut self, out: &mut Vec<Finished<T>>) {
        while !self.deadlines.is_empty() {
            self.give_up_first(out, |_| Outcome::Unknown);
        }
        self.streams.clear();
        self.by_age.clear();
        self.queued = 0;
    }

    /// Lets the request with the earliest deadline go on without its response, whose
    /// place is kept.
    fn give_up_first(
        &mut self,
        out: &mut Vec<Finished<T>>,
        outcome: impl FnOnce(&Waiting<T>) -> Outcome,
    ) {
        if let Some((&(_, number), &stream)) = self.deadlines.first_key_value() {
            self.deadlines.pop_first();
            self.change(stream, out, |queue, out| {
                queue.give_up(number, outcome, out)
            });
        }
    }

    /// Does something to a stream, which is made if there is none, and keeps the books.
    fn change(
        &mut self,
        stream: StreamId,
        out: &mut Vec<Finished<T>>,
        action: impl FnOnce(&mut Queue<T>, &mut Vec<Finished<T>>),
    ) {
        if !self.streams.contains_key(&stream) {
            while self.streams.len() >= self.limits.max_streams.max(1)
                && let Some((_, &oldest)) = self.by_age.first_key_value()
            {
                self.keep_books(oldest, out, Queue::give_up_all);
                self.forget(oldest);
            }
            let age = self.next_number();
            self.by_age.insert(age, stream);
            self.streams.insert(stream, Queue::new(age));
        }
        self.keep_books(stream, out, action);
        if self.streams.get(&stream).is_some_and(Queue::is_blank) {
            self.forget(stream);
        }
        while self.queued > self.limits.max_queued
            && let Some(longest) = self.longest()
        {
            self.keep_books(longest, out, Queue::give_up_all);
        }
    }

    /// Does something to a stream that there is.
    fn keep_books(
        &mut self,
        stream: StreamId,
        out: &mut Vec<Finished<T>>,
        action: impl FnOnce(&mut Queue<T>, &mut Vec<Finished<T>>),
    ) {
        let Some(queue) = self.streams.get_mut(&stream) else {
            return;
        };
        let before = queue.len();
        action(queue, out);
        self.queued = self.queued + queue.len() - before;
        for gone in queue.gone.drain(..) {
            self.deadlines.remove(&(gone.deadline_ns, gone.number));
            self.weight -= gone.weight;
        }
    }

    /// The stream with the most in its queue, if any has more than one thing.
    fn longest(&self) -> Option<StreamId> {
        let queues = self.streams.iter().filter(|(_, queue)| queue.len() > 1);
        queues
            .max_by_key(|(_, queue)| queue.len())
            .map(|(stream, _)| *stream)
    }

    /// Removes a stream.
    fn forget(&mut self, stream: StreamId) -> Option<Queue<T>> {
        let queue = self.streams.remove(&stream)?;
        self.by_age.remove(&queue.age);
        self.queued -= queue.len();
        Some(queue)
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

#[cfg(test)]
mod tests;
