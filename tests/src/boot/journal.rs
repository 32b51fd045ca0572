//! What the journal says of the boots so far.

use anyhow::{Result, ensure};

use super::systemd::run;

/// What systemd says when it has to leave out a job (src/core/transaction.c); the boot looks
/// fine all the same.
const CYCLES: [&str; 2] = ["ordering cycle", "deleted to break"];

/// No boot that the journal knows had to leave a unit out.
pub(super) fn no_ordering_cycle() -> Result<()> {
    let journal = run("journalctl", &["--no-pager", "--output", "cat", "_PID=1"])?;
    ensure!(!journal.trim().is_empty(), "systemd has left no journal");
    let cycle = journal
        .lines()
        .find(|line| CYCLES.iter().any(|words| line.contains(words)));
    ensure!(cycle.is_none(), "{}", cycle.unwrap_or_default());
    Ok(())
}

/// The end of what units said in this boot, for whoever looks into a failure.
pub(super) fn tail(units: &[&str]) -> String {
    let mut arguments = vec![
        "--no-pager",
        "--boot",
        "--lines",
        "60",
        "--output",
        "short-monotonic",
    ];
    for unit in units {
        arguments.extend(["--unit", unit]);
    }
    run("journalctl", &arguments).unwrap_or_else(|error| format!("{error:#}"))
}
