//! A piece of a run: consecutive records of one run of the analyzer.

use std::collections::BTreeMap;

use crate::report::view::View;

/// Most causes of loss that are told apart.
const MAX_CAUSES: usize = 32;

/// Most pauses that are remembered, the longest ones.
const MAX_PAUSES: usize = 64;

/// Shortest pause that can be a gap, µs: three of the shortest heartbeat intervals.
const SHORTEST_GAP_US: u64 = 3_000_000;

/// A stretch of time on the boot-time clock, µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Its beginning.
    pub from: u64,
    /// Its end.
    pub to: u64,
}

impl Stretch {
    /// How long it is.
    pub fn len_us(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// The part of it from `start` on.
    pub fn clipped(self, start: u64) -> Self {
        Self {
            from: self.from.max(start).min(self.to.max(start)),
            to: self.to.max(start),
        }
    }
}

/// What a run has counted so far, as its last record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests without a token.
    pub v1: u64,
    /// Requests that were read and not written.
    pub suppressed: u64,
}

/// Consecutive records of one run.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Numbers of the first and the last record.
    pub seq: (u64, u64),
    /// From the first to the last moment that a record tells.
    pub time: Stretch,
    /// When the analyzer said that it had started; the first record says it.
    pub started: Option<u64>,
    /// The last record says that it has stopped.
    pub stopped: bool,
    /// Seconds between heartbeats.
    pub interval_s: Option<u32>,
    /// Times without a record, the longest ones.
    pauses: Vec<Stretch>,
    /// Its counters.
    pub counted: Option<Counted>,
    /// What was lost, by cause, from the start of the run to the last record.
    pub lost: BTreeMap<Box<str>, u64>,
    /// The same up to the last record before what is reported on.
    pub lost_before: BTreeMap<Box<str>, u64>,
}

impl Piece {
    /// A piece of one record.
    pub fn of(view: &View<'_>, in_scope: bool) -> Self {
        let at = view.boottime_us;
        let mut piece = Self {
            seq: (view.seq, view.seq),
            time: Stretch { from: at, to: at },
            started: (view.event.as_str() == "analyzer_started").then_some(at),
            stopped: false,
            interval_s: None,
            pauses: Vec::new(),
            counted: None,
            lost: BTreeMap::new(),
            lost_before: BTreeMap::new(),
        };
        piece.learn(view, in_scope);
        piece
    }

    /// Whether this record can come right after it.
    pub fn continues_with(&self, view: &View<'_>) -> bool {
        !self.stopped
            && Some(view.seq) == self.seq.1.checked_add(1)
            && view.event.as_str() != "analyzer_started"
    }

    /// Whether this record is in it already.
    pub fn has(&self, view: &View<'_>) -> bool {
        if view.event.as_str() == "analyzer_started" {
            return self.started == Some(view.boottime_us);
        }
        (self.seq.0..=self.seq.1).contains(&view.seq)
            && (self.time.from..=self.time.to).contains(&view.boottime_us)
    }

    /// Adds the record that comes right after it.
    pub fn push(&mut self, view: &View<'_>, in_scope: bool) {
        self.seq.1 = view.seq;
        let at = view.boottime_us;
        if at > self.time.to {
            self.pause(Stretch {
                from: self.time.to,
                to: at,
            });
            self.time.to = at;
        }
        // Records stand in the order in which they were made, and one can be made a
        // moment after what it tells.
        self.time.from = self.time.from.min(at);
        self.learn(view, in_scope);
    }

    /// Adds the piece that comes right after it.
    pub fn join(&mut self, next: Self) {
        self.seq.1 = next.seq.1;
        if next.time.from > self.time.to {
            self.pause(Stretch {
                from: self.time.to,
                to: next.time.from,
            });
        }
        self.time.to = self.time.to.max(next.time.to);
        self.time.from = self.time.from.min(next.time.from);
        self.stopped = next.stopped;
        self.interval_s = self.interval_s.or(next.interval_s);
        next.pauses.into_iter().for_each(|pause| self.pause(pause));
        self.counted = match (self.counted, next.counted) {
            (Some(own), Some(next)) => Some(Counted {
                v1: own.v1.max(next.v1),
                suppressed: own.suppressed.max(next.suppressed),
            }),
            (own, next) => own.or(next),
        };
        for (own, others) in [
            (&mut self.lost, next.lost),
            (&mut self.lost_before, next.lost_before),
        ] {
            for (cause, total) in others {
                raise(own, &cause, total);
            }
        }
    }

    /// Whether `next` has the numbers that come right after it, and can be of its run.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        !self.stopped
            && next.started.is_none()
            && Some(next.seq.0) == self.seq.1.checked_add(1)
            && next.time.to >= self.time.from
    }

    /// Times without a record that are longer than three intervals of `interval_s`.
    pub fn gaps(&self, interval_s: u32) -> impl Iterator<Item = Stretch> {
        let longest = 3 * u64::from(interval_s) * 1_000_000;
        let mut gaps: Vec<Stretch> = self.pauses.clone();
        gaps.retain(|pause| pause.len_us() > longest);
        gaps.sort();
        gaps.into_iter()
    }

    fn pause(&mut self, pause: Stretch) {
        if pause.len_us() <= SHORTEST_GAP_US {
            return;
        }
        if self.pauses.len() < MAX_PAUSES {
            self.pauses.push(pause);
            return;
        }
        let shortest = self.pauses.iter_mut().min_by_key(|kept| kept.len_us());
        if let Some(shortest) = shortest.filter(|kept| kept.len_us() < pause.len_us()) {
            *shortest = pause;
        }
    }

    fn learn(&mut self, view: &View<'_>, in_scope: bool) {
        self.stopped = view.event.as_str() == "analyzer_stopped";
        self.interval_s = view.heartbeat_interval_s.or(self.interval_s);
        if let Some(counters) = &view.counters {
            let requests = counters.requests.unwrap_or_default();
            // Counters only grow.
            let known = self.counted.unwrap_or_default();
            self.counted = Some(Counted {
                v1: requests.v1.max(known.v1),
                suppressed: counters.suppressed.max(known.suppressed),
            });
            for (cause, total) in &counters.lost.0 {
                self.lose(cause, *total, in_scope);
            }
        }
        if let (Some(cause), Some(total)) = (&view.cause, view.total)
            && view.event.as_str() == "capture_loss"
        {
            self.lose(cause, total, in_scope);
        }
    }

    fn lose(&mut self, cause: &str, total: u64, in_scope: bool) {
        if total == 0 {
            return;
        }
        raise(&mut self.lost, cause, total);
        if !in_scope {
            raise(&mut self.lost_before, cause, total);
        }
    }
}

/// Totals only grow, and whatever tells one may come late.
fn raise(totals: &mut BTreeMap<Box<str>, u64>, cause: &str, total: u64) {
    if let Some(known) = totals.get_mut(cause) {
        *known = total.max(*known);
    } else {
        let cause = if totals.len() < MAX_CAUSES {
            crate::report::subject::clipped(cause, 64)
        } else {
            "other".into()
        };
        let known = totals.entry((*cause).into()).or_default();
        *known = total.max(*known);
    }
}
