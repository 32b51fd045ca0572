//! One stream: requests in the order of their bytes, and responses that came before the
//! requests that they may belong to.

use std::{collections::VecDeque, mem};

use super::{Answer, Finished, NoResponse, Outcome, Waiting};

/// Most requests of one stream that wait, or whose response may still come.
const MAX_QUEUED: usize = 256;

/// Most responses that wait for their requests. A request is told before its response in
/// nearly every case.
const MAX_EARLY: usize = 64;

/// A response.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) acknowledged: u32,
    pub(super) time_ns: u64,
    pub(super) code: u16,
    pub(super) server: Vec<u8>,
    /// Responses before it may have passed unseen.
    pub(super) resynced: bool,
}

/// A request that has left the queue, for the books.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) number: u64,
    pub(super) deadline_ns: u64,
    pub(super) weight: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// When it was made, as a number.
    pub(super) age: u64,
    waiting: VecDeque<Waiting<T>>,
    /// There only while no request waits.
    early: VecDeque<Early>,
    /// What the server had received when it sent the last response, and when that came.
    answered: Option<(u32, u64)>,
    /// Responses may pass unseen.
    lost: bool,
    /// What left since the books were kept.
    pub(super) gone: Vec<Gone>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new(0)
    }
}

/// Whether the server had received something of what begins at `position`.
fn covers(acknowledged: u32, position: u32) -> bool {
    acknowledged.wrapping_sub(position).cast_signed() > 0
}

impl<T> Queue<T> {
    pub(super) fn new(age: u64) -> Self {
        Self {
            age,
            waiting: VecDeque::new(),
            early: VecDeque::new(),
            answered: None,
            lost: false,
            gone: Vec::new(),
        }
    }

    /// Whether nothing has to be remembered of the stream.
    pub(super) fn is_blank(&self) -> bool {
        self.waiting.is_empty() && self.early.is_empty() && !self.lost
    }

    /// How much is remembered of it, as a number of requests.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.early.len()
    }

    /// A request was sent.
    pub(super) fn sent(&mut self, mut waiting: Waiting<T>, out: &mut Vec<Finished<T>>) {
        if let Some(outcome) = self.take_early(&waiting) {
            self.let_go(waiting, outcome, out);
            return;
        }
        if self.waiting.len() >= MAX_QUEUED {
            self.give_up_all(out);
        }
        waiting.doubtful |= self.lost;
        self.waiting.push_back(waiting);
    }

    /// A request is read of a stream that was closed before.
    pub(super) fn sent_late(&mut self, mut waiting: Waiting<T>, out: &mut Vec<Finished<T>>) {
        let outcome = match self.take_early(&waiting) {
            Some(outcome) => outcome,
            None if self.lost || waiting.doubtful => Outcome::Unknown,
            None => Outcome::NoResponse(NoResponse::ConnectionClosed),
        };
        finish(&mut waiting, outcome, out);
    }

    /// The outcome of a request whose response has come before it was read.
    fn take_early(&mut self, waiting: &Waiting<T>) -> Option<Outcome> {
        while let Some(first) = self.early.front()
            && !covers(first.acknowledged, waiting.position)
        {
            // To a region before it, or to nothing.
            self.early.pop_front();
        }
        let early = self.early.pop_front()?;
        if early.resynced || !self.waiting.is_empty() {
            return Some(Outcome::Unknown);
        }
        Some(answer(early, waiting))
    }

    /// A final response came.
    pub(super) fn answered(&mut self, early: Early, out: &mut Vec<Finished<T>>) {
        let before = self.answered.replace((early.acknowledged, early.time_ns));
        if early.resynced {
            // From here on it is followed again.
            self.lost = false;
        }
        if self.waiting.iter().all(|it| it.is_region) {
            if self.early.len() >= MAX_EARLY {
                self.early.clear();
                self.blur();
            }
            self.early.push_back(early);
            return;
        }
        // To which it may belong: a region, and requests that the server knew of.
        let candidates = self
            .waiting
            .iter()
            .take_while(|it| it.is_region || covers(early.acknowledged, it.position));
        let (mut all, mut requests, mut first) = (0, 0, None);
        for candidate in candidates {
            all += 1;
            if !candidate.is_region {
                requests += 1;
                first = first.or(Some((all, candidate.position, candidate.time_ns)));
            }
        }
        let Some((place, position, time_ns)) = first else {
            // To the region, or to nothing.
            return;
        };
        let certain = if place > 1 {
            // Behind a region. Its client waits for one response before it sends the
            // next request, and the region had its own.
            requests == 1
                && all == place
                && !early.resynced
                && before
                    .is_some_and(|(acknowledged, at)| acknowledged == position && at <= time_ns)
        } else {
            all == 1 || !early.resynced
        };
        if certain {
            for _ in 1..place {
                self.leave(|_| Outcome::Unknown, out);
            }
            self.leave(|first| answer(early, first), out);
        } else {
            for _ in 0..all {
                self.leave(|_| Outcome::Unknown, out);
            }
            self.waiting.push_front(Waiting::region());
        }
    }

    /// There was a region that may hold requests.
    pub(super) fn blur(&mut self) {
        if !self.waiting.back().is_some_and(|last| last.is_region) {
            self.waiting.push_back(Waiting::region());
        }
    }

    /// Lets every request go on, to remember no more than that there were some.
    pub(super) fn give_up_all(&mut self, out: &mut Vec<Finished<T>>) {
        self.release(|_| Outcome::Unknown, out);
        self.early.clear();
        self.blur();
    }

    /// Responses may pass unseen from here on.
    pub(super) fn lose_track(&mut self) {
        self.lost = true;
        for waiting in &mut self.waiting {
            waiting.doubtful = true;
        }
    }

    /// No response will come any more.
    pub(super) fn end(&mut self, out: &mut Vec<Finished<T>>) {
        let outcome = if self.lost {
            Outcome::Unknown
        } else {
            Outcome::NoResponse(NoResponse::ConnectionClosed)
        };
        let has_region = self.waiting.iter().any(|it| it.is_region);
        self.release(|_| outcome.clone(), out);
        if has_region {
            self.blur();
        }
    }

    /// Lets a request go on without its response, whose place is kept.
    pub(super) fn give_up(
        &mut self,
        number: u64,
        outcome: impl FnOnce(&Waiting<T>) -> Outcome,
        out: &mut Vec<Finished<T>>,
    ) {
        let found = self.waiting.iter_mut().find(|it| it.number == number);
        if let Some(waiting) = found {
            let outcome = outcome(waiting);
            finish(waiting, outcome, out);
            self.gone.push(Gone {
                number,
                deadline_ns: waiting.deadline_ns,
                weight: mem::take(&mut waiting.weight),
            });
        }
    }

    /// Lets every request go on.
    pub(super) fn release(
        &mut self,
        outcome: impl Fn(&Waiting<T>) -> Outcome,
        out: &mut Vec<Finished<T>>,
    ) {
        while !self.waiting.is_empty() {
            self.leave(&outcome, out);
        }
    }

    /// Lets the first request go on.
    fn leave(&mut self, outcome: impl FnOnce(&Waiting<T>) -> Outcome, out: &mut Vec<Finished<T>>) {
        if let Some(first) = self.waiting.pop_front() {
            let outcome = outcome(&first);
            self.let_go(first, outcome, out);
        }
    }

    fn let_go(&mut self, mut waiting: Waiting<T>, outcome: Outcome, out: &mut Vec<Finished<T>>) {
        finish(&mut waiting, outcome, out);
        if !waiting.is_region {
            self.gone.push(Gone {
                number: waiting.number,
                deadline_ns: waiting.deadline_ns,
                weight: waiting.weight,
            });
        }
    }
}

fn answer<T>(early: Early, waiting: &Waiting<T>) -> Outcome {
    Outcome::Answered(Answer {
        status: early.code,
        server: early.server,
        latency_ns: waiting
            .sent_ns
            .and_then(|sent_ns| early.time_ns.checked_sub(sent_ns)),
    })
}

fn finish<T>(waiting: &mut Waiting<T>, outcome: Outcome, out: &mut Vec<Finished<T>>) {
    if let Some(request) = waiting.request.take() {
        out.push(Finished {
            time_ns: waiting.time_ns,
            request,
            outcome,
        });
    }
}
