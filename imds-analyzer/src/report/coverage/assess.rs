//! What the pieces of a boot cover.

use std::collections::BTreeMap;

use super::{Boot, Counted, Piece, Stretch};

/// Interval of heartbeats if no record tells it, s: the default of the configuration.
const DEFAULT_INTERVAL_S: u32 = 60;

/// Most gaps that are kept apart; of the others the total is kept.
const MAX_GAPS: usize = 200;

/// Why a time was not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// The analyzer ran, and wrote nothing for more than three intervals.
    Silent,
    /// Records of that time are missing from the log.
    RecordsMissing,
    /// The analyzer had been stopped.
    NotRunning,
    /// The analyzer had ended without saying so.
    EndedUntold,
    /// The boot had begun, and the analyzer had not.
    BeforeStart,
    /// Nothing has been written since, and the host is still up.
    SilentNow,
}

impl GapKind {
    /// For people, after "not watched:".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "no record of a running analyzer",
            Self::RecordsMissing => "records missing from the log",
            Self::NotRunning => "the analyzer was stopped",
            Self::EndedUntold => "the analyzer ended without a word",
            Self::BeforeStart => "the analyzer started late in the boot",
            Self::SilentNow => "the analyzer writes nothing any more",
        }
    }
}

/// A time that was not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When.
    pub time: Stretch,
    /// Why.
    pub kind: GapKind,
}

/// What is covered of a boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootCoverage {
    /// First and last moment that a record tells, µs since the boot.
    pub first_us: u64,
    /// First and last moment that a record tells, µs since the boot.
    pub last_us: u64,
    /// Time watched.
    pub watched_us: u64,
    /// When the analyzer was there first; absent if the log does not tell.
    pub started_us: Option<u64>,
    /// The last run says that it has stopped.
    pub stopped: bool,
    /// Runs of the analyzer.
    pub runs: u32,
    /// Times not watched, in order.
    pub gaps: Vec<Gap>,
    /// Time not watched, all gaps together.
    pub gap_us: u64,
    /// Records whose numbers are missing.
    pub records_lost: u64,
    /// Losses, by cause.
    pub lost: BTreeMap<Box<str>, u64>,
    /// What the runs have counted, if they say so.
    pub counted: Counted,
    /// Interval of heartbeats of the last run, s.
    pub interval_s: u32,
}

impl BootCoverage {
    fn gap(&mut self, kind: GapKind, time: Stretch, from: u64) {
        let time = time.clipped(from);
        if time.len_us() == 0 {
            return;
        }
        self.gap_us = self.gap_us.saturating_add(time.len_us());
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(Gap { time, kind });
        }
    }
}

/// What is covered of a boot from `from_us` (on its clock) on; `None` if no record of it
/// is that late.
pub fn assess(boot: &Boot, from_us: u64) -> Option<BootCoverage> {
    let mut covered = BootCoverage {
        interval_s: DEFAULT_INTERVAL_S,
        ..BootCoverage::default()
    };
    let mut last: Option<&Piece> = None;
    let mut losses = RunLosses::default();
    let mut interval_s = DEFAULT_INTERVAL_S;
    // Counters of a run tell nothing about a log that has not its beginning.
    let mut is_whole = false;
    for piece in &boot.pieces {
        let is_new_run = last.is_none_or(|last| {
            piece.started.is_some() || last.stopped || piece.seq.0 <= last.seq.1
        });
        if is_new_run {
            if let Some(last) = last {
                covered.end_run(last, is_whole, from_us);
                std::mem::take(&mut losses).end_run(&mut covered.lost);
            }
            interval_s = run_interval(&boot.pieces, piece).unwrap_or(interval_s);
            covered.interval_s = interval_s;
            is_whole = piece.seq.0 == 1;
        }
        let ends_in_scope = piece.time.to >= from_us;
        if ends_in_scope {
            covered.between(last, piece, is_new_run, interval_s, from_us);
            let time = piece.time.clipped(from_us);
            covered.watched_us = covered.watched_us.saturating_add(time.len_us());
            for gap in piece.gaps(interval_s) {
                let gap = gap.clipped(from_us);
                covered.gap(GapKind::Silent, gap, from_us);
                covered.watched_us = covered.watched_us.saturating_sub(gap.len_us());
            }
            covered.runs += u32::from(is_new_run || covered.runs == 0);
        }
        losses.take(piece);
        last = Some(piece);
    }
    let (first, last) = (boot.pieces.first()?, last?);
    covered.end_run(last, is_whole, from_us);
    losses.end_run(&mut covered.lost);
    covered.last_us = boot.pieces.iter().map(|piece| piece.time.to).max()?;
    if covered.last_us < from_us {
        return None;
    }
    covered.first_us = first.time.from.max(from_us);
    covered.started_us = first.started;
    covered.stopped = last.stopped;
    covered.gaps.sort_by_key(|gap| gap.time);
    Some(covered)
}

impl BootCoverage {
    /// What lies between two pieces.
    fn between(
        &mut self,
        last: Option<&Piece>,
        piece: &Piece,
        is_new_run: bool,
        interval_s: u32,
        from_us: u64,
    ) {
        let Some(last) = last else {
            // A log that begins in the middle of a run was cut there: how much there was
            // before is not its business.
            return;
        };
        let time = Stretch {
            from: last.time.to,
            to: piece.time.from.max(last.time.to),
        };
        if !is_new_run {
            let lost = piece.seq.0 - last.seq.1 - 1;
            self.records_lost = self.records_lost.saturating_add(lost);
            if time.len_us() > 3 * u64::from(interval_s) * 1_000_000 {
                self.gap(GapKind::RecordsMissing, time, from_us);
            } else {
                let watched = time.clipped(from_us).len_us();
                self.watched_us = self.watched_us.saturating_add(watched);
            }
            return;
        }
        if piece.started.is_none() {
            let lost = piece.seq.0.saturating_sub(1);
            self.records_lost = self.records_lost.saturating_add(lost);
        }
        let kind = if last.stopped {
            GapKind::NotRunning
        } else {
            GapKind::EndedUntold
        };
        self.gap(kind, time, from_us);
    }

    /// Takes the counters of a run that is over.
    fn end_run(&mut self, last: &Piece, is_whole: bool, from_us: u64) {
        if let Some(counted) = last.counted
            && last.time.to >= from_us
        {
            let v1 = if is_whole { counted.v1 } else { 0 };
            self.counted.v1 = self.counted.v1.saturating_add(v1);
            self.counted.suppressed = self.counted.suppressed.saturating_add(counted.suppressed);
        }
    }
}

/// What one run has lost. Its records tell totals, so the highest counts.
#[derive(Default)]
struct RunLosses<'p> {
    total: BTreeMap<&'p str, u64>,
    before: BTreeMap<&'p str, u64>,
}

impl<'p> RunLosses<'p> {
    fn take(&mut self, piece: &'p Piece) {
        for (known, told) in [
            (&mut self.total, &piece.lost),
            (&mut self.before, &piece.lost_before),
        ] {
            for (cause, total) in told {
                let known = known.entry(cause).or_default();
                *known = (*total).max(*known);
            }
        }
    }

    fn end_run(self, lost: &mut BTreeMap<Box<str>, u64>) {
        for (cause, total) in self.total {
            let before = self.before.get(cause).copied().unwrap_or(0);
            if total > before {
                let sum = lost.entry(cause.into()).or_default();
                *sum = sum.saturating_add(total - before);
            }
        }
    }
}

/// The interval of the run that begins with `first`: one of its pieces may tell it.
fn run_interval(pieces: &[Piece], first: &Piece) -> Option<u32> {
    let start = pieces.iter().position(|piece| std::ptr::eq(piece, first))?;
    let run = pieces[start..]
        .iter()
        .enumerate()
        .take_while(|(at, piece)| *at == 0 || piece.started.is_none())
        .take(64);
    run.map(|(_, piece)| piece.interval_s).find_map(|it| it)
}
