//! What the log has of the boots of a cycle.

use std::{fmt, path::Path};

use crate::report::{self, Beginning};

/// Most boots that are told apart; a cycle has two.
const MAX_BOOTS: usize = 1_000;

/// A boot, as far as its records tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The kernel's id of it.
    pub boot_id: Option<String>,
    /// When the first record was made, µs since the kernel started.
    from_us: u64,
    /// Whether the last record says that the analyzer ended in order.
    ended: bool,
    v1: u64,
    v2: u64,
    unknown: u64,
    /// Records of losses.
    losses: u64,
}

/// The boots since `beginning`, in the order of the log. Of the boot in which the cycle
/// began, only what came after.
///
/// # Errors
/// If there is no log.
pub fn since(log: &Path, beginning: &Beginning) -> anyhow::Result<Vec<Watched>> {
    let mut boots: Vec<Watched> = Vec::new();
    let mut has_begun = false;
    report::each_record(log, |record| {
        let is_first = record.boot_id == Some(&beginning.boot_id);
        if is_first && record.boottime_us < beginning.boottime_us {
            return;
        }
        // What comes before it in the log is of boots before.
        has_begun |= is_first || record.wall_us >= beginning.at.as_microsecond();
        if !has_begun {
            return;
        }
        let known = boots
            .iter()
            .rposition(|boot| boot.boot_id.as_deref() == record.boot_id);
        let boot = match known {
            Some(at) => &mut boots[at],
            None if boots.len() == MAX_BOOTS => return,
            None => {
                boots.push(Watched {
                    boot_id: record.boot_id.map(str::to_owned),
                    from_us: record.boottime_us,
                    ..Watched::default()
                });
                let last = boots.len() - 1;
                &mut boots[last]
            }
        };
        boot.ended = record.event == "analyzer_stopped";
        boot.losses += u64::from(record.event == "capture_loss");
        match record.version {
            Some("v1") => boot.v1 += 1,
            Some("v2") => boot.v2 += 1,
            Some("unknown") => boot.unknown += 1,
            _ => {}
        }
    })?;
    Ok(boots)
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "watched from {}.{} s after the kernel started{}: {} v1, {} v2",
            self.from_us / 1_000_000,
            self.from_us / 100_000 % 10,
            if self.ended { ", to its end" } else { "" },
            self.v1,
            self.v2
        )?;
        if self.unknown > 0 {
            write!(f, ", {} unknown", self.unknown)?;
        }
        if self.losses > 0 {
            write!(f, "; something was lost ({} records say what)", self.losses)?;
        }
        Ok(())
    }
}
