//! The report on a reboot cycle: on what was recorded since a moment of one boot, and in
//! the boots after it.

use std::{fs::File, io::Write, path::Path};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{
    Reader,
    format::{self, Format},
    model::Verdict,
    moment, question,
    reading::{Found, each_line},
    scope::Scope,
    sources::{self, Source},
    summary::report as summarize,
    verdict::Thresholds,
    view::Line,
};
use crate::config::Output;

/// What a cycle has to fulfil for `safe`: one boot that was watched from its beginning.
const THRESHOLDS: Thresholds = Thresholds {
    min_days: 0,
    min_boots: 1,
    max_gap_us: 120_000_000,
    from_options: false,
};

/// When a cycle began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The kernel's id of the boot.
    pub boot_id: String,
    /// On that boot's own clock, µs: the wall clock may jump in the next.
    pub boottime_us: u64,
    /// For people.
    pub at: Timestamp,
}

impl Beginning {
    /// `2026-11-22T04:32:51Z`.
    pub fn second(&self) -> String {
        moment::second(self.at.as_microsecond())
    }
}

/// What is looked at of a record by who only counts.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The kernel's id of the boot.
    pub boot_id: Option<&'a str>,
    /// Time on that boot's clock, µs.
    pub boottime_us: u64,
    /// Time on the wall clock, µs since 1970.
    pub wall_us: i64,
    /// Which event it is.
    pub event: &'a str,
    /// `v1`, `v2`, … of a request.
    pub version: Option<&'a str>,
}

/// Writes the report on what `log` has since `beginning` to `out`, and says what it says.
///
/// # Errors
/// If there is no log, or the report can't be written.
pub fn of_cycle(
    log: &Path,
    beginning: &Beginning,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<Verdict> {
    let sources = sources(log)?;
    let mut look = Reader::new(Scope::default(), false);
    look.read_all(&sources);
    let scope = Scope::of_cycle(beginning, &look.gathered.boots);
    let mut reader = Reader::new(scope.clone(), true);
    reader.read_all(&sources);
    let report = summarize(reader.gathered, &question(scope, THRESHOLDS));
    let text = format::render(&report, format)?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write the report")?;
    Ok(report.verdict)
}

/// Calls `take` with every record of `log`, and of what was rotated away from it, the
/// oldest file first.
///
/// # Errors
/// If there is no log, or it can't be read.
pub fn each_record(log: &Path, mut take: impl FnMut(Record<'_>)) -> anyhow::Result<()> {
    for source in sources(log)? {
        let Source::File { path, .. } = &source else {
            continue;
        };
        let read = File::open(path).and_then(|file| {
            each_line(file, |found| {
                let (Found::Line(line) | Found::Unended(line)) = found else {
                    return;
                };
                let Line::Record(view) = Line::read(line) else {
                    return;
                };
                let Some(wall_us) = moment::parse(&view.timestamp) else {
                    return;
                };
                let imds = view.imds.as_ref();
                take(Record {
                    boot_id: view.boot_id.as_deref(),
                    boottime_us: view.boottime_us,
                    wall_us,
                    event: &view.event,
                    version: imds.map(|imds| imds.version.as_str()),
                });
            })
        });
        read.with_context(|| format!("cannot read {source}"))?;
    }
    Ok(())
}

fn sources(log: &Path) -> anyhow::Result<Vec<Source>> {
    Ok(sources::find(&[], &Output::File(log.to_owned()))?)
}
