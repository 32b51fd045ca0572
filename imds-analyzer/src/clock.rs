//! Time: from the kernel's boot-time clock to the wall clock.
//!
//! The kernel side stamps events with `CLOCK_BOOTTIME`, which never jumps. The
//! wall clock does: at boot it may start years off, until NTP sets it. So the
//! difference between the two is looked at when an event is converted, not
//! when the analyzer starts: what is logged is the time of the event by the
//! wall clock as it is set *now*. Records from before a jump keep the time
//! they were written with; `boottime_us` and `boot_id` tell their true order.
//!
//! NTP slews both clocks alike, so their difference changes only when the wall
//! clock is set. Reading two clocks one after the other is off by the time in
//! between, though; a difference smaller than [`SETTLED_NS`] is therefore not
//! believed, and the start time of a process is the same in all its records.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

/// A wall clock set by less than this is taken as not set, in ns.
pub const SETTLED_NS: i64 = 1_000_000;

/// How often two clocks are read to find a moment without a preemption
/// between the reads.
const TRIES: u32 = 4;

/// Converts boot-time to wall-clock time.
#[derive(Debug)]
pub struct Clock {
    /// Wall clock minus boot-time clock, ns.
    offset_ns: AtomicI64,
}

impl Clock {
    /// A clock of this machine.
    pub fn new() -> Self {
        Self {
            offset_ns: AtomicI64::new(sample().0),
        }
    }

    /// The wall-clock time of a moment on the boot-time clock, in ns since
    /// boot, as the kernel gives it at the hook or as the start of a process.
    pub fn at(&self, boottime_ns: u64) -> Timestamp {
        let kept = self.offset_ns.load(Ordering::Relaxed);
        let (fresh, uncertain) = sample();
        let offset = settle(kept, fresh, uncertain);
        self.offset_ns.store(offset, Ordering::Relaxed);
        timestamp(boottime_ns, offset)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Now, on the boot-time clock, ns.
pub fn boottime_ns() -> u64 {
    u64::try_from(read(ClockId::Boottime)).unwrap_or(0)
}

/// RFC 3339 in UTC with microseconds: `2026-11-22T04:32:51.949123Z`.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// UTC for humans, milliseconds: `2026-11-22 04:32:51.949Z`.
pub fn utc_short(time: Timestamp) -> String {
    let utc = time.to_zoned(TimeZone::UTC);
    format!(
        "{}.{:03}Z",
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        utc.millisecond()
    )
}

/// Local time as Python's `logging` writes it: `2026-11-22 04:32:51,949`.
pub fn local(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned(zone.clone());
    format!(
        "{},{:03}",
        local.strftime("%Y-%m-%d %H:%M:%S"),
        local.millisecond()
    )
}

/// The offset to use, given the one in use, a fresh one and how far that can
/// be off.
fn settle(kept: i64, fresh: i64, uncertain: i64) -> i64 {
    let moved = fresh.saturating_sub(kept).saturating_abs();
    if moved > SETTLED_NS.max(uncertain) {
        fresh
    } else {
        kept
    }
}

/// Microseconds, as records have them. No pair of arguments leaves the years
/// that a [`Timestamp`] has.
fn timestamp(boottime_ns: u64, offset_ns: i64) -> Timestamp {
    let wall_ns = i128::from(boottime_ns) + i128::from(offset_ns);
    i64::try_from(wall_ns.div_euclid(1_000))
        .ok()
        .and_then(|wall_us| Timestamp::from_microsecond(wall_us).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Wall clock minus boot-time clock and how far that can be off, ns.
fn sample() -> (i64, i64) {
    let mut best = (0, i64::MAX);
    for _ in 0..TRIES {
        let before = read(ClockId::Boottime);
        let wall = read(ClockId::Realtime);
        let after = read(ClockId::Boottime);
        let between = after - before;
        if between < best.1 {
            best = (wall - (before + between / 2), between);
        }
        if between < SETTLED_NS {
            break;
        }
    }
    best
}

fn read(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAUNCH: i64 = 1_795_321_971_949_123; // 2026-11-22T04:32:51.949123Z, µs

    #[test]
    fn moment_is_shown_in_utc_with_microseconds() {
        let time = Timestamp::from_microsecond(LAUNCH).unwrap();
        assert_eq!(rfc3339(time), "2026-11-22T04:32:51.949123Z");
        assert_eq!(utc_short(time), "2026-11-22 04:32:51.949Z");
        let whole = Timestamp::from_microsecond(LAUNCH - 949_123).unwrap();
        assert_eq!(rfc3339(whole), "2026-11-22T04:32:51.000000Z");
    }

    #[test]
    fn local_time_has_a_comma_and_the_zone_s_offset() {
        let time = Timestamp::from_microsecond(LAUNCH).unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        assert_eq!(local(time, &zone), "2026-11-21 23:32:51,949");
    }

    #[test]
    fn nanoseconds_since_boot_become_the_microsecond_they_fall_in() {
        let offset = LAUNCH * 1_000 - 81_234_567_890;
        let time = timestamp(81_234_567_890, offset);
        assert_eq!(time.as_microsecond(), LAUNCH);
        assert_eq!(
            timestamp(81_234_567_889, offset).as_microsecond(),
            LAUNCH - 1
        );
        assert_eq!(timestamp(81_234_568_889, offset).as_microsecond(), LAUNCH);
    }

    #[test]
    fn nonsense_from_the_kernel_stays_in_range() {
        assert_eq!(
            rfc3339(timestamp(u64::MAX, i64::MAX)),
            "2846-10-30T23:21:50.564327Z"
        );
        assert_eq!(
            rfc3339(timestamp(0, i64::MIN)),
            "1677-09-21T00:12:43.145224Z"
        );
    }

    #[test]
    fn jitter_between_two_reads_does_not_move_time() {
        assert_eq!(settle(5_000, 900_000, 200), 5_000);
        assert_eq!(settle(5_000, 8_000_000, 9_000_000), 5_000);
    }

    #[test]
    fn a_wall_clock_that_was_set_is_followed() {
        assert_eq!(settle(5_000, 3_600_000_000_000, 200), 3_600_000_000_000);
        assert_eq!(settle(5_000, -3_600_000_000_000, 200), -3_600_000_000_000);
    }

    #[test]
    fn start_of_a_process_is_the_same_whenever_it_is_asked_for() {
        let clock = Clock::new();
        let start = boottime_ns();
        let first = clock.at(start);
        assert!((0..1_000).all(|_| clock.at(start) == first));
    }

    #[test]
    fn now_is_now() {
        let now = Clock::new().at(boottime_ns());
        let drift = Timestamp::now().duration_since(now).abs();
        assert!(drift < jiff::SignedDuration::from_secs(60), "{drift:?}");
    }
}
