//! Clients that say precisely what a test wants, each a process of its own.
//!
//! The suite runs this program again as `imds-tests send`, so that the analyzer
//! sees a sender with a PID that the suite knows without asking. A sender tells
//! what only it can know as lines `fact KEY VALUE` on its standard output, then
//! `done`, and lives until its standard input is closed, so that `/proc` still
//! knows it when the analyzer looks.

mod apart;
pub mod changes;
mod connections;
mod conversation;
pub mod crowd;
mod failing;
mod faults;
mod framing;
mod idle_program;
mod outcomes;
mod owners;
mod rings;
mod segments;
mod services;
mod spelling;
mod sys;
mod wire;

use std::{
    fs::File,
    io::{self, BufRead as _, Read as _, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result};

pub use self::{owners::OTHER_USER, rings::ring_has_zero_copy, wire::Wire};
use crate::netns::{require_joined, require_private};

/// What a sender can do, by name.
type Scenario = fn(&Wire) -> Result<()>;

/// All scenarios, each in the module of its topic.
fn scenarios() -> impl Iterator<Item = &'static (&'static str, Scenario)> {
    [
        framing::SCENARIOS,
        spelling::SCENARIOS,
        segments::SCENARIOS,
        failing::SCENARIOS,
        faults::SCENARIOS,
        outcomes::SCENARIOS,
        owners::SCENARIOS,
        connections::SCENARIOS,
        changes::SCENARIOS,
        crowd::SCENARIOS,
        services::SCENARIOS,
        conversation::SCENARIOS,
        rings::SCENARIOS,
        apart::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// Names of all scenarios.
pub fn scenario_names() -> Vec<&'static str> {
    scenarios().map(|(name, _)| *name).collect()
}

/// Runs a scenario in this process, whose network namespace is private or joined to
/// nothing but those at `joined_to`.
///
/// # Errors
///
/// If there is none of that name, if this is not such a namespace, and the
/// scenario's own.
pub fn run(scenario: &str, wire: &Wire, joined_to: &[PathBuf]) -> Result<()> {
    if joined_to.is_empty() {
        require_private()?;
    } else {
        let others = joined_to
            .iter()
            .map(|path| File::open(path).with_context(|| format!("open {}", path.display())))
            .collect::<Result<Vec<File>>>()?;
        require_joined(&others)?;
    }
    let (_, work) = scenarios()
        .find(|(name, _)| *name == scenario)
        .with_context(|| {
            format!(
                "no scenario `{scenario}`; there are: {}",
                scenario_names().join(", ")
            )
        })?;
    work(wire).with_context(|| format!("scenario {scenario}"))?;
    say("done")?;
    // Whatever comes, the end is what is waited for.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Tells the suite something.
fn fact(key: &str, value: impl std::fmt::Display) -> Result<()> {
    say(&format!("fact {key} {value}"))
}

/// Tells the suite that a point is reached, and waits for its go-ahead.
fn checkpoint(name: &str) -> Result<()> {
    say(name)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
