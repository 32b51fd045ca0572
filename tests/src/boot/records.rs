//! The service's log, as its boots and runs have left it.

use std::{collections::HashMap, fs, io::Read as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use flate2::read::MultiGzDecoder;

use super::LOGS;
use crate::record::Line;

/// What one start of the analyzer wrote.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The kernel's id of the boot.
    pub(super) boot_id: String,
    /// In their order.
    pub(super) lines: Vec<Line>,
}

/// Everything in the log, its oldest file first.
pub(super) fn read() -> Result<Vec<Run>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(LOGS).with_context(|| format!("read {LOGS}"))? {
        let path = entry?.path();
        let written = fs::metadata(&path)?.modified()?;
        files.push((written, path));
    }
    files.sort();
    let mut lines = Vec::new();
    for (_, path) in &files {
        let bytes = content(path).with_context(|| format!("read {}", path.display()))?;
        let complete = bytes.split(|byte| *byte == b'\n');
        lines.extend(
            complete
                .filter(|line| !line.is_empty())
                .map(|line| Line::new(line.to_vec())),
        );
    }
    runs(lines)
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        std::io::BufReader::new(file).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Cuts lines into runs: each begins with `analyzer_started`.
fn runs(lines: Vec<Line>) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for line in lines {
        let boot_id = line
            .value
            .as_ref()
            .ok()
            .and_then(|value| value["boot_id"].as_str())
            .unwrap_or_default()
            .to_owned();
        if line.event() == "analyzer_started" {
            runs.push(Run {
                boot_id: boot_id.clone(),
                lines: Vec::new(),
            });
        }
        let run = runs
            .last_mut()
            .context("the log does not begin with analyzer_started")?;
        ensure!(
            run.boot_id == boot_id,
            "boot {} goes on in {boot_id:?} without analyzer_started",
            run.boot_id
        );
        run.lines.push(line);
    }
    Ok(runs)
}

/// Every run has come to an end in order, and lost nothing.
pub(super) fn all_have_ended(runs: &[Run]) -> Result<()> {
    ensure!(!runs.is_empty(), "the log has no run");
    for (number, run) in runs.iter().enumerate() {
        let last = run.lines.last().map(Line::event).unwrap_or_default();
        ensure!(
            last == "analyzer_stopped",
            "run {} of {} (boot {}) ends with {last:?} instead of analyzer_stopped",
            number + 1,
            runs.len(),
            run.boot_id
        );
        let lost = run.lines.iter().find(|line| line.event() == "capture_loss");
        if let Some(lost) = lost {
            anyhow::bail!("{}", String::from_utf8_lossy(&lost.raw).escape_debug());
        }
    }
    Ok(())
}

/// How many runs each boot has.
pub(super) fn runs_of_boots(runs: &[Run]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for run in runs {
        *counts.entry(run.boot_id.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(events: &[(&str, &str)]) -> Vec<Line> {
        let line = |(boot, event): &(&str, &str)| {
            Line::new(format!(r#"{{"event":"{event}","boot_id":"{boot}"}}"#).into_bytes())
        };
        events.iter().map(line).collect()
    }

    #[test]
    fn each_start_begins_a_run() {
        let runs = runs(lines(&[
            ("a", "analyzer_started"),
            ("a", "analyzer_stopped"),
            ("a", "analyzer_started"),
            ("b", "analyzer_started"),
        ]))
        .unwrap();
        let shape: Vec<_> = runs
            .iter()
            .map(|run| (&*run.boot_id, run.lines.len()))
            .collect();
        assert_eq!(shape, [("a", 2), ("a", 1), ("b", 1)]);
        assert_eq!(runs_of_boots(&runs)["a"], 2);
        assert!(all_have_ended(&runs).is_err());
        assert!(all_have_ended(&runs[..1]).is_ok());
        assert!(all_have_ended(&[]).is_err());
    }

    #[test]
    fn records_of_a_boot_without_a_start_are_an_error() {
        assert!(runs(lines(&[("a", "heartbeat")])).is_err());
        assert!(runs(lines(&[("a", "analyzer_started"), ("b", "heartbeat")])).is_err());
    }

    #[test]
    fn loss_is_no_good_end() {
        let runs = runs(lines(&[
            ("a", "analyzer_started"),
            ("a", "capture_loss"),
            ("a", "analyzer_stopped"),
        ]))
        .unwrap();
        assert!(all_have_ended(&runs).is_err());
    }
}
