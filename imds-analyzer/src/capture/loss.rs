//! What the kernel side lost: counted by the programs themselves, and by the
//! kernel where it did not run them.

use std::{fs, os::fd::AsRawFd as _};

use aya::{
    maps::{MapData, MapError, PerCpuArray},
    programs::ProgramFd,
};
use imds_analyzer_common::loss::LossCause;

/// Name of the loss that the kernel counts: it skipped a program because another
/// task had been preempted in the middle of it on the same CPU. The count is of
/// calls to the hooked function, whether they went to IMDS or not.
pub const RECURSION_MISSES: &str = "recursion_misses";

/// Reads the loss counters.
pub struct LossCounters {
    map: PerCpuArray<MapData, u64>,
    programs: Vec<ProgramFd>,
    reported: [u64; LossCause::ALL.len() + 1],
}

/// Losses of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why: a [`LossCause`]'s name or [`RECURSION_MISSES`].
    pub cause: &'static str,
    /// How many since the last report.
    pub count: u64,
    /// How many since capture began.
    pub total: u64,
}

impl LossCounters {
    pub(super) fn new(map: PerCpuArray<MapData, u64>) -> Self {
        Self {
            map,
            programs: Vec::new(),
            reported: [0; LossCause::ALL.len() + 1],
        }
    }

    /// Watches a program's own counters too.
    pub(super) fn watch(&mut self, program: ProgramFd) {
        self.programs.push(program);
    }

    /// Whether the counters can be read.
    ///
    /// # Errors
    /// As [`LossCounters::grown`].
    pub fn try_read(&self) -> Result<(), MapError> {
        self.map.get(&(LossCause::ALL[0] as u32), 0).map(|_| ())
    }

    /// The causes whose counters grew since the last call.
    ///
    /// # Errors
    /// If the kernel refuses to read the map.
    pub fn grown(&mut self) -> Result<Vec<Loss>, MapError> {
        let mut totals = Vec::with_capacity(self.reported.len());
        for cause in LossCause::ALL {
            let per_cpu = self.map.get(&(cause as u32), 0)?;
            totals.push((cause.as_str(), per_cpu.iter().sum::<u64>()));
        }
        let misses = self.programs.iter().map(recursion_misses).sum();
        totals.push((RECURSION_MISSES, misses));

        let mut grown = Vec::new();
        for ((cause, total), reported) in totals.into_iter().zip(&mut self.reported) {
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

/// Times that the kernel skipped a program (`bpf_prog_show_fdinfo`, 5.12 and
/// later; 0 before).
fn recursion_misses(program: &ProgramFd) -> u64 {
    use std::os::fd::AsFd as _;
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    fs::read_to_string(path).map_or(0, |fdinfo| parse_misses(&fdinfo))
}

fn parse_misses(fdinfo: &str) -> u64 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|misses| misses.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_from_the_programs_fdinfo() {
        let fdinfo = "pos:\t0\nprog_type:\t26\nrun_cnt:\t9\nrecursion_misses:\t17\n";
        assert_eq!(parse_misses(fdinfo), 17);
    }

    #[test]
    fn kernel_that_does_not_count_has_no_misses() {
        assert_eq!(parse_misses("pos:\t0\nprog_type:\t26\n"), 0);
    }
}
