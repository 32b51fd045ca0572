//! How much of its time a worker may spend on what others make it do.

use std::time::{Duration, Instant};

/// Work that is allowed for each unit of time that passes, as a divisor.
const SHARE: u32 = 5;

/// Work that may be saved up.
const MOST: Duration = Duration::from_secs(2);

/// A worker's time. Whoever can run executables that were never seen before can make
/// it search for each; this bounds what that costs the host.
#[derive(Debug)]
pub(super) struct Budget {
    left: Duration,
    at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            at: now,
        }
    }

    /// Whether anything is left.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at);
        self.left = (self.left + passed / SHARE).min(MOST);
        self.at = now;
        !self.left.is_zero()
    }

    pub(super) fn spend(&mut self, work: Duration) {
        self.left = self.left.saturating_sub(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_time_may_be_spent() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.allows(start));
        budget.spend(Duration::from_secs(100));
        assert!(!budget.allows(start));
        let later = start + Duration::from_secs(5);
        assert!(budget.allows(later));
        budget.spend(Duration::from_millis(999));
        assert!(budget.allows(later));
        budget.spend(Duration::from_millis(1));
        assert!(!budget.allows(later));
    }

    #[test]
    fn no_more_than_two_seconds_are_saved_up() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let later = start + Duration::from_secs(1_000);
        assert!(budget.allows(later));
        budget.spend(Duration::from_secs(2));
        assert!(!budget.allows(later));
    }
}
