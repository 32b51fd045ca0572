//! The integration suite: on this machine's kernel, and in VMs.

use anyhow::Result;

use super::cases::Cases;
use super::report::Row;
use crate::binaries::Binaries;
use crate::command::{CommandExt as _, privileged};
use crate::setup::clients;
use crate::vm::{self, Cell, Outcome, SuiteCount, Table};

/// Runs it with the backend that the analyzer chooses here.
pub(super) fn on_this_machine(binaries: &Binaries) -> Result<Cases> {
    let mut cases = Cases::default();
    let status = privileged(&binaries.tests)?
        .args(["suite", "--backend", "auto", "--analyzer"])
        .arg(&binaries.analyzer)
        .arg("--clients")
        .arg(clients::dir())
        .relay(|line| cases += count(line))?;
    cases.checked(status)
}

/// Runs it in a VM for each of `cells`.
pub(super) fn in_vms(cells: &[Cell]) -> Result<Vec<Row>> {
    let outcomes = vm::run_cells(cells, &vm::Options::default())?;
    eprint!("{}", Table(&outcomes));
    Ok(outcomes.iter().map(row).collect())
}

fn row(outcome: &Outcome) -> Row {
    let cell = &outcome.cell;
    let log = outcome.log.as_ref().map(|log| log.display().to_string());
    Row {
        step: format!(
            "{} {} {}{}",
            cell.kernel.machine.arch,
            cell.kernel.name,
            cell.backend,
            if cell.released { ", released" } else { "" }
        ),
        cases: Cases {
            passed: outcome.facts.passed,
            // A VM that died without a failed case is a failure too.
            failed: match outcome.verdict {
                Ok(()) => outcome.facts.failed,
                Err(_) => outcome.facts.failed.max(1),
            },
        },
        elapsed: outcome.facts.elapsed,
        error: outcome.verdict.as_ref().err().map(|reason| match log {
            Some(log) => format!("{}; console: {log}", reason.lines().next().unwrap_or("")),
            None => reason.clone(),
        }),
    }
}

fn count(line: &str) -> Cases {
    SuiteCount::parse(line)
        .as_ref()
        .map(of_suite)
        .unwrap_or_default()
}

fn of_suite(suite: &SuiteCount) -> Cases {
    Cases {
        passed: suite.passed,
        failed: suite.failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vm_that_never_ran_is_a_failed_case_with_its_reason() {
        let cell = vm::core()[0];
        let row = row(&Outcome::not_run(cell, "no mirror serves it".into()));
        assert_eq!(row.cases.failed, 1);
        assert_eq!(row.error.as_deref(), Some("no mirror serves it"));
        assert_eq!(row.step, "aarch64 6.1 auto");
    }
}
