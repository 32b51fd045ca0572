//! What the kernel side counted as lost.

use aya::maps::{MapData, MapError, PerCpuArray};
use imds_analyzer_common::loss::LossCause;

/// Reads the per-CPU counters of the programs.
pub struct LossCounters {
    map: PerCpuArray<MapData, u64>,
    reported: [u64; LossCause::ALL.len()],
}

/// Losses of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: LossCause,
    /// How many since the last report.
    pub count: u64,
    /// How many since capture began.
    pub total: u64,
}

impl LossCounters {
    pub(super) fn new(map: PerCpuArray<MapData, u64>) -> Self {
        Self {
            map,
            reported: [0; LossCause::ALL.len()],
        }
    }

    /// The causes whose counters grew since the last call.
    ///
    /// # Errors
    /// If the kernel refuses to read the map.
    pub fn grown(&mut self) -> Result<Vec<Loss>, MapError> {
        let mut grown = Vec::new();
        for (cause, reported) in LossCause::ALL.into_iter().zip(&mut self.reported) {
            let per_cpu = self.map.get(&(cause as u32), 0)?;
            let total = per_cpu.iter().sum::<u64>();
            if total > *reported {
                grown.push(Loss {
                    cause,
                    count: total - *reported,
                    total,
                });
                *reported = total;
            }
        }
        Ok(grown)
    }
}
