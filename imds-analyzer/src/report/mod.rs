//! `imds-analyzer report`: who still calls v1, why, and may it be turned off?
//!
//! [`sources`] finds the files, [`reading`] their lines, [`view`] what they say. Each
//! record goes to [`coverage`] (what was watched) and, if it is of a request, to
//! [`group`] (who calls, by [`subject`]). [`summary`] makes the [`model`] of it, with the
//! [`verdict`] and what to do ([`steps`]), and [`format`] writes that.
//!
//! Memory does not grow with the logs: callers, boots and pieces of boots are bounded,
//! and what finds no room is counted.

mod commands;
mod coverage;
mod cycle;
mod format;
mod group;
mod model;
mod moment;
mod progress;
mod reading;
mod reconcile;
mod scope;
mod sources;
mod steps;
mod subject;
mod summary;
mod text;
mod timeline;
mod verdict;
mod view;

use std::{fs::File, io, io::Write as _, path::Path};

use anyhow::{Context as _, bail};

use self::{
    coverage::{Boots, Now, Observed},
    format::Format,
    group::Groups,
    model::Input,
    moment::Moment,
    progress::Progress,
    reading::{Found, each_line},
    scope::Scope,
    sources::Source,
    summary::{Gathered, Question, report as summarize},
    timeline::Timeline,
    verdict::Thresholds,
    view::{Line, View},
};
use crate::{clock, config::Config, host};

pub use self::{
    cycle::{Beginning, Record, each_record, of_cycle},
    format::Format as ReportFormat,
    model::Verdict,
    scope::{BootChoice, Since},
};

/// Most files that are named as not read to their end.
const MAX_UNREADABLE: usize = 20;

/// What is asked: the flags of `report`.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Files, directories and `-`; none for the log of the configuration.
    pub files: &'a [std::path::PathBuf],
    /// The configuration.
    pub config: &'a Config,
    /// Only what is as new as this.
    pub since: Option<Since>,
    /// Only this boot, and how it was asked for.
    pub boot: Option<BootChoice>,
    /// How to write it.
    pub format: Format,
    /// Days that each host has to be watched.
    pub min_days: u32,
    /// Boots that each host has to be watched from their beginning.
    pub min_boots: u32,
    /// Longest gap that is forgiven.
    pub max_gap: std::time::Duration,
    /// Sum of `MetadataNoToken`.
    pub no_token: Option<u64>,
    /// Sum of `MetadataNoTokenRejected`.
    pub no_token_rejected: Option<u64>,
}

/// Reads the logs, writes the report to standard output and says what it says.
///
/// # Errors
/// If there is nothing to read, or the report can't be written.
pub fn report(options: &Options<'_>) -> anyhow::Result<Verdict> {
    let sources = sources::find(options.files, &options.config.output)?;
    let since_us = options
        .since
        .map(|since| since.wall_us(jiff::Timestamp::now()));
    let scope = scope(options, &sources, since_us)?;
    let mut reader = Reader::new(scope.clone(), true);
    reader.read_all(&sources);
    let thresholds = Thresholds {
        min_days: options.min_days,
        min_boots: options.min_boots,
        max_gap_us: u64::try_from(options.max_gap.as_micros()).unwrap_or(u64::MAX),
        from_options: true,
    };
    let question = Question {
        boot: options.boot.as_ref().map(ToString::to_string),
        no_token: options.no_token,
        no_token_rejected: options.no_token_rejected,
        ..question(scope, thresholds)
    };
    let report = summarize(reader.gathered, &question);
    let text = format::render(&report, options.format)?;
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Somebody who reads only the first lines has read the verdict.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot write the report")?,
    }
    Ok(report.verdict)
}

/// The question, asked on this host.
fn question(scope: Scope, thresholds: Thresholds) -> Question {
    let root = Path::new("/");
    Question {
        scope,
        boot: None,
        thresholds,
        no_token: None,
        no_token_rejected: None,
        now: Now {
            boot_id: host::boot_id(root),
            boottime_us: clock::boottime_ns() / 1_000,
        },
        host_name: host::name(root),
        cloud: host::cloud(root),
    }
}

/// What is reported on. Boots are told by their place among all, and a wall clock can
/// jump within one, so that takes a first look at the logs.
fn scope(
    options: &Options<'_>,
    sources: &[Source],
    since_us: Option<i64>,
) -> anyhow::Result<Scope> {
    let can_look = !sources.contains(&Source::Stdin);
    if options.boot.is_none() && (since_us.is_none() || !can_look) {
        return Ok(Scope::since(since_us));
    }
    if !can_look {
        bail!("--boot needs files: standard input can be read only once");
    }
    let mut reader = Reader::new(Scope::default(), false);
    reader.read_all(sources);
    let boots = &mut reader.gathered.boots;
    boots.settle();
    let hosts = coverage::hosts(boots.all(), |_| Some(0), &Now::default());
    let numbers: Vec<Vec<u32>> = hosts
        .iter()
        .map(|host| host.boots.iter().map(|boot| boot.number).collect())
        .collect();
    let scope = Scope::looked_up(since_us, options.boot.as_ref(), boots, &numbers);
    if let (true, Some(boot)) = (scope.is_empty(), &options.boot) {
        bail!("no record is of boot {boot}");
    }
    Ok(scope)
}

/// Takes every record where it belongs.
struct Reader {
    gathered: Gathered,
    scope: Scope,
    /// Whether callers are of interest, or boots alone.
    with_callers: bool,
}

impl Reader {
    fn new(scope: Scope, with_callers: bool) -> Self {
        Self {
            gathered: Gathered {
                boots: Boots::default(),
                groups: Groups::new(),
                timeline: Timeline::default(),
                input: Input::default(),
            },
            scope,
            with_callers,
        }
    }

    fn read_all(&mut self, sources: &[Source]) {
        let size = |source: &Source| match source {
            Source::Stdin => 0,
            Source::File { bytes, .. } => *bytes,
        };
        let progress = Progress::new(sources.iter().map(size).sum());
        for source in sources {
            self.gathered.input.files += 1;
            let done = match source {
                Source::Stdin => self.read(progress.count(io::stdin().lock())),
                Source::File { path, .. } => {
                    File::open(path).and_then(|file| self.read(progress.count(file)))
                }
            };
            if let Err(error) = done {
                let unreadable = &mut self.gathered.input.unreadable;
                match unreadable.len() {
                    len if len < MAX_UNREADABLE => {
                        unreadable.push(text::plain(&format!("{source}: {error}")));
                    }
                    MAX_UNREADABLE => unreadable.push("and more".to_owned()),
                    _ => {}
                }
            }
        }
    }

    fn read(&mut self, input: impl io::Read) -> io::Result<()> {
        each_line(input, |found| {
            let line = match found {
                Found::Line(line) | Found::Unended(line) => Line::read(line),
                Found::TooLong => Line::Foreign,
            };
            self.take(&line);
        })
    }

    fn take(&mut self, line: &Line<'_>) {
        let input = &mut self.gathered.input;
        input.lines += u64::from(!matches!(line, Line::Blank));
        match line {
            Line::Record(view) | Line::UnknownEvent(view) => {
                let Some(wall_us) = moment::parse(&view.timestamp) else {
                    input.foreign_lines += 1;
                    return;
                };
                input.records += 1;
                input.unknown_events += u64::from(matches!(line, Line::UnknownEvent(_)));
                self.take_record(view, wall_us);
            }
            Line::OtherSchema => input.other_schema += 1,
            Line::Torn => input.torn_lines += 1,
            Line::Foreign => input.foreign_lines += 1,
            Line::Blank => {}
        }
    }

    fn take_record(&mut self, view: &View<'_>, wall_us: i64) {
        let in_scope = self
            .scope
            .has(view.boot_id.as_deref(), view.boottime_us, wall_us);
        let gathered = &mut self.gathered;
        let boot = match gathered.boots.observe(view, wall_us, in_scope) {
            Observed::Of(boot) => boot,
            // Its request counts, of whatever boot it is.
            Observed::TooMany => 0,
            Observed::Twice => return,
        };
        if !in_scope {
            gathered.input.records_out_of_scope += 1;
            return;
        }
        if !self.with_callers || view.event.as_str() != crate::record::Event::REQUEST {
            return;
        }
        gathered.input.request_records += 1;
        let at = Moment {
            boot,
            boottime_us: view.boottime_us,
            wall_us,
        };
        gathered.groups.take(view, at);
        if let Some(imds) = &view.imds
            && imds.version.as_str() != "not_applicable"
        {
            gathered.timeline.take(wall_us, &imds.version);
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
