//! What is looked up about a caller beside capture: the package of its executable, the
//! names of its container, the name of its user in there, and what the owner's own
//! program says of it.
//!
//! All of that reads files of which nobody knows how long they take, or runs programs.
//! So it happens in threads of its own, between the pipeline and the writer:
//!
//! ```text
//! pipeline -> Lookups::send -> stage (holds records in order, remembers answers) -> writer
//!                                | questions       ^ answers
//!                                v                 |
//!                              worker (files, rpm), enrich workers (the owner's program)
//! ```
//!
//! The stage never waits for one record longer than a moment, holds few, and asks each
//! question once: what is not known in time is missing in that record, and there in
//! the next.

mod budget;
mod container;
mod dpkg;
mod package;
mod question;
mod root;
mod rpm;
mod stage;
mod user;
mod worker;

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    capabilities::{Keep, keep_only},
    enrich::{CallerKey, Enricher, Outcome},
    record::Event,
};

use question::{Ask, Found, Question};
use stage::Stage;
use worker::Worker;

/// Events and answers that may wait for the stage. It never waits for anything but
/// these, so a full channel means only that it has no processor.
const MAX_QUEUED: usize = 64;

/// Questions that may wait for the worker. Beyond that they are not asked.
const MAX_QUESTIONS: usize = 64;

/// How long the end of a run waits for what records are held for.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// Stack of a thread, bytes: they keep what is large on the heap.
const STACK: usize = 256 << 10;

/// Why lookups can't begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread `{name}`: {source}")]
pub struct SpawnError {
    name: &'static str,
    source: io::Error,
}

/// What is to be looked up.
#[derive(Debug)]
pub struct Options {
    /// The host's root directory.
    pub root: PathBuf,
    /// Whether to look for packages.
    pub packages: bool,
    /// The owner's program.
    pub enricher: Option<Enricher>,
}

/// Hands events to the stage.
#[derive(Debug)]
pub struct Lookups {
    to_stage: SyncSender<Message>,
    stage: JoinHandle<()>,
}

/// What the stage hears.
enum Message {
    /// Something to be written, and when it happened.
    Event(u64, Event),
    Answer(Question, Found),
    Enriched(CallerKey, Outcome),
    Finish,
}

impl Lookups {
    /// Starts the threads. `emit` gets every event, in order, from a thread of its own.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(
        options: Options,
        emit: impl FnMut(u64, Event) + Send + 'static,
    ) -> Result<Self, SpawnError> {
        let (to_stage, heard) = mpsc::sync_channel(MAX_QUEUED);
        let (ask, asked) = mpsc::sync_channel::<Ask>(MAX_QUESTIONS);
        let answers = to_stage.clone();
        let worker = Worker::new(options.root);
        spawn("lookup", Keep::READ_OTHERS, move || {
            worker.answer_all(&asked, &answers);
        })?;
        let enrichment = match options.enricher {
            Some(enricher) => {
                let answers = to_stage.clone();
                let said = move |key, outcome| {
                    // Nobody listens any more: the run is over.
                    let _ = answers.send(Message::Enriched(key, outcome));
                };
                Some(enricher.start(said).map_err(|source| SpawnError {
                    name: "enrich",
                    source,
                })?)
            }
            None => None,
        };
        let stage = Stage::new(
            options.packages,
            Box::new(move |question| ask.try_send(question).is_ok()),
            enrichment,
            Box::new(emit),
        );
        let stage = spawn("records", Keep::NOTHING, move || run(stage, &heard))?;
        Ok(Self { to_stage, stage })
    }

    /// Hands over an event of this moment of the boot-time clock. Returns at once
    /// unless the stage's thread has no processor.
    pub fn send(&self, boottime_ns: u64, event: Event) {
        // It ends only after `finish`.
        let _ = self.to_stage.send(Message::Event(boottime_ns, event));
    }

    /// Lets go of every event, after at most a second.
    pub fn finish(self) {
        let _ = self.to_stage.send(Message::Finish);
        if self.stage.join().is_err() {
            tracing::error!("the thread that looks things up has panicked");
        }
    }
}

fn spawn(
    name: &'static str,
    keep: Keep,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SpawnError> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || {
            keep_only(keep);
            work();
        })
        .map_err(|source| SpawnError { name, source })
}

/// Serves the stage until the end, which is when nothing is held any more.
fn run(mut stage: Stage, heard: &Receiver<Message>) {
    let mut end: Option<Instant> = None;
    loop {
        let deadline = [stage.next_deadline(), end].into_iter().flatten().min();
        let message = match deadline {
            Some(deadline) => {
                heard.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let now = Instant::now();
        match message {
            Ok(Message::Event(boottime_ns, event)) => stage.take(boottime_ns, event, now),
            Ok(Message::Answer(question, found)) => stage.answer(question, found, now),
            Ok(Message::Enriched(key, outcome)) => stage.enriched(key, outcome, now),
            Ok(Message::Finish) => end = Some(now + FINISH_WITHIN),
            Err(RecvTimeoutError::Timeout) => stage.release(now),
            Err(RecvTimeoutError::Disconnected) => end = Some(now),
        }
        if end.is_some_and(|end| now >= end || stage.is_empty()) {
            return stage.release_all();
        }
    }
}

#[cfg(test)]
mod tests;
