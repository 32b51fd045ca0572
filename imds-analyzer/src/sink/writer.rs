//! The one owner of the output: a thread that writes what the queue holds.
//!
//! It is a thread, not a task, because a write to a full pipe or a dying disk
//! blocks for as long as it likes, and capturing must go on meanwhile. Sending
//! never waits: events are held in memory up to [`HELD_BYTES`], then dropped
//! and counted, and a `capture_loss` record stands where they are missing.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::queue::Queue;
use super::{LineOutput, Renderer};
use crate::capabilities::{Keep, keep_only};
use crate::clock::{self, Clock};
use crate::config;
use crate::record::{Event, Origin};

/// How much is held while the output is blocked, bytes.
const HELD_BYTES: usize = 4 << 20;

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// How long [`WriterHandle::finish`] waits for an output that does not move.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Stack of the thread, bytes: it only moves lines.
const STACK: usize = 256 << 10;

/// Why the log is not whole.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The thread could not be started.
    #[error("cannot start the writer: {0}")]
    Spawn(io::Error),
    /// The output refused the last records.
    #[error("{lines} records could not be written to {output}: {source}")]
    Unwritten {
        /// How many.
        lines: usize,
        /// The output.
        output: String,
        /// What the system said.
        source: io::Error,
    },
    /// The output took nothing for five seconds.
    #[error("the last records could not be written: {output} takes no more")]
    Stuck {
        /// The output.
        output: String,
    },
}

/// Starts writers.
#[derive(Debug)]
pub struct Writer;

/// Sends events to a writer.
#[derive(Clone)]
pub struct WriterHandle {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something to write, or the end.
    wake: Condvar,
    /// Whether the reader of the output is gone.
    closed: watch::Sender<bool>,
    output: String,
    /// Boot-time clock when the write that is not done began, nanoseconds; 0 if there
    /// is none.
    writing_since_ns: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    queue: Queue,
    /// Set when no more events come.
    finish: Option<oneshot::Sender<Result<(), SinkError>>>,
    /// Somebody says that the log was renamed.
    look: bool,
    /// When log files end from now on.
    limits: Option<config::Log>,
}

/// What the thread is woken for.
struct Work {
    lines: VecDeque<String>,
    limits: Option<config::Log>,
    finish: bool,
}

impl Writer {
    /// Starts the writer of an output.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn spawn(
        output: LineOutput,
        renderer: Renderer,
        origin: Origin,
        clock: Arc<Clock>,
    ) -> Result<WriterHandle, SinkError> {
        let queue = Queue::new(renderer, origin, clock, HELD_BYTES);
        Self::spawn_with(output, queue)
    }

    pub(super) fn spawn_with(output: LineOutput, queue: Queue) -> Result<WriterHandle, SinkError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue,
                finish: None,
                look: false,
                limits: None,
            }),
            wake: Condvar::new(),
            closed: watch::Sender::new(false),
            output: output.name().to_owned(),
            writing_since_ns: AtomicU64::new(0),
            thread: Mutex::new(None),
        });
        let handle = WriterHandle {
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new()
            .name("writer".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                keep_only(Keep::NOTHING);
                write_all(&shared, output);
            })
            .map_err(SinkError::Spawn)?;
        *handle
            .shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(handle)
    }
}

impl WriterHandle {
    /// Records an event that happened at this moment of the boot-time clock.
    /// Never blocks: if the output is blocked and the memory for it used up,
    /// the event is dropped and counted.
    pub fn send(&self, boottime_ns: u64, event: Event) {
        self.shared.lock().queue.push(boottime_ns, event);
        self.shared.wake.notify_one();
    }

    /// Ends when nobody reads the output any more (`EPIPE`): time to stop
    /// capturing, which is no failure.
    pub async fn closed(&self) {
        // The sender lives in `self.shared`, so waiting can't fail.
        let _ = self
            .shared
            .closed
            .subscribe()
            .wait_for(|closed| *closed)
            .await;
    }

    /// Where records come from, from the next one on.
    pub fn set_origin(&self, origin: Origin) {
        self.shared.lock().queue.set_origin(origin);
    }

    /// Opens the log again if another program has renamed it, and ends its files by
    /// these limits from now on.
    pub fn reopen(&self, limits: &config::Log) {
        let mut state = self.shared.lock();
        state.look = true;
        state.limits = Some(limits.clone());
        self.shared.wake.notify_one();
    }

    /// How long the writer has been in one write; for ever if its thread is gone. An
    /// output that refuses, as a full disk does, blocks nothing.
    pub fn stuck_for(&self) -> Duration {
        let thread = self
            .shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Duration::MAX;
        }
        match self.shared.writing_since_ns.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(clock::boottime_ns().saturating_sub(since)),
        }
    }

    /// Events dropped because the output was blocked.
    pub fn lost(&self) -> u64 {
        self.shared.lock().queue.lost()
    }

    /// Writes what is held and ends the writer. Events that other handles send
    /// later are not written. An output without a reader is no error.
    ///
    /// # Errors
    /// The output does not take the last records; five seconds are waited.
    pub async fn finish(self) -> Result<(), SinkError> {
        let (done, result) = oneshot::channel();
        self.shared.lock().finish = Some(done);
        self.shared.wake.notify_one();
        // The writer says so first and looks for `finish` then, so one of the
        // two sees the other.
        if *self.shared.closed.borrow() {
            return Ok(());
        }
        match tokio::time::timeout(FINISH_WITHIN, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(SinkError::Stuck {
                output: self.shared.output.clone(),
            }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Lines are pushed whole, so a panic elsewhere leaves the queue sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, the end, or word about the log file.
    fn wait(&self) -> Work {
        let state = self.lock();
        let mut state = self
            .wake
            .wait_while(state, |state| {
                state.queue.is_empty() && state.finish.is_none() && !state.look
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.look = false;
        Work {
            lines: state.queue.take(),
            limits: state.limits.take(),
            finish: state.finish.is_some(),
        }
    }

    /// Does something with the output that may block.
    fn timed<T>(&self, write: impl FnOnce() -> T) -> T {
        let now = clock::boottime_ns();
        self.writing_since_ns.store(now, Ordering::Relaxed);
        let result = write();
        self.writing_since_ns.store(0, Ordering::Relaxed);
        result
    }

    /// Waits until it is time to try again; events that come do not shorten
    /// that, the end does.
    fn wait_to_retry(&self) {
        let state = self.lock();
        let _ = self
            .wake
            .wait_timeout_while(state, RETRY, |state| state.finish.is_none());
    }

    fn end(&self, result: Result<(), SinkError>) {
        if let Some(done) = self.lock().finish.take() {
            // The receiver is gone if it has waited long enough.
            let _ = done.send(result);
        }
    }
}

fn write_all(shared: &Shared, mut output: LineOutput) {
    let mut blocked = false;
    loop {
        let Work {
            mut lines,
            limits,
            finish,
        } = shared.wait();
        if let Some(limits) = limits {
            shared.timed(|| output.set_limits(&limits));
        }
        if lines.is_empty() {
            if finish {
                return shared.end(Ok(()));
            }
            // What fails here fails again when there is something to write.
            let _ = shared.timed(|| output.look());
        }
        let mut looked = false;
        while let Some(line) = lines.front() {
            let written = shared.timed(|| {
                if !std::mem::replace(&mut looked, true) {
                    output.look()?;
                }
                output.write_line(line.as_bytes())
            });
            match written {
                Ok(()) => {
                    shared.lock().queue.written(line);
                    lines.pop_front();
                    if std::mem::take(&mut blocked) {
                        info!("{} takes records again", output.name());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    shared.closed.send_replace(true);
                    return shared.end(Ok(()));
                }
                Err(error) if shared.lock().finish.is_some() => {
                    let lines = lines.len() + shared.lock().queue.take().len();
                    let output = output.name().to_owned();
                    return shared.end(Err(SinkError::Unwritten {
                        lines,
                        output,
                        source: error,
                    }));
                }
                Err(error) => {
                    if !std::mem::replace(&mut blocked, true) {
                        warn!(
                            "cannot write to {}: {error}; records are held, then dropped and counted",
                            output.name()
                        );
                    }
                    shared.wait_to_retry();
                    looked = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
