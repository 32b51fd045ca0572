//! What is reported on: since when, and which boots.

use std::collections::HashMap;

use jiff::{SignedDuration, Span, Timestamp};

use super::{
    coverage::{Boot, Boots},
    cycle::Beginning,
};

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This moment.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        let wrong = || {
            format!("{text:?} is neither a time (2026-11-22T04:00:00Z) nor a duration (7d, 36h)")
        };
        let span = text.parse::<Span>().map_err(|_| wrong())?;
        // A day is 24 hours: what was watched is measured by a clock without dates.
        let duration = span
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| wrong())?;
        if duration.is_negative() || duration.is_zero() {
            return Err(wrong());
        }
        Ok(Self::Ago(duration))
    }
}

impl Since {
    /// The moment, µs since 1970.
    pub fn wall_us(self, now: Timestamp) -> i64 {
        match self {
            Self::At(at) => at.as_microsecond(),
            Self::Ago(duration) => now
                .saturating_sub(duration)
                .map_or(i64::MIN, Timestamp::as_microsecond),
        }
    }
}

/// Which boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootChoice {
    /// This many boots before the last one of the log: 0 is the last.
    Back(u32),
    /// The one with this id, or the only one whose id begins so.
    Id(String),
}

impl std::str::FromStr for BootChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "current" | "0" | "-0") {
            return Ok(Self::Back(0));
        }
        if let Some(back) = text
            .strip_prefix('-')
            .and_then(|digits| digits.parse().ok())
        {
            return Ok(Self::Back(back));
        }
        let id = text.to_ascii_lowercase();
        let is_id = id.len() >= 4 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
        if is_id {
            Ok(Self::Id(id))
        } else {
            Err(format!(
                "{text:?} is no boot: current, -1 for the one before, or the beginning of a boot id"
            ))
        }
    }
}

impl std::fmt::Display for BootChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Back(0) => f.write_str("current"),
            Self::Back(back) => write!(f, "-{back}"),
            Self::Id(id) => f.write_str(id),
        }
    }
}

/// What is reported on.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// From when on, µs since 1970.
    pub since_us: Option<i64>,
    /// What a first look at the logs has told: from when on each boot counts, on its own
    /// clock; a boot that is not there does not count.
    boots: Option<HashMap<Box<str>, u64>>,
}

impl Scope {
    /// Everything since `since_us`.
    pub fn since(since_us: Option<i64>) -> Self {
        Self {
            since_us,
            boots: None,
        }
    }

    /// What a first look at the logs tells: where each boot begins to count, and which
    /// boots do, as seen from the last boot of each host.
    pub fn looked_up(
        since_us: Option<i64>,
        choice: Option<&BootChoice>,
        boots: &Boots,
        hosts: &[Vec<u32>],
    ) -> Self {
        let mut chosen = HashMap::new();
        for host in hosts {
            for (back, number) in host.iter().rev().enumerate() {
                let boot = &boots.all()[*number as usize];
                let id = boot.id.as_deref().unwrap_or("");
                let is_chosen = match choice {
                    None => true,
                    Some(BootChoice::Back(wanted)) => back == *wanted as usize,
                    Some(BootChoice::Id(wanted)) => id.starts_with(wanted.as_str()),
                };
                if is_chosen {
                    let from = since_us.map_or(0, |since| boot.boottime_us(since));
                    chosen.insert(id.into(), from);
                }
            }
        }
        Self {
            since_us,
            boots: Some(chosen),
        }
    }

    /// What was recorded since the beginning of a cycle: the rest of its boot, and all that
    /// `boots` has after that one. They are numbered as the log has them, oldest first.
    pub fn of_cycle(beginning: &Beginning, boots: &Boots) -> Self {
        let all = boots.all();
        let is_first = |boot: &Boot| boot.id.as_deref() == Some(&*beginning.boot_id);
        let first = all.iter().position(is_first);
        let wall_us = beginning.at.as_microsecond();
        let mut chosen = HashMap::new();
        for (number, boot) in all.iter().enumerate() {
            let from = match first {
                Some(first) if number < first => continue,
                Some(first) if number == first => beginning.boottime_us,
                Some(_) => 0,
                // Nothing is left of its boot: all there is to go by is the wall clock.
                None => boot.boottime_us(wall_us),
            };
            chosen.insert(boot.id.as_deref().unwrap_or("").into(), from);
        }
        Self {
            since_us: Some(wall_us),
            boots: Some(chosen),
        }
    }

    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        self.boots.as_ref().is_some_and(HashMap::is_empty)
    }

    /// Whether a record is reported on.
    pub fn has(&self, boot_id: Option<&str>, boottime_us: u64, wall_us: i64) -> bool {
        match &self.boots {
            Some(boots) => boots
                .get(boot_id.unwrap_or(""))
                .is_some_and(|from| boottime_us >= *from),
            None => self.since_us.is_none_or(|since| wall_us >= since),
        }
    }

    /// From when on a boot counts, on its own clock; `None` if it does not.
    pub fn beginning_us(&self, boot: &Boot) -> Option<u64> {
        match &self.boots {
            Some(boots) => boots.get(boot.id.as_deref().unwrap_or("")).copied(),
            None => Some(self.since_us.map_or(0, |since| boot.boottime_us(since))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_duration() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20T01:00:00+01:00", "2026-11-20T00:00:00Z"),
            ("7d", "2026-11-15T00:00:00Z"),
            ("36h", "2026-11-20T12:00:00Z"),
            ("1w", "2026-11-15T00:00:00Z"),
            ("90m", "2026-11-21T22:30:00Z"),
        ] {
            let since: Since = text.parse().unwrap();
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(since.wall_us(now), expected.as_microsecond(), "{text}");
        }
        for wrong in ["", "yesterday", "-7d", "0s", "7", "1mo"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn boots_are_chosen_by_number_or_id() {
        assert_eq!("current".parse(), Ok(BootChoice::Back(0)));
        assert_eq!("-2".parse(), Ok(BootChoice::Back(2)));
        assert_eq!(
            "8B4A3C1E-0f".parse(),
            Ok(BootChoice::Id("8b4a3c1e-0f".to_owned()))
        );
        for wrong in ["", "last", "-x", "8b4"] {
            assert!(wrong.parse::<BootChoice>().is_err(), "{wrong}");
        }
    }
}
