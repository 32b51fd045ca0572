//! The integration suite: on this machine's kernel, and in the VM.

use anyhow::{Result, bail};

use super::cases::Cases;
use crate::binaries::Binaries;
use crate::command::{CommandExt as _, privileged};
use crate::kernel::Kernel;
use crate::setup::clients;
use crate::vm::{self, SuiteCount};

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

/// Runs it in `kernel`'s VM, with every backend.
pub(super) fn in_vm(kernel: &Kernel, binaries: &Binaries) -> Result<Cases> {
    let backends = vm::BACKENDS.map(str::to_owned);
    let outcome = vm::boot(kernel, &backends, None, binaries)?;
    let mut cases = Cases::default();
    for suite in &outcome.suites {
        cases += of_suite(suite);
    }
    if let Err(reason) = outcome.verdict {
        // Failed cases speak for themselves; a VM that died without one is a failure too.
        if cases.failed == 0 {
            bail!("{reason}; console: {}", outcome.log.display());
        }
    }
    Ok(cases)
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
