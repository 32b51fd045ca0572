//! Why a request came without a token: what the same caller did about tokens before.
//!
//! A library that knows IMDSv2 asks for a token first and falls back to v1 if it gets
//! none. So a v1 request after such a try is another matter than one without.
//!
//! The same caller is, in this order, the same process; a process of the same name below
//! the same parent (a script runs curl once for the token and once without it); a process
//! of the same name in the same container. Nothing is known of tries before capture began
//! and of those that were forgotten, see [`MAX_BYTES`]: libraries try again whenever they
//! fetch, so both are told by the next request.

use std::hash::{BuildHasher as _, RandomState};

use crate::{
    attribution::recent::{Recent, Weight},
    capture::Task,
    record::{Cause, Request},
};

/// Room for what callers tried, bytes: some two thousand callers.
const MAX_BYTES: usize = 768 * 1024;

/// A [`Cause`], and with [`Cause::TokenRefused`] the status code of the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// The cause.
    pub cause: Cause,
    /// Status code of the refusal.
    pub status: Option<u16>,
}

/// What came of asking for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None so far.
    Awaited,
    /// None came.
    Missing,
    /// This status code.
    Status(u16),
    /// What came was not seen.
    Unknown,
}

/// Who asks, in each sense in which two callers may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller([Option<u64>; 3]);

/// The tries of the callers.
pub struct Causes {
    tries: Recent<u64, Tries>,
    /// Its key is secret: no process can make itself look like another.
    hasher: RandomState,
}

/// The last two tries of a caller: a request that was sent before the last one has its
/// cause in the one before.
#[derive(Clone, Copy)]
struct Tries {
    last: Try,
    before: Option<Try>,
}

#[derive(Clone, Copy)]
struct Try {
    sent_ns: u64,
    answer: Answer,
}

impl Causes {
    /// Nobody has tried yet.
    pub fn new() -> Self {
        Self {
            tries: Recent::new(MAX_BYTES),
            hasher: RandomState::new(),
        }
    }

    /// The caller that sent `request` as `task`.
    pub fn caller(&self, task: &Task, request: &Request) -> Caller {
        let known = task.tgid != 0;
        let process = known.then(|| {
            self.hasher
                .hash_one(("process", task.tgid, task.start_boottime_ns))
        });
        // Everything that has lost its parent is below PID 1.
        let parent = request.ancestors.first().filter(|parent| parent.pid > 1);
        let below = parent.filter(|_| known).map(|parent| {
            self.hasher
                .hash_one(("parent", parent.pid, &task.process_name))
        });
        let container = request
            .process
            .as_ref()
            .and_then(|process| process.container.as_ref());
        let inside = container.map(|container| {
            let id = (&container.id, &container.inner_id);
            self.hasher.hash_one(("container", id, &task.process_name))
        });
        Caller([process, below, inside])
    }

    /// Takes note of a request for a token that was sent at `sent_ns` of the boot-time
    /// clock: when it is seen, and again when its answer is known.
    pub fn note_try(&mut self, caller: &Caller, sent_ns: u64, answer: Answer) {
        let one = Try { sent_ns, answer };
        for key in caller.0.into_iter().flatten() {
            let tries = match self.tries.remove(&key) {
                None => Tries {
                    last: one,
                    before: None,
                },
                Some(known) => known.with(one),
            };
            self.tries.insert(key, tries);
        }
    }

    /// Why `caller` sent a request without a token at `sent_ns` of the boot-time clock.
    /// `None` if it tried and what came of it was not seen, or if it is not known.
    pub fn of(&mut self, caller: &Caller, sent_ns: u64) -> Option<Why> {
        if caller.0 == [None; 3] {
            return None;
        }
        let tried = caller.0.into_iter().flatten().find_map(|key| {
            let tries = self.tries.get(&key)?;
            let mut tries = [Some(tries.last), tries.before].into_iter().flatten();
            tries.find(|one| one.sent_ns <= sent_ns)
        });
        let cause = match tried.map(|one| one.answer) {
            None => Cause::NeverAskedForToken,
            Some(Answer::Unknown) => return None,
            Some(Answer::Awaited | Answer::Missing) => Cause::TokenUnanswered,
            Some(Answer::Status(200..=299)) => Cause::TokenNotUsed,
            Some(Answer::Status(status)) => {
                return Some(Why {
                    cause: Cause::TokenRefused,
                    status: Some(status),
                });
            }
        };
        Some(Why {
            cause,
            status: None,
        })
    }
}

impl Default for Causes {
    fn default() -> Self {
        Self::new()
    }
}

impl Tries {
    fn with(self, one: Try) -> Self {
        if one.sent_ns == self.last.sent_ns {
            Self { last: one, ..self }
        } else if one.sent_ns > self.last.sent_ns {
            Self {
                last: one,
                before: Some(self.last),
            }
        } else if self.before.is_none_or(|it| it.sent_ns <= one.sent_ns) {
            Self {
                before: Some(one),
                ..self
            }
        } else {
            self
        }
    }
}

impl Weight for Tries {
    fn heap_bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
