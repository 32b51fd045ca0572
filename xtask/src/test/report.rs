//! The table at the end of `cargo xtask test`.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cases::Cases;
use crate::progress::seconds;

#[derive(Debug)]
struct Row {
    step: String,
    cases: Cases,
    elapsed: Duration,
    /// Why it could not run or be believed.
    error: Option<String>,
}

/// The results of the steps, in the order they ran.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Runs a step that is one case: it holds or it doesn't.
    pub(super) fn check(&mut self, step: &str, work: impl FnOnce() -> Result<()>) {
        self.cases(step, || {
            work().map(|()| Cases {
                passed: 1,
                failed: 0,
            })
        });
    }

    /// Runs a step that counts its cases. An error is one more failed case.
    pub(super) fn cases(&mut self, step: &str, work: impl FnOnce() -> Result<Cases>) {
        eprintln!("==> {step}");
        let started = Instant::now();
        let (cases, error) = match work() {
            Ok(cases) => (cases, None),
            Err(error) => (
                Cases {
                    passed: 0,
                    failed: 1,
                },
                Some(format!("{error:#}")),
            ),
        };
        let row = Row {
            step: step.to_owned(),
            cases,
            elapsed: started.elapsed(),
            error,
        };
        eprintln!(
            "    {step}: {} after {}",
            row.result(),
            seconds(row.elapsed)
        );
        if let Some(error) = &row.error {
            eprintln!("    {error}");
        }
        self.rows.push(row);
    }

    /// All cases of all steps.
    pub(super) fn total(&self) -> Cases {
        let mut total = Cases::default();
        for row in &self.rows {
            total += row.cases;
        }
        total
    }
}

impl Row {
    fn result(&self) -> &'static str {
        if self.cases.failed == 0 {
            "ok"
        } else {
            "FAILED"
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<20} {:<7} {:>6} {:>6} {:>9}",
            "step", "result", "passed", "failed", "time"
        )?;
        let mut elapsed = Duration::ZERO;
        for row in &self.rows {
            elapsed += row.elapsed;
            write!(
                f,
                "{:<20} {:<7} {:>6} {:>6} {:>9}",
                row.step,
                row.result(),
                row.cases.passed,
                row.cases.failed,
                seconds(row.elapsed)
            )?;
            match row.error.as_ref().and_then(|error| error.lines().next()) {
                Some(error) => writeln!(f, "  {error}")?,
                None => writeln!(f)?,
            }
        }
        let total = self.total();
        writeln!(
            f,
            "{:<20} {:<7} {:>6} {:>6} {:>9}\n",
            "total",
            "",
            total.passed,
            total.failed,
            seconds(elapsed)
        )?;
        writeln!(f, "{} passed, {} failed", total.passed, total.failed)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn last_line_sums_all_cases_and_an_error_is_a_failed_one() {
        let mut report = Report::default();
        report.check("format", || Ok(()));
        report.cases("unit tests", || {
            Ok(Cases {
                passed: 40,
                failed: 2,
            })
        });
        report.check("clippy", || bail!("`cargo clippy` failed\nmore"));
        let text = report.to_string();
        assert!(text.ends_with("\n41 passed, 3 failed\n"), "{text}");
        assert!(text.contains("`cargo clippy` failed\n"), "{text}");
        assert!(!text.contains("more"), "{text}");
    }
}
