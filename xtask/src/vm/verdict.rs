//! What a VM's console and exit code say about the suite that ran in it.
//!
//! Neither is enough alone: a kernel panic makes QEMU exit with 0, a guest that
//! hangs after its last line never exits, and a line can be printed by anyone.

use std::process::ExitStatus;

use crate::backend::Backend;
use crate::kernel::Kernel;

/// What the kernel says when it can't go on, or goes on damaged.
const KERNEL_FAILURES: [&str; 3] = ["Kernel panic", "Oops", "kernel BUG at"];

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
    /// `IMDS-KERNEL release=…`: what uname(2) says there.
    pub(crate) release: Option<String>,
    /// `IMDS-AUTO backend=…`: what `imds-analyzer check` says that `auto` takes.
    pub(crate) auto: Option<Backend>,
    /// `IMDS-REFUSED backend=B …`: asking for it by name failed, as `check` says it would.
    pub(crate) refused: Vec<Backend>,
    stages: Vec<String>,
    suites: Vec<SuiteCount>,
    passes: u32,
    fails: u32,
    kernel_failure: Option<String>,
}

/// What a VM had to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    /// The kernel that was booted.
    pub(crate) kernel: &'static Kernel,
    /// The backend of the suite that was to run.
    pub(crate) backend: Backend,
    /// Whether it was to say which backends the kernel has.
    pub(crate) probe: bool,
}

impl Console {
    /// Takes one line of the console.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(release) = line.strip_prefix("IMDS-KERNEL release=") {
            self.release = Some(release.to_owned());
        } else if let Some(backend) = line.strip_prefix("IMDS-AUTO backend=") {
            self.auto = Backend::of_name(backend);
        } else if let Some(refused) = line.strip_prefix("IMDS-REFUSED backend=") {
            let name = refused.split(' ').next().unwrap_or_default();
            self.refused.extend(Backend::of_name(name));
        } else if let Some(stage) = line.strip_prefix("IMDS-BOOT stage=") {
            self.stages.push(stage.to_owned());
        } else if KERNEL_FAILURES.iter().any(|words| line.contains(words)) {
            self.kernel_failure.get_or_insert_with(|| line.to_owned());
        } else {
            match line {
                "IMDS-VM-VERDICT pass" => self.passes += 1,
                "IMDS-VM-VERDICT fail" => self.fails += 1,
                line => self.suites.extend(SuiteCount::parse(line)),
            }
        }
    }

    /// The counts of the suite that ended.
    pub(crate) fn suite(&self) -> Option<&SuiteCount> {
        self.suites.first()
    }

    /// Whether the VM did what was expected of it; if not, why.
    ///
    /// `status` is QEMU's, or `None` if it had to be killed.
    pub(crate) fn judge(
        &self,
        expected: &Expectation,
        status: Option<ExitStatus>,
    ) -> Result<(), String> {
        if let Some(failure) = &self.kernel_failure {
            return Err(format!("the kernel failed: {failure}"));
        }
        let Some(status) = status else {
            return Err("the VM did not end by itself and was stopped".into());
        };
        self.judge_suite(expected.backend, status)?;
        if expected.probe {
            self.judge_backends(expected.kernel)?;
        }
        let wanted = expected.kernel.machine.pass_exit_code;
        match (self.passes, self.fails) {
            (1, 0) if status.code() == Some(wanted) => Ok(()),
            (1, 0) => Err(format!(
                "the console says pass, but QEMU ended with {status} instead of {wanted}"
            )),
            (0, 0) => Err(format!("no verdict on the console ({status})")),
            _ => Err("the VM's verdict is fail".into()),
        }
    }

    /// Whether a VM that boots again did what was expected of boot number `stage`: said so,
    /// and rebooted, which ends QEMU.
    pub(crate) fn judge_stage(&self, stage: u32, status: Option<ExitStatus>) -> Result<(), String> {
        let within = |reason: String| Err(format!("boot {stage}: {reason}"));
        if let Some(failure) = &self.kernel_failure {
            return within(format!("the kernel failed: {failure}"));
        }
        let Some(status) = status else {
            return within("the VM did not reboot and was stopped".into());
        };
        match self.suite() {
            Some(suite) if suite.failed > 0 => {
                return within(format!("{} checks failed", suite.failed));
            }
            _ => {}
        }
        if self.stages != [format!("{stage} ok")] {
            return within(format!("no word of its end on the console ({status})"));
        }
        if status.code() != Some(0) {
            return within(format!("QEMU ended with {status} instead of a reboot"));
        }
        Ok(())
    }

    fn judge_suite(&self, backend: Backend, status: ExitStatus) -> Result<(), String> {
        let suite = match self.suites.as_slice() {
            [] => return Err(format!("the suite did not end ({status})")),
            [suite] => suite,
            _ => return Err("more than one suite says that it ended".into()),
        };
        if suite.backend != backend.name() {
            return Err(format!("the suite ran with {}", suite.backend));
        }
        match (suite.passed, suite.failed) {
            (0, 0) => Err("no case ran".into()),
            (_, 0) => Ok(()),
            (_, failed) => Err(format!("{failed} cases failed")),
        }
    }

    /// Holds what the guest found on its kernel against the table.
    fn judge_backends(&self, kernel: &Kernel) -> Result<(), String> {
        let first = kernel.backends.first().copied();
        if self.auto != first {
            return Err(format!(
                "auto takes {}, not {} as the table of kernels says",
                name(self.auto),
                name(first)
            ));
        }
        for backend in [Backend::Fentry, Backend::Kprobe, Backend::Cgroup] {
            let has = kernel.backends.contains(&backend);
            match (has, self.refused.contains(&backend)) {
                (true, true) => return Err(format!("{backend} was refused on this kernel")),
                (false, false) => {
                    return Err(format!("{backend} was not refused, which the table denies"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn name(backend: Option<Backend>) -> &'static str {
    backend.map_or("none", Backend::name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::kernel::KERNELS;

    const GOOD: &str = "IMDS-KERNEL release=6.1.0-56\r\n\
                        IMDS-AUTO backend=fentry\r\n\
                        IMDS-SUITE backend=kprobe passed=3 failed=0\r\n\
                        IMDS-VM-VERDICT pass\r\n";

    fn judge_on(id: &str, console: &str, exit_code: i32) -> Result<(), String> {
        let mut read = Console::default();
        console.lines().for_each(|line| read.read(line));
        let expected = Expectation {
            kernel: KERNELS.iter().find(|kernel| kernel.id() == id).unwrap(),
            backend: Backend::Kprobe,
            probe: true,
        };
        read.judge(&expected, Some(ExitStatus::from_raw(exit_code << 8)))
    }

    fn judge(console: &str, exit_code: i32) -> Result<(), String> {
        judge_on("6.1-x86_64", console, exit_code)
    }

    #[test]
    fn marker_with_exit_code_is_a_pass() {
        assert_eq!(judge(GOOD, 33), Ok(()));
    }

    #[test]
    fn panic_after_the_marker_is_no_pass() {
        assert!(judge(GOOD, 0).is_err());
        // Where powering off and a panic end with the same code.
        let console = GOOD.replace("fentry", "kprobe") + "IMDS-REFUSED backend=fentry errno 524\n";
        assert_eq!(judge_on("6.1-aarch64", &console, 0), Ok(()));
        let console = console + "[   20.1] Kernel panic - not syncing: Attempted to kill init!\n";
        assert!(judge_on("6.1-aarch64", &console, 0).is_err());
    }

    #[test]
    fn exit_code_without_marker_is_no_pass() {
        assert!(judge(&GOOD.replace("IMDS-VM-VERDICT pass", ""), 33).is_err());
    }

    #[test]
    fn suite_with_another_backend_or_two_or_none_is_no_pass() {
        assert!(judge(&GOOD.replace("backend=kprobe", "backend=cgroup"), 33).is_err());
        assert!(judge(&GOOD.replace("IMDS-SUITE", "IMDS-SUITES"), 33).is_err());
        assert!(judge(&format!("{GOOD}{GOOD}"), 33).is_err());
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
    fn backend_that_the_table_denies_must_have_been_refused() {
        let console = GOOD.replace("fentry", "kprobe");
        let error = judge_on("6.1-aarch64", &console, 0).unwrap_err();
        assert!(error.contains("fentry was not refused"), "{error}");
    }

    #[test]
    fn auto_that_takes_another_backend_than_the_table_says_is_no_pass() {
        let error = judge(&GOOD.replace("=fentry", "=cgroup"), 33).unwrap_err();
        assert!(error.contains("auto takes cgroup"), "{error}");
        assert!(judge(&GOOD.replace("IMDS-AUTO", "IMDS-ATUO"), 33).is_err());
    }

    fn judge_stage(console: &str, exit_code: i32) -> Result<(), String> {
        let mut read = Console::default();
        console.lines().for_each(|line| read.read(line));
        read.judge_stage(2, Some(ExitStatus::from_raw(exit_code << 8)))
    }

    #[test]
    fn boot_that_says_so_and_reboots_goes_on() {
        let good = "ok 1.0s x\r\nIMDS-BOOT stage=2 ok\r\nreboot: Restarting system\r\n";
        assert_eq!(judge_stage(good, 0), Ok(()));
        // It was another boot, said nothing, did not reboot, or panicked on its way.
        assert!(judge_stage(&good.replace('2', "1"), 0).is_err());
        assert!(judge_stage("reboot: Restarting system\n", 0).is_err());
        assert!(judge_stage(good, 33).is_err());
        assert!(judge_stage(&format!("{good}Kernel panic - not syncing\n"), 0).is_err());
        let mut read = Console::default();
        good.lines().for_each(|line| read.read(line));
        assert!(read.judge_stage(2, None).is_err());
    }

    #[test]
    fn checks_that_fail_end_the_boot_test() {
        let failed = "IMDS-SUITE backend=auto passed=4 failed=2\nIMDS-VM-VERDICT fail\n";
        let error = judge_stage(failed, 35).unwrap_err();
        assert_eq!(error, "boot 2: 2 checks failed");
    }

    #[test]
    fn killed_vm_is_no_pass() {
        let mut read = Console::default();
        GOOD.lines().for_each(|line| read.read(line));
        let expected = Expectation {
            kernel: &KERNELS[1],
            backend: Backend::Kprobe,
            probe: true,
        };
        assert!(read.judge(&expected, None).is_err());
    }
}
