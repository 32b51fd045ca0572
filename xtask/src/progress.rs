//! Progress on stderr: what is being done, and how long it took.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Announces `name`, does `work` and says how long it took.
pub(crate) fn step<T>(name: impl Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let started = Instant::now();
    let result = work();
    let verdict = if result.is_ok() {
        "took"
    } else {
        "FAILED after"
    };
    eprintln!("    {name}: {verdict} {}", seconds(started.elapsed()));
    result
}

/// One line below the current step.
pub(crate) fn note(line: impl Display) {
    eprintln!("    {line}");
}

/// A duration as people read it in a log: `3.2 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}
