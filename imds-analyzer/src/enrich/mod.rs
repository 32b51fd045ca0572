//! What a program of the owner's says of a caller.
//!
//! It gets the record on its standard input and writes a JSON object, which becomes
//! the record's `enrichment`. It is run in threads of its own, so many at once as the
//! configuration says, each for so long as it says; one answer serves all callers of
//! the same kind ([`CallerKey`]).

mod answer;
mod caller;

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use crate::{
    attribution::recent::{Recent, Weight},
    capabilities::{Keep, keep_only},
    config,
    program::{RunError, Runner},
    record::Request,
};

pub use caller::CallerKey;
use caller::Callers;

/// Questions that may wait for each thread.
const MAX_WAITING: usize = 8;

/// Room for answers that are remembered, bytes.
const MAX_KNOWN_BYTES: usize = 512 * 1024;

/// How long a failure is remembered at most: what made it may be gone.
const FAILED_FOR: Duration = Duration::from_secs(10);

/// Stack of a thread, bytes.
const STACK: usize = 256 << 10;

/// Why the program that the configuration names can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// It can't be looked at.
    #[error("enrich.command: cannot use {}: {source}", path.display())]
    Unusable {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no file that can be executed.
    #[error("enrich.command: {} is no executable file", .0.display())]
    NotExecutable(PathBuf),
}

/// What came of asking the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it said.
    Said(Map<String, Value>),
    /// It was not done when the record had to go.
    Late,
    /// Too many were waiting.
    Busy,
    /// It was killed, because it took too long.
    TimedOut,
    /// It could not be run, or ended with another code than 0.
    Failed,
    /// It said something else than an object within bounds.
    BadAnswer,
}

impl Outcome {
    /// Adds it to a record.
    pub fn describe(&self, request: &mut Request) {
        match self {
            Self::Said(fields) => request.enrichment = Some(fields.clone()),
            Self::Late => request.enrichment_error = Some("late"),
            Self::Busy => request.enrichment_error = Some("busy"),
            Self::TimedOut => request.enrichment_error = Some("timed_out"),
            Self::Failed => request.enrichment_error = Some("failed"),
            Self::BadAnswer => request.enrichment_error = Some("bad_answer"),
        }
    }
}

/// The owner's program, not yet in use.
#[derive(Clone, Debug)]
pub struct Enricher {
    command: Vec<String>,
    time: Duration,
    threads: usize,
    known_for: Duration,
}

/// A record for the program.
struct Ask {
    key: CallerKey,
    line: Vec<u8>,
}

impl Enricher {
    /// The program of the configuration; `None` if it names none.
    ///
    /// # Errors
    /// It is no file, or may not be executed.
    pub fn new(config: &config::Enrich) -> Result<Option<Self>, EnrichError> {
        let Some(program) = config.command.first() else {
            return Ok(None);
        };
        let path = PathBuf::from(program);
        let metadata = fs::metadata(&path).map_err(|source| EnrichError::Unusable {
            path: path.clone(),
            source,
        })?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(EnrichError::NotExecutable(path));
        }
        Ok(Some(Self {
            command: config.command.clone(),
            time: Duration::from_millis(config.timeout_ms.into()),
            threads: config.max_concurrent as usize,
            known_for: Duration::from_secs(config.cache_s.into()),
        }))
    }

    /// Starts the threads that run the program. `said` hears every outcome.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(
        self,
        said: impl Fn(CallerKey, Outcome) + Clone + Send + 'static,
    ) -> io::Result<Enrichment> {
        let (asks, asked) = mpsc::sync_channel(MAX_WAITING * self.threads);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..self.threads {
            let (asked, said) = (Arc::clone(&asked), said.clone());
            let (command, time) = (self.command.clone(), self.time);
            thread::Builder::new()
                .name("enrich".to_owned())
                .stack_size(STACK)
                .spawn(move || {
                    // Nor has the program any: it is not ours.
                    keep_only(Keep::NOTHING);
                    answer_all(&asked, &command, time, &said);
                })?;
        }
        Ok(Enrichment::new(asks, self.time, self.known_for))
    }
}

fn answer_all(
    asked: &Mutex<Receiver<Ask>>,
    command: &[String],
    time: Duration,
    said: &impl Fn(CallerKey, Outcome),
) {
    let mut runner = Runner::default();
    let next = || asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(ask) = next() {
        let outcome = run(&mut runner, command, time, &ask.line);
        said(ask.key, outcome);
    }
}

fn run(runner: &mut Runner, command: &[String], time: Duration, line: &[u8]) -> Outcome {
    let Some((program, args)) = command.split_first() else {
        return Outcome::Failed;
    };
    let said = runner.run(
        Command::new(program).args(args),
        line,
        time,
        answer::MAX_BYTES,
    );
    match said {
        Ok(said) => match answer::read(&said) {
            Some(fields) => Outcome::Said(fields),
            None => {
                tracing::warn!(
                    program,
                    "the enrich command said no JSON object within bounds"
                );
                Outcome::BadAnswer
            }
        },
        Err(error) => {
            tracing::warn!(program, %error, "no answer of the enrich command");
            match error {
                RunError::TimedOut(_) => Outcome::TimedOut,
                RunError::TooMuch(_) => Outcome::BadAnswer,
                RunError::Io(_) | RunError::Failed(_) => Outcome::Failed,
            }
        }
    }
}

/// What the program said, and what it is being asked.
pub struct Enrichment {
    asks: SyncSender<Ask>,
    time: Duration,
    known_for: Duration,
    callers: Callers,
    known: Recent<CallerKey, Known>,
    asked: HashSet<CallerKey>,
}

struct Known {
    until: Instant,
    outcome: Outcome,
}

impl Enrichment {
    fn new(asks: SyncSender<Ask>, time: Duration, known_for: Duration) -> Self {
        Self {
            asks,
            time,
            known_for,
            callers: Callers::new(),
            known: Recent::new(MAX_KNOWN_BYTES),
            asked: HashSet::new(),
        }
    }

    /// How long the program may take.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Adds what is known of the caller, or asks. `Some` if the answer is still to
    /// come.
    pub fn begin(&mut self, request: &mut Request, now: Instant) -> Option<CallerKey> {
        let key = self.callers.key(request);
        if let Some(known) = self.known.get(&key).filter(|known| now < known.until) {
            known.outcome.describe(request);
            return None;
        }
        if self.asked.contains(&key) {
            return Some(key);
        }
        let line = caller::line(request);
        if self.asks.try_send(Ask { key, line }).is_err() {
            Outcome::Busy.describe(request);
            return None;
        }
        self.asked.insert(key);
        Some(key)
    }

    /// Remembers what came of a question.
    pub fn remember(&mut self, key: CallerKey, outcome: Outcome, now: Instant) {
        self.asked.remove(&key);
        let known_for = match outcome {
            Outcome::Said(_) => self.known_for,
            _ => self.known_for.min(FAILED_FOR),
        };
        let until = now + known_for;
        self.known.insert(key, Known { until, outcome });
    }
}

impl Weight for Known {
    fn heap_bytes(&self) -> usize {
        match &self.outcome {
            Outcome::Said(fields) => answer::heap_bytes(fields),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
