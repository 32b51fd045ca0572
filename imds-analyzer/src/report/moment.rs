//! When something happened, by two clocks.

use jiff::Timestamp;

/// A moment in a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which boot: its number in [`Boots`](super::coverage::Boots).
    pub boot: u32,
    /// On the boot-time clock, µs. It never jumps.
    pub boottime_us: u64,
    /// By the wall clock of that moment, µs since 1970.
    pub wall_us: i64,
}

impl Moment {
    /// The earlier one: within a boot by the clock that does not jump.
    pub fn min(self, other: Self) -> Self {
        if other.is_before(&self) { other } else { self }
    }

    /// The later one.
    pub fn max(self, other: Self) -> Self {
        if self.is_before(&other) { other } else { self }
    }

    fn is_before(&self, other: &Self) -> bool {
        if self.boot == other.boot {
            self.boottime_us < other.boottime_us
        } else {
            self.wall_us < other.wall_us
        }
    }
}

/// µs since 1970 of a record's `timestamp`; `None` if it is no time.
pub fn parse(timestamp: &str) -> Option<i64> {
    timestamp
        .parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_microsecond)
}

/// `2026-11-22T04:32:51Z`.
pub fn second(wall_us: i64) -> String {
    match Timestamp::from_microsecond(wall_us) {
        Ok(time) => format!("{time:.0}"),
        Err(_) => "unknown".to_owned(),
    }
}

/// For people: `3 d 4 h`, `2 min 5 s`, `0.4 s`.
pub fn duration(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => format!("{}.{} s", seconds, us / 100_000 % 10),
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u32, boottime_us: u64, wall_us: i64) -> Moment {
        Moment {
            boot,
            boottime_us,
            wall_us,
        }
    }

    #[test]
    fn within_a_boot_a_jump_of_the_wall_clock_changes_nothing() {
        let (first, second) = (at(0, 10, 9_000), at(0, 20, 5));
        assert_eq!((first.min(second), second.min(first)), (first, first));
        assert_eq!((first.max(second), second.max(first)), (second, second));
        assert_eq!(at(0, 10, 50).min(at(1, 5, 60)), at(0, 10, 50));
    }

    #[test]
    fn durations_are_told_in_the_two_units_that_matter() {
        for (seconds, text) in [
            (0.4, "0.4 s"),
            (42.0, "42 s"),
            (125.0, "2 min 5 s"),
            (21_600.0, "6 h 0 min"),
            (273_600.0, "3 d 4 h"),
        ] {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small"
            )]
            let us = (seconds * 1e6) as u64;
            assert_eq!(duration(us), text);
        }
    }

    #[test]
    fn times_are_read_and_written() {
        let us = parse("2026-11-22T04:32:51.949123Z").unwrap();
        assert_eq!(us, 1_795_321_971_949_123);
        assert_eq!(second(us), "2026-11-22T04:32:51Z");
        assert_eq!(parse("yesterday"), None);
    }
}
