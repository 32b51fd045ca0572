//! How far reading has come: one line on standard error, on a terminal only.

use std::{
    cell::RefCell,
    io::{self, IsTerminal as _, Read, Write as _},
    time::{Duration, Instant},
};

/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(100);

/// Width of the bar.
const BAR: u64 = 30;

/// How far reading has come.
#[derive(Debug)]
pub struct Progress {
    state: Option<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    total: u64,
    read: u64,
    shown: Instant,
    was_shown: bool,
}

impl Progress {
    /// Shows how much of `total` bytes has been read, if standard error is a terminal.
    pub fn new(total: u64) -> Self {
        let state = State {
            total,
            read: 0,
            shown: Instant::now(),
            was_shown: false,
        };
        Self {
            state: io::stderr().is_terminal().then(|| RefCell::new(state)),
        }
    }

    /// `input`, with what is read of it counted.
    pub fn count<R: Read>(&self, input: R) -> Counted<'_, R> {
        Counted {
            input,
            progress: self,
        }
    }

    fn add(&self, bytes: usize) {
        let Some(state) = &self.state else {
            return;
        };
        let mut state = state.borrow_mut();
        state.read += bytes as u64;
        if state.shown.elapsed() < INTERVAL {
            return;
        }
        state.shown = Instant::now();
        state.was_shown = true;
        // Whoever reads that does not see it either if it can't be written.
        let _ = write!(io::stderr(), "\r{}\u{1b}[K", line(state.read, state.total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self
            .state
            .as_ref()
            .is_some_and(|state| state.borrow().was_shown)
        {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(read: u64, total: u64) -> String {
    let megabytes = read / 1_000_000;
    // The size of standard input is not known, and a log can grow.
    if total == 0 || read > total {
        return format!("reading: {megabytes} MB");
    }
    let full = usize::try_from(read * BAR / total).unwrap_or(0);
    let empty = usize::try_from(BAR).unwrap_or(0) - full;
    format!(
        "reading [{}{}] {:>3} % of {} MB",
        "#".repeat(full),
        "-".repeat(empty),
        read * 100 / total,
        total / 1_000_000
    )
}

/// A reader that tells how much was read.
#[derive(Debug)]
pub struct Counted<'p, R> {
    input: R,
    progress: &'p Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_grows_with_what_was_read() {
        assert_eq!(
            line(500_000_000, 1_000_000_000),
            format!(
                "reading [{}{}]  50 % of 1000 MB",
                "#".repeat(15),
                "-".repeat(15)
            )
        );
        assert_eq!(line(7_000_000, 0), "reading: 7 MB");
        assert_eq!(line(9_000_000, 8_000_000), "reading: 9 MB");
    }
}
