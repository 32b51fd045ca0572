//! Lines waiting to be written, bounded in bytes, and what was dropped at the
//! bound.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Renderer;
use crate::clock::{self, Clock};
use crate::record::{Event, Loss, OUTPUT_BLOCKED, Origin, Record};

/// What a line costs beside its text.
const LINE_OVERHEAD: usize = 64;

/// Numbers events, renders them and keeps the lines in order.
///
/// Only a line that is kept takes a number, so `seq` has no holes. Lines that
/// were taken but not yet written count as held until [`Queue::written`].
pub(super) struct Queue {
    renderer: Renderer,
    origin: Origin,
    clock: Arc<Clock>,
    lines: VecDeque<String>,
    /// Of lines that were not written, bytes.
    held: usize,
    /// Bound of `held`, bytes.
    bound: usize,
    seq: u64,
    /// Dropping goes on until half the bound is free again: else a slow output
    /// would get a loss record for every other record.
    dropping: bool,
    lost: u64,
    lost_told: u64,
}

impl Queue {
    pub(super) fn new(renderer: Renderer, origin: Origin, clock: Arc<Clock>, bound: usize) -> Self {
        Self {
            renderer,
            origin,
            clock,
            lines: VecDeque::new(),
            held: 0,
            bound,
            seq: 0,
            dropping: false,
            lost: 0,
            lost_told: 0,
        }
    }

    /// Keeps an event, or drops and counts it.
    pub(super) fn push(&mut self, boottime_ns: u64, mut event: Event) {
        let limit = if self.dropping {
            self.bound / 2
        } else {
            self.bound
        };
        self.dropping = self.held >= limit;
        if self.dropping {
            self.lost += 1;
            return;
        }
        self.push_loss();
        if let Some(counters) = event.counters_mut().filter(|_| self.lost > 0) {
            counters.lost.insert(OUTPUT_BLOCKED.into(), self.lost);
        }
        self.push_line(boottime_ns, &event);
    }

    /// Where records come from, from now on.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Takes every line, and behind them what was dropped since.
    pub(super) fn take(&mut self) -> VecDeque<String> {
        self.push_loss();
        std::mem::take(&mut self.lines)
    }

    /// A line that was taken is written.
    pub(super) fn written(&mut self, line: &str) {
        self.held = self.held.saturating_sub(line.len() + LINE_OVERHEAD);
    }

    /// Whether [`Queue::take`] would give anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == self.lost_told
    }

    /// Events dropped since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn push_loss(&mut self) {
        if self.lost == self.lost_told {
            return;
        }
        let loss = Loss {
            cause: OUTPUT_BLOCKED.into(),
            count: self.lost - self.lost_told,
            total: self.lost,
        };
        self.lost_told = self.lost;
        self.push_line(clock::boottime_ns(), &Event::CaptureLoss(loss));
    }

    fn push_line(&mut self, boottime_ns: u64, event: &Event) {
        self.seq += 1;
        let line = self.renderer.line(&Record {
            timestamp: self.clock.at(boottime_ns),
            seq: self.seq,
            boottime_us: boottime_ns / 1_000,
            origin: &self.origin,
            event,
        });
        self.held += line.len() + LINE_OVERHEAD;
        self.lines.push_back(line);
    }
}
