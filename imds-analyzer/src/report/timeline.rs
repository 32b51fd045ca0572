//! Requests over time, in a fixed number of steps that grow with the time they span.

/// Number of steps.
pub const STEPS: usize = 240;

/// The shortest step, µs.
const SHORTEST_US: i64 = 1_000_000;

/// Before this a wall clock has not been set (2015-01-01), µs since 1970.
const NOT_SET_US: i64 = 1_420_070_400_000_000;

/// Requests of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Without a token.
    pub v1: u64,
    /// With one, or for one.
    pub v2: u64,
    /// Not read whole.
    pub unknown: u64,
}

/// Requests over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    steps: Vec<Step>,
    /// Beginning of the first step, a multiple of `step_us`.
    start_us: i64,
    /// Length of a step, µs.
    pub step_us: i64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            steps: vec![Step::default(); STEPS],
            start_us: i64::MIN,
            step_us: SHORTEST_US,
        }
    }
}

impl Timeline {
    /// Counts a request at a moment of the wall clock. What a clock that is not set yet
    /// tells is left out.
    pub fn take(&mut self, wall_us: i64, version: &str) {
        if wall_us < NOT_SET_US {
            return;
        }
        if self.start_us == i64::MIN {
            self.start_us = wall_us - wall_us.rem_euclid(self.step_us);
        }
        let steps = STEPS as i64;
        while wall_us < self.start_us || wall_us >= self.start_us + steps * self.step_us {
            self.widen(wall_us);
        }
        let at = usize::try_from((wall_us - self.start_us) / self.step_us).unwrap_or(0);
        let step = &mut self.steps[at.min(STEPS - 1)];
        match version {
            "v1" => step.v1 += 1,
            "v2" => step.v2 += 1,
            _ => step.unknown += 1,
        }
    }

    /// Steps that have something, with their beginnings, µs since 1970.
    pub fn steps(&self) -> impl Iterator<Item = (i64, Step)> {
        self.steps
            .iter()
            .enumerate()
            .filter(|(_, step)| **step != Step::default())
            .map(|(at, step)| (self.start_us + at as i64 * self.step_us, *step))
    }

    /// Twice as long steps, from a beginning that is not after `wall_us`.
    fn widen(&mut self, wall_us: i64) {
        let old: Vec<(i64, Step)> = self.steps().collect();
        self.step_us *= 2;
        let first = old.first().map_or(wall_us, |(at, _)| (*at).min(wall_us));
        // What lies further back than all steps reach is found by the next widening.
        let last = old.last().map_or(wall_us, |(at, _)| *at);
        let reach = (STEPS as i64 - 1) * self.step_us;
        let start = first.max(last - reach);
        self.start_us = start - start.rem_euclid(self.step_us);
        self.steps.fill(Step::default());
        for (at, step) in old {
            let at = ((at - self.start_us).max(0) / self.step_us) as usize;
            let sum = &mut self.steps[at.min(STEPS - 1)];
            sum.v1 += step.v1;
            sum.v2 += step.v2;
            sum.unknown += step.unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    const START: i64 = 1_795_321_971_949_123;

    fn total(timeline: &Timeline) -> u64 {
        let sum = |step: &Step| step.v1 + step.v2 + step.unknown;
        timeline.steps().map(|(_, step)| sum(&step)).sum()
    }

    #[test]
    fn nothing_is_lost_in_whatever_order_it_comes() {
        for offsets in [
            vec![0, DAY, 30 * DAY, 400 * DAY],
            vec![400 * DAY, 30 * DAY, DAY, 0],
            vec![DAY, -DAY, 3 * DAY, -40 * DAY, 0, 1],
        ] {
            let mut timeline = Timeline::default();
            for offset in &offsets {
                timeline.take(START + offset, "v1");
            }
            assert_eq!(total(&timeline), offsets.len() as u64, "{offsets:?}");
            for offset in offsets {
                let at = START + offset;
                let step = timeline
                    .steps()
                    .find(|(start, _)| (*start..start + timeline.step_us).contains(&at));
                assert!(step.is_some(), "{offset}");
            }
        }
    }

    #[test]
    fn clock_that_is_not_set_does_not_stretch_the_time() {
        let mut timeline = Timeline::default();
        timeline.take(5, "v1");
        timeline.take(START, "v2");
        assert_eq!((total(&timeline), timeline.step_us), (1, SHORTEST_US));
    }
}
