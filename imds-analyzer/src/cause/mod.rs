//! Why a request came without a token: what the same caller did about tokens before.
//!
//! A library that knows IMDSv2 asks for a token first and falls back to v1 if it gets
//! none. So a v1 request after such a try is another matter than one without.
//!
//! The same caller is the same process. A script runs one curl for the token and another
//! for the rest, so what a process did that asked for tokens and for nothing else counts
//! for others of its name, too, for [`SHARED_NS`]: those below the same parent, and those
//! in the same container. Nothing is known of tries before capture began
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

/// How long the token that one process has asked for explains what another one does,
/// nanoseconds.
const SHARED_NS: u64 = 60_000_000_000;

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
pub struct Caller {
    process: u64,
    /// Those of its name below its parent, and in its container.
    groups: [Option<u64>; 2],
}

/// The tries of the callers.
pub struct Causes {
    tries: Recent<u64, Tries>,
    /// Its key is secret: no process can make itself look like another.
    hasher: RandomState,
}

/// The last two tries of a caller: a request that was sent before the last one has its
/// cause in the one before.
#[derive(Clone, Copy, Default)]
struct Tries {
    last: Option<Try>,
    before: Option<Try>,
    /// Of a process: it has sent something else.
    has_sent_more: bool,
}

#[derive(Clone, Copy)]
struct Try {
    /// The process.
    by: u64,
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

    /// The caller that sent `request` as `task`; `None` if it is not known.
    pub fn caller(&self, task: &Task, request: &Request) -> Option<Caller> {
        let process = request.process.as_ref()?;
        let hash = |key: (&str, &str, u32)| self.hasher.hash_one((key, &task.process_name));
        // Everything that has lost its parent is below PID 1.
        let parent = request.ancestors.first().filter(|parent| parent.pid > 1);
        let container = process.container.as_ref();
        Some(Caller {
            process: self.hasher.hash_one((task.tgid, task.start_boottime_ns)),
            groups: [
                parent.map(|parent| hash(("parent", "", parent.pid))),
                container.map(|container| hash(("container", &container.id, 0))),
            ],
        })
    }

    /// Takes note of a request for a token that was sent at `sent_ns` of the boot-time
    /// clock: when it is seen, and again when its answer is known.
    pub fn note_try(&mut self, caller: &Caller, sent_ns: u64, answer: Answer) {
        let one = Try {
            by: caller.process,
            sent_ns,
            answer,
        };
        let known = self.update(caller.process, |tries| tries.note(one));
        if !known.has_sent_more {
            for group in caller.groups.into_iter().flatten() {
                self.update(group, |tries| tries.note(one));
            }
        }
    }

    /// Takes note of a request for anything else: what its process does about tokens
    /// concerns nobody else.
    pub fn note_other(&mut self, caller: &Caller) {
        let before = self.tries.get(&caller.process).copied();
        if before.is_some_and(|tries| tries.has_sent_more) {
            return;
        }
        self.update(caller.process, |tries| tries.has_sent_more = true);
        if before.is_some() {
            for group in caller.groups.into_iter().flatten() {
                self.update(group, |tries| tries.forget(caller.process));
            }
        }
    }

    fn update(&mut self, key: u64, change: impl FnOnce(&mut Tries)) -> Tries {
        let mut tries = self.tries.remove(&key).unwrap_or_default();
        change(&mut tries);
        self.tries.insert(key, tries);
        tries
    }

    /// Why `caller` sent a request without a token at `sent_ns` of the boot-time clock.
    /// `None` if it tried and what came of it was not seen.
    pub fn of(&mut self, caller: &Caller, sent_ns: u64) -> Option<Why> {
        let own = self
            .tries
            .get(&caller.process)
            .and_then(|tries| tries.at(sent_ns));
        let tried = own.or_else(|| {
            caller.groups.into_iter().flatten().find_map(|group| {
                let tried = self.tries.get(&group)?.at(sent_ns)?;
                (sent_ns - tried.sent_ns <= SHARED_NS).then_some(tried)
            })
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
    fn note(&mut self, one: Try) {
        let is_one = |it: Try| it.sent_ns == one.sent_ns && it.by == one.by;
        match (self.last, self.before) {
            (None, _) => self.last = Some(one),
            (Some(last), _) if is_one(last) => self.last = Some(one),
            (Some(last), _) if one.sent_ns >= last.sent_ns => {
                (self.last, self.before) = (Some(one), self.last);
            }
            (_, Some(before)) if before.sent_ns > one.sent_ns => {}
            _ => self.before = Some(one),
        }
    }

    fn forget(&mut self, process: u64) {
        self.before = self.before.filter(|it| it.by != process);
        if self.last.is_some_and(|it| it.by == process) {
            self.last = self.before.take();
        }
    }

    /// The last one before that time.
    fn at(&self, sent_ns: u64) -> Option<Try> {
        let tries = [self.last, self.before].into_iter().flatten();
        tries.into_iter().find(|one| one.sent_ns <= sent_ns)
    }
}

impl Weight for Tries {
    fn heap_bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
