//! Holds records until what is looked up for them is known, for a moment, in order.
//!
//! Pure: the time, the questions and the program are handed in.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::question::{Ask, Found, Question};
use crate::{
    attribution::recent::{Recent, Weight},
    enrich::{CallerKey, Enrichment, Outcome},
    record::{Event, Process, Request},
};

/// How long a record waits for answers. A search of dpkg's files takes some 30 ms,
/// rpm 100 ms.
const WAIT: Duration = Duration::from_millis(300);

/// How much longer than its program may take an enrichment is waited for.
const GRACE: Duration = Duration::from_millis(100);

/// Most records that are held, and most bytes of arguments in them.
const MAX_HELD: usize = 256;
const MAX_HELD_BYTES: usize = 1 << 20;

/// Room for answers that are remembered, bytes.
const MAX_KNOWN_BYTES: usize = 512 * 1024;

/// How long an answer is believed. What an executable's package is changes with the
/// file, which is part of the question.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// How long it is believed that there is no answer: state files and databases may be
/// written a moment after a program has begun.
const NOTHING_FOR: Duration = Duration::from_secs(60);

/// How long a question is not asked again that there was no time for.
const NOT_NOW_FOR: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Stage {
    packages: bool,
    /// False if the question can't be asked now.
    ask: Box<dyn FnMut(Ask) -> bool + Send>,
    enrichment: Option<Enrichment>,
    emit: Box<dyn FnMut(u64, Event) + Send>,
    known: Recent<Question, Known>,
    asked: HashSet<Question>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

/// An answer.
struct Known {
    until: Instant,
    found: Found,
    question_bytes: usize,
}

/// An event that is held, or waits for one before it.
struct Held {
    boottime_ns: u64,
    event: Event,
    bytes: usize,
    /// Questions without an answer yet.
    waits: Vec<Question>,
    /// When it stops to wait for the answers.
    until: Instant,
    program: Program,
}

/// How far the owner's program is with a record.
enum Program {
    NotYet,
    Waiting { key: CallerKey, until: Instant },
    Done,
}

impl Stage {
    pub(super) fn new(
        packages: bool,
        ask: Box<dyn FnMut(Ask) -> bool + Send>,
        enrichment: Option<Enrichment>,
        emit: Box<dyn FnMut(u64, Event) + Send>,
    ) -> Self {
        Self {
            packages,
            ask,
            enrichment,
            emit,
            known: Recent::new(MAX_KNOWN_BYTES),
            asked: HashSet::new(),
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Takes an event: asks what is not known of its caller, and lets it go if nothing
    /// is missing.
    pub(super) fn take(&mut self, boottime_ns: u64, mut event: Event, now: Instant) {
        let waits = match &mut event {
            Event::ImdsRequest(request) => self.ask_about(request, now),
            _ => Vec::new(),
        };
        let bytes = weight(&event);
        self.held_bytes += bytes;
        self.held.push_back(Held {
            boottime_ns,
            event,
            bytes,
            waits,
            until: now + WAIT,
            program: Program::NotYet,
        });
        self.release(now);
    }

    /// Adds what is known, and returns the questions that were asked.
    fn ask_about(&mut self, request: &mut Request, now: Instant) -> Vec<Question> {
        let Some(process) = &mut request.process else {
            return Vec::new();
        };
        let above: Vec<u32> = request.ancestors.iter().map(|it| it.pid).collect();
        let mut waits = Vec::new();
        for question in Question::about(process, self.packages) {
            let known = self.known.get(&question);
            if let Some(known) = known.filter(|known| now < known.until) {
                known.found.describe(process);
            } else if self.asked.contains(&question)
                || (self.ask)(question.ask(process.pid, &above))
            {
                self.asked.insert(question.clone());
                waits.push(question);
            }
        }
        waits
    }

    /// Hears an answer.
    pub(super) fn answer(&mut self, question: Question, found: Found, now: Instant) {
        self.asked.remove(&question);
        for held in &mut self.held {
            let before = held.waits.len();
            held.waits.retain(|it| *it != question);
            if held.waits.len() < before
                && let Some(process) = process_of(&mut held.event)
            {
                found.describe(process);
            }
        }
        let known_for = match found {
            Found::Nothing => NOTHING_FOR,
            Found::NotNow => NOT_NOW_FOR,
            Found::Package(_) | Found::Names(_) | Found::User(_) => KNOWN_FOR,
        };
        let known = Known {
            until: now + known_for,
            found,
            question_bytes: 2 * question.heap_bytes(),
        };
        self.known.insert(question, known);
        self.release(now);
    }

    /// Hears what the owner's program said.
    pub(super) fn enriched(&mut self, key: CallerKey, outcome: Outcome, now: Instant) {
        for held in &mut self.held {
            if let Program::Waiting { key: waited, .. } = &held.program
                && *waited == key
                && let Event::ImdsRequest(request) = &mut held.event
            {
                outcome.describe(request);
                held.program = Program::Done;
            }
        }
        if let Some(enrichment) = &mut self.enrichment {
            enrichment.remember(key, outcome, now);
        }
        self.release(now);
    }

    /// Lets go of what is ready, has waited long enough, or takes too much room.
    pub(super) fn release(&mut self, now: Instant) {
        for at in 0..self.held.len() {
            self.move_on(at, now);
        }
        while let Some(first) = self.held.front() {
            let is_too_much = self.held.len() > MAX_HELD || self.held_bytes > MAX_HELD_BYTES;
            if !is_too_much && !matches!(first.program, Program::Done) {
                return;
            }
            self.release_first();
        }
    }

    /// Hands a record to the owner's program once its names are known, or gives up
    /// what it has waited for.
    fn move_on(&mut self, at: usize, now: Instant) {
        let Some(held) = self.held.get_mut(at) else {
            return;
        };
        if matches!(held.program, Program::NotYet) && (held.waits.is_empty() || now >= held.until) {
            held.waits.clear();
            held.program = match (&mut held.event, &mut self.enrichment) {
                (Event::ImdsRequest(request), Some(enrichment)) => {
                    match enrichment.begin(request, now) {
                        Some(key) => Program::Waiting {
                            key,
                            until: now + enrichment.time() + GRACE,
                        },
                        None => Program::Done,
                    }
                }
                _ => Program::Done,
            };
        }
        if let Program::Waiting { until, .. } = held.program
            && now >= until
        {
            give_up(&mut held.event);
            held.program = Program::Done;
        }
    }

    /// Lets go of everything.
    pub(super) fn release_all(&mut self) {
        while !self.held.is_empty() {
            self.release_first();
        }
    }

    fn release_first(&mut self) {
        if let Some(mut first) = self.held.pop_front() {
            self.held_bytes -= first.bytes;
            if self.enrichment.is_some() && !matches!(first.program, Program::Done) {
                give_up(&mut first.event);
            }
            (self.emit)(first.boottime_ns, first.event);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When [`Self::release`] next has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.held.iter().filter_map(|held| match &held.program {
            Program::NotYet => Some(held.until),
            Program::Waiting { until, .. } => Some(*until),
            Program::Done => None,
        });
        deadlines.min()
    }
}

fn give_up(event: &mut Event) {
    if let Event::ImdsRequest(request) = event {
        Outcome::Late.describe(request);
    }
}

fn process_of(event: &mut Event) -> Option<&mut Process> {
    match event {
        Event::ImdsRequest(request) => request.process.as_mut(),
        _ => None,
    }
}

/// What is large in an event, bytes.
fn weight(event: &Event) -> usize {
    match event {
        Event::ImdsRequest(request) => {
            let args = request.process.as_ref().map(|it| it.args.heap_bytes());
            args.unwrap_or(0) + request.ancestors.heap_bytes()
        }
        _ => 0,
    }
}

impl Weight for Known {
    fn heap_bytes(&self) -> usize {
        self.question_bytes + self.found.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
