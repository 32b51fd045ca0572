//! The one owner of the output: a thread that writes what the queue holds.
//!
//! It is a thread, not a task, because a write to a full pipe or a dying disk
//! blocks for as long as it likes, and capturing must go on meanwhile. Sending
//! never waits: events are held in memory up to [`HELD_BYTES`], then dropped
//! and counted, and a `capture_loss` record stands where they are missing.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::queue::Queue;
use super::{LineOutput, Renderer};
use crate::clock::Clock;
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
}

struct State {
    queue: Queue,
    /// Set when no more events come.
    finish: Option<oneshot::Sender<Result<(), SinkError>>>,
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
            }),
            wake: Condvar::new(),
            closed: watch::Sender::new(false),
            output: output.name().to_owned(),
        });
        let handle = WriterHandle {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("writer".to_owned())
            .stack_size(STACK)
            .spawn(move || write_all(&shared, output))
            .map_err(SinkError::Spawn)?;
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

    /// Waits for lines or the end.
    fn wait(&self) -> VecDeque<String> {
        let state = self.lock();
        let mut state = self
            .wake
            .wait_while(state, |state| {
                state.queue.is_empty() && state.finish.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.queue.take()
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
        let mut lines = shared.wait();
        if lines.is_empty() {
            return shared.end(Ok(()));
        }
        while let Some(line) = lines.front() {
            match output.write_line(line.as_bytes()) {
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
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
