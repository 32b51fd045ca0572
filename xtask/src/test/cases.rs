//! Counts of test cases, and where programs print them.

use std::ops::AddAssign;
use std::process::ExitStatus;

use anyhow::{Result, bail};

/// How many cases passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cases {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl AddAssign for Cases {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Cases {
    /// Reads libtest's `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub(super) fn of_libtest(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut parts = counts.split("; ");
        let mut count = |word: &str| parts.next()?.strip_suffix(word)?.trim().parse().ok();
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
        })
    }

    /// Holds the counts against how the program that printed them ended.
    ///
    /// A program that failed without counting a failure (it did not compile, it
    /// crashed) is one, and one that ran nothing proves nothing.
    pub(super) fn checked(mut self, status: ExitStatus) -> Result<Self> {
        if !status.success() && self.failed == 0 {
            self.failed = 1;
        }
        if self == Self::default() {
            bail!("no case ran");
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const EXIT_0: i32 = 0;
    const EXIT_1: i32 = 1 << 8;

    #[test]
    fn libtest_result_line_is_read() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            Cases::of_libtest(line),
            Some(Cases {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(Cases::of_libtest("test a::b ... ok"), None);
    }

    #[test]
    fn crash_without_a_failed_case_counts_as_one() {
        let cases = Cases {
            passed: 5,
            failed: 0,
        };
        let crashed = cases.checked(ExitStatus::from_raw(EXIT_1)).unwrap();
        assert_eq!(
            crashed,
            Cases {
                passed: 5,
                failed: 1
            }
        );
        assert_eq!(cases.checked(ExitStatus::from_raw(EXIT_0)).unwrap(), cases);
    }

    #[test]
    fn success_without_any_case_is_an_error() {
        assert!(
            Cases::default()
                .checked(ExitStatus::from_raw(EXIT_0))
                .is_err()
        );
    }
}
