//! The table at the end of `cargo xtask test`.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cases::Cases;
use crate::progress::seconds;

/// What came of a step, or of one part of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) step: String,
    pub(super) cases: Cases,
    pub(super) elapsed: Duration,
    /// Why it could not run or be believed.
    pub(super) error: Option<String>,
}

/// The results of the steps, in the order they ran.
#[derive(Debug)]
pub(super) struct Report {
    rows: Vec<Row>,
    began: Instant,
}

impl Report {
    /// One without rows; its time begins now.
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            began: Instant::now(),
        }
    }

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

    /// Runs a step of several parts, each with a row of its own. They may have run at the
    /// same time. An error is a row that failed.
    pub(super) fn many(&mut self, step: &str, work: impl FnOnce() -> Result<Vec<Row>>) {
        eprintln!("==> {step}");
        let started = Instant::now();
        match work() {
            Ok(rows) => self.rows.extend(rows),
            Err(error) => {
                eprintln!("    {step}: {error:#}");
                self.rows.push(Row {
                    step: step.to_owned(),
                    cases: Cases {
                        passed: 0,
                        failed: 1,
                    },
                    elapsed: started.elapsed(),
                    error: Some(format!("{error:#}")),
                });
            }
        }
        eprintln!("    {step}: {}", seconds(started.elapsed()));
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
            "\n{:<29} {:<7} {:>6} {:>6} {:>9}",
            "step", "result", "passed", "failed", "time"
        )?;
        for row in &self.rows {
            write!(
                f,
                "{:<29} {:<7} {:>6} {:>6} {:>9}",
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
            "{:<29} {:<7} {:>6} {:>6} {:>9}\n",
            "total",
            "",
            total.passed,
            total.failed,
            seconds(self.began.elapsed())
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
        let mut report = Report::new();
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

    #[test]
    fn parts_of_a_step_are_rows_and_its_error_is_one_that_failed() {
        let mut report = Report::new();
        report.many("cells", || {
            let row = |step: &str, passed, failed| Row {
                step: step.into(),
                cases: Cases { passed, failed },
                elapsed: Duration::from_secs(3600),
                error: None,
            };
            Ok(vec![row("one", 50, 0), row("two", 49, 1)])
        });
        report.many("others", || bail!("no such kernel"));
        let text = report.to_string();
        assert!(text.ends_with("\n99 passed, 2 failed\n"), "{text}");
        assert!(text.contains("no such kernel"), "{text}");
        // They ran at once, so their times don't add up.
        assert!(!text.contains("7200.0 s"), "{text}");
    }
}
