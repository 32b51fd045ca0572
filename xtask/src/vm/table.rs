//! The matrix as a table: for the terminal, and for `docs/kernel-support.md`.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::outcome::Outcome;
use crate::backend::Backend;
use crate::kernel::Kernel;
use crate::progress::seconds;

/// Between these lines the document is generated.
const BEGIN: &str = "<!-- begin: written by `cargo xtask vm-test --doc` -->";
const END: &str = "<!-- end -->";

/// The outcomes of a run, in the order of its cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a [Outcome]);

impl Table<'_> {
    /// The backend that `auto` takes on `kernel`, which one of its cells has found.
    fn auto(&self, kernel: &Kernel) -> Option<Backend> {
        self.0
            .iter()
            .filter(|outcome| outcome.cell.kernel.id() == kernel.id())
            .find_map(|outcome| outcome.facts.auto)
    }

    /// The table in Markdown.
    fn markdown(&self) -> String {
        let mut text = String::from(
            "| architecture | kernel | backend | cases | result | `auto` takes |\n\
             |---|---|---|---|---|---|\n",
        );
        for outcome in self.0 {
            let cell = &outcome.cell;
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} {} | {} | {} |",
                cell.kernel.machine.arch,
                outcome.facts.release.as_deref().unwrap_or(cell.kernel.name),
                cell.backend,
                outcome.facts.passed + outcome.facts.failed,
                cell.guest.group(),
                if outcome.verdict.is_ok() {
                    "pass"
                } else {
                    "FAIL"
                },
                self.auto(cell.kernel).map_or("?", Backend::name),
            );
        }
        text
    }

    /// Puts the table into the document at `path`, in the place of the one that is there.
    pub(crate) fn write_into(&self, path: &Path) -> Result<()> {
        let document =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let document = replace(&document, &self.markdown())
            .with_context(|| format!("{} lacks the line `{BEGIN}` or `{END}`", path.display()))?;
        fs::write(path, document).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// `document` with `table` between the two marks.
fn replace(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<8} {:<29} {:<13} {:<8} {:<14} {:>6} {:>6} {:>8}  auto",
            "arch", "kernel", "backend", "cases", "result", "passed", "failed", "time"
        )?;
        let mut elapsed = Duration::ZERO;
        for outcome in self.0 {
            let (cell, facts) = (&outcome.cell, &outcome.facts);
            if !outcome.earlier {
                elapsed += facts.elapsed;
            }
            writeln!(
                f,
                "{:<8} {:<29} {:<13} {:<8} {:<14} {:>6} {:>6} {:>8}  {}",
                cell.kernel.machine.arch,
                facts.release.as_deref().unwrap_or(cell.kernel.name),
                cell.backend,
                cell.guest.group(),
                outcome.result(),
                facts.passed,
                facts.failed,
                seconds(facts.elapsed),
                self.auto(cell.kernel).map_or("?", Backend::name),
            )?;
            if let Err(reason) = &outcome.verdict {
                let reason = reason.lines().next().unwrap_or_default();
                writeln!(f, "{:<8} {reason}", "")?;
            }
            if let (Err(_), Some(log)) = (&outcome.verdict, &outcome.log) {
                writeln!(f, "{:<8} console: {}", "", log.display())?;
            }
        }
        let passed = self.0.iter().filter(|one| one.verdict.is_ok()).count();
        writeln!(
            f,
            "\n{passed} of {} cells passed, {} in their VMs",
            self.0.len(),
            seconds(elapsed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::cell::{Cell, matrix};
    use crate::vm::outcome::Facts;

    fn outcome(cell: Cell, auto: Option<Backend>) -> Outcome {
        Outcome {
            cell,
            verdict: Ok(()),
            facts: Facts {
                release: Some(format!("{}.0-56", cell.kernel.name)),
                auto,
                passed: 53,
                failed: 0,
                elapsed: Duration::from_secs(30),
            },
            earlier: false,
            log: None,
        }
    }

    #[test]
    fn what_one_cell_found_of_auto_stands_in_all_of_its_kernels_rows() {
        let cells = matrix();
        let outcomes = [
            outcome(cells[0], Some(Backend::Fentry)),
            outcome(cells[1], None),
            outcome(cells[3], None),
        ];
        let text = Table(&outcomes).to_string();
        let last_words: Vec<_> = text
            .lines()
            .skip(2)
            .map_while(|line| line.split_whitespace().last())
            .collect();
        assert_eq!(last_words, ["fentry", "fentry", "?"], "{text}");
        assert!(text.contains("3 of 3 cells passed, 90.0 s"), "{text}");
    }

    #[test]
    fn failure_is_told_with_its_reason_and_its_console() {
        let mut failed = outcome(matrix()[0], None);
        failed.verdict = Err("2 cases failed\nmore".into());
        failed.log = Some("logs/a".into());
        let text = Table(&[failed]).to_string();
        for part in [
            "FAILED",
            "2 cases failed\n",
            "console: logs/a",
            "0 of 1 cells",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_was_taken_over_is_marked_and_not_timed() {
        let mut earlier = outcome(matrix()[0], None);
        earlier.earlier = true;
        let text = Table(&[earlier]).to_string();
        assert!(text.contains("passed earlier"), "{text}");
        assert!(text.contains("1 of 1 cells passed, 0.0 s"), "{text}");
    }

    #[test]
    fn table_replaces_the_one_between_the_marks_and_nothing_else() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let written = replace(&document, "new\n").unwrap();
        assert_eq!(written, format!("# Title\n\n{BEGIN}\nnew\n{END}\n\nmore\n"));
        assert_eq!(replace(&written, "new\n").unwrap(), written);
        assert_eq!(replace("no marks", "new"), None);
    }

    #[test]
    fn markdown_row_has_the_kernels_own_name() {
        let outcomes = [outcome(matrix()[0], Some(Backend::Fentry))];
        let last = Table(&outcomes).markdown();
        assert_eq!(
            last.lines().last(),
            Some("| x86_64 | 5.10.0-56 | fentry | 53 senders | pass | fentry |")
        );
    }
}
