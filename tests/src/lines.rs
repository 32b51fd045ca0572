//! The lines that a process writes, as they come.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Lines of a stream that a thread reads to its end.
#[derive(Debug)]
pub struct Lines {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Vec<u8>>,
    ended: bool,
}

impl Lines {
    /// Reads `stream` and hands each line, without its line feed, to `watch` before
    /// it is kept.
    pub fn read(
        stream: impl Read + Send + 'static,
        watch: impl Fn(&[u8]) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                let more = matches!(stream.read_until(b'\n', &mut line), Ok(1..));
                if more {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    watch(&line);
                }
                let mut state = theirs.lock();
                if more {
                    state.lines.push(line);
                } else {
                    state.ended = true;
                }
                theirs.grown.notify_all();
                if !more {
                    return;
                }
            }
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Number of lines so far.
    pub fn len(&self) -> usize {
        self.shared.lock().lines.len()
    }

    /// Whether there is no line yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines from number `first` on.
    pub fn since(&self, first: usize) -> Vec<Vec<u8>> {
        self.shared
            .lock()
            .lines
            .get(first..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Waits until `enough` says so of the lines from number `first` on; false if
    /// `patience` or the stream ended first.
    pub fn wait(
        &self,
        first: usize,
        patience: Duration,
        mut enough: impl FnMut(&[Vec<u8>]) -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if enough(state.lines.get(first..).unwrap_or_default()) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return false;
            }
            state = self
                .shared
                .grown
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for the end of the stream; false if `patience` ended first.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        self.wait(0, patience, |_| false);
        self.shared.lock().ended
    }

    /// All lines, once the stream has ended.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has already said so.
            drop(reader.join());
        }
        std::mem::take(&mut self.shared.lock().lines)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
