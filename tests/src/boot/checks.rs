//! What was looked at in a boot, one line each.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Checks so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Those that passed, also in the boots before.
    pub(super) passed: u64,
    /// Those that did not.
    pub(super) failed: u64,
}

impl Checks {
    /// Does a check, and prints what came of it in the form of the suite.
    pub(super) fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        let began = Instant::now();
        let outcome = work();
        let seconds = Duration::as_secs_f64(&began.elapsed());
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok   {seconds:7.2}s {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {seconds:7.2}s {name}: {error:#}");
            }
        }
    }
}
