//! What a VM's console and exit code say about the suite that ran in it.
//!
//! Neither is enough alone: a kernel panic makes QEMU exit with 0, a guest that
//! hangs after its last line never exits, and a line can be printed by anyone.

use std::process::ExitStatus;

/// QEMU's exit code for a pass: the guest writes V to the debug-exit port and
/// QEMU exits with `V << 1 | 1` (hw/misc/debugexit.c); the init writes 0x10.
const PASS_EXIT_CODE: i32 = 33;

/// The line that counts one suite's cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SuiteCount {
    /// The backend that the suite ran with.
    pub(crate) backend: String,
    /// How many cases passed.
    pub(crate) passed: u64,
    /// How many failed.
    pub(crate) failed: u64,
}

impl SuiteCount {
    /// Reads `IMDS-SUITE backend=B passed=N failed=N`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim().strip_prefix("IMDS-SUITE ")?.split(' ');
        let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        Some(Self {
            backend: value("backend")?.to_owned(),
            passed: value("passed")?.parse().ok()?,
            failed: value("failed")?.parse().ok()?,
        })
    }
}

/// What has been read from a console so far.
#[derive(Debug, Default)]
pub(crate) struct Console {
    suites: Vec<SuiteCount>,
    passes: u32,
    fails: u32,
}

impl Console {
    /// Takes one line of the console.
    pub(crate) fn read(&mut self, line: &str) {
        match line.trim() {
            "IMDS-VM-VERDICT pass" => self.passes += 1,
            "IMDS-VM-VERDICT fail" => self.fails += 1,
            line => self.suites.extend(SuiteCount::parse(line)),
        }
    }

    /// The counts of the suites that ended.
    pub(crate) fn suites(&self) -> &[SuiteCount] {
        &self.suites
    }

    /// Whether the run of `backends` passed; if not, why.
    ///
    /// `status` is QEMU's, or `None` if it had to be killed.
    pub(crate) fn judge(
        &self,
        backends: &[String],
        status: Option<ExitStatus>,
    ) -> Result<(), String> {
        let Some(status) = status else {
            return Err("the VM did not end by itself and was stopped".into());
        };
        for backend in backends {
            let mut counts = self.suites.iter().filter(|suite| suite.backend == *backend);
            match (counts.next(), counts.next()) {
                (None, _) => return Err(format!("the {backend} suite did not end ({status})")),
                (Some(_), Some(_)) => return Err(format!("two results for {backend}")),
                (Some(suite), None) if suite.failed > 0 => {
                    return Err(format!("{backend}: {} cases failed", suite.failed));
                }
                (Some(suite), None) if suite.passed == 0 => {
                    return Err(format!("{backend}: no case ran"));
                }
                (Some(_), None) => {}
            }
        }
        match (self.passes, self.fails) {
            (1, 0) if status.code() == Some(PASS_EXIT_CODE) => Ok(()),
            (1, 0) => Err(format!(
                "the console says pass, but QEMU ended with {status} instead of {PASS_EXIT_CODE}"
            )),
            (0, 0) => Err(format!("no verdict on the console ({status})")),
            _ => Err("the VM's verdict is fail".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const GOOD: &str = "IMDS-SUITE backend=kprobe passed=3 failed=0\r\nIMDS-VM-VERDICT pass\r\n";

    fn judge(console: &str, exit_code: i32) -> Result<(), String> {
        let mut read = Console::default();
        console.lines().for_each(|line| read.read(line));
        read.judge(
            &["kprobe".into()],
            Some(ExitStatus::from_raw(exit_code << 8)),
        )
    }

    #[test]
    fn marker_with_exit_code_is_a_pass() {
        assert_eq!(judge(GOOD, 33), Ok(()));
    }

    #[test]
    fn panic_after_the_marker_is_no_pass() {
        assert!(judge(GOOD, 0).is_err());
    }

    #[test]
    fn exit_code_without_marker_is_no_pass() {
        assert!(judge("IMDS-SUITE backend=kprobe passed=3 failed=0\n", 33).is_err());
    }

    #[test]
    fn requested_backend_that_never_reported_is_no_pass() {
        let other = GOOD.replace("kprobe", "fentry");
        assert!(judge(&other, 33).unwrap_err().contains("kprobe"));
    }

    #[test]
    fn failed_case_or_no_case_at_all_is_no_pass() {
        assert!(judge(&GOOD.replace("failed=0", "failed=1"), 33).is_err());
        assert!(judge(&GOOD.replace("passed=3", "passed=0"), 33).is_err());
    }

    #[test]
    fn fail_marker_beside_a_pass_marker_is_no_pass() {
        assert!(judge(&format!("{GOOD}IMDS-VM-VERDICT fail\n"), 33).is_err());
    }

    #[test]
    fn marker_inside_another_line_does_not_count() {
        let quoted = GOOD.replace("IMDS-VM-VERDICT", "curl says IMDS-VM-VERDICT");
        assert!(judge(&quoted, 33).is_err());
    }

    #[test]
    fn killed_vm_is_no_pass() {
        let mut read = Console::default();
        GOOD.lines().for_each(|line| read.read(line));
        assert!(read.judge(&["kprobe".into()], None).is_err());
    }
}
