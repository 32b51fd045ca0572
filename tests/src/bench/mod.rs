//! What the analyzer costs, as ratios measured in one run: the same work with and
//! without it, by turns, so that whatever else the machine does hits both.
//!
//! Nothing here passes or fails, but for the memory that `report` may take.

mod exec;
mod report;
mod requests;
mod send;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    analyzer::{Analyzer, Launch},
    netns::Netns,
};

/// Rounds; the median of them is told.
const ROUNDS: usize = 7;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Starting programs, with `exec_cache` off and on.
    Exec,
    /// TCP sends that do not go to IMDS.
    Send,
    /// Requests to IMDS: how many, and what of them is lost.
    Requests,
    /// Reading a million records, beside jq and DuckDB.
    Report,
}

/// Measures `subject` and prints what came of it.
///
/// # Errors
///
/// If the analyzer does not run, or the work fails.
pub fn run(subject: Subject, analyzer: &Path) -> Result<()> {
    match subject {
        Subject::Exec => exec::run(analyzer),
        Subject::Send => send::run(analyzer),
        Subject::Requests => requests::run(analyzer),
        Subject::Report => report::run(analyzer),
    }
}

/// A way in which the machine is while it works.
struct Variant {
    name: &'static str,
    /// Settings of an analyzer that watches; `None`: there is none.
    settings: Option<&'static str>,
}

/// Does `work` in all variants by turns and prints the median time of one of its
/// `count` parts, and the ratio to the first variant.
fn compare(
    analyzer: &Path,
    variants: &[Variant],
    count: u32,
    part: &str,
    work: impl Fn(&Netns) -> Result<()> + Sync,
) -> Result<()> {
    let mut times = vec![Vec::new(); variants.len()];
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (variant, times) in variants.iter().zip(&mut times) {
            let netns = Netns::new()?;
            let watching = variant
                .settings
                .map(|settings| watch(analyzer, &netns, settings))
                .transpose()?;
            let began = Instant::now();
            work(&netns)?;
            times.push(began.elapsed());
            if let Some(watching) = watching {
                watching.stop()?;
            }
        }
    }
    let mut baseline = None;
    for (variant, times) in variants.iter().zip(&mut times) {
        let time = median(times);
        let baseline = *baseline.get_or_insert(time);
        println!(
            "{:<28} {:>9.3} µs a {part}   x {:.3}",
            variant.name,
            time.as_secs_f64() * 1e6 / f64::from(count),
            time.as_secs_f64() / baseline.as_secs_f64(),
        );
    }
    Ok(())
}

fn watch(program: &Path, netns: &Netns, settings: &str) -> Result<Analyzer> {
    Launch {
        program,
        backend: "auto",
        format: "json",
        netns: netns.path(),
        output: None,
        settings,
        verbose: false,
    }
    .start(|_| {})
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
