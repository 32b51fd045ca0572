//! `cargo xtask vm-test`: the integration suite on a stock distribution kernel.
//!
//! Kernel, initramfs with the static programs, QEMU; the test program is PID 1,
//! runs the suite once per backend and says what came of it on the console.

mod cpio;
mod guest;
mod initramfs;
mod qemu;
mod verdict;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

pub(crate) use verdict::SuiteCount;

use crate::binaries::Binaries;
use crate::kernel::{self, Kernel};
use crate::progress::{note, step};
use crate::workspace;
use verdict::Console;

/// The backends that a kernel with BTF and kprobes has, in the order they are tested.
pub(crate) const BACKENDS: [&str; 3] = ["fentry", "kprobe", "cgroup"];
/// The longest that one VM may take for all its backends.
const LIMIT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kernels to boot, one after the other
    #[arg(long, value_delimiter = ',', default_value = kernel::DEFAULT, value_parser = kernel::by_name)]
    kernel: Vec<&'static Kernel>,
    /// Backends to run the suite with
    #[arg(long, value_delimiter = ',', default_values = BACKENDS, value_parser = BACKENDS)]
    backend: Vec<String>,
    /// Run only the cases whose name contains this
    #[arg(long, value_name = "SUBSTRING", value_parser = kernel_word)]
    filter: Option<String>,
}

/// What came of one VM.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The counts of the suites that ended.
    pub(crate) suites: Vec<SuiteCount>,
    /// Why it did not pass, if it did not.
    pub(crate) verdict: Result<(), String>,
    /// The whole console.
    pub(crate) log: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for kernel in &args.kernel {
        let binaries = step("build", || Binaries::build(kernel.machine.target))?;
        let name = format!("VM {} {}", kernel.name, kernel.machine.debian);
        let outcome = step(&name, || {
            boot(kernel, &args.backend, args.filter.as_deref(), &binaries)
        })?;
        for suite in &outcome.suites {
            println!(
                "{name} {}: {} passed, {} failed",
                suite.backend, suite.passed, suite.failed
            );
        }
        match outcome.verdict {
            Ok(()) => println!("{name}: pass"),
            Err(reason) => {
                println!("{name}: FAIL: {reason}; console: {}", outcome.log.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Boots `kernel` and runs the suite in it with each of `backends`.
pub(crate) fn boot(
    kernel: &Kernel,
    backends: &[String],
    filter: Option<&str>,
    binaries: &Binaries,
) -> Result<Outcome> {
    let dir = workspace::target_dir().join("vm");
    let logs = dir.join("logs");
    fs::create_dir_all(&logs)?;
    let name = format!("{}-{}", kernel.name, kernel.machine.debian);
    let image = kernel::vmlinuz(kernel)?;
    let initramfs = initramfs::build(&dir, &name, binaries)?;
    let log = logs.join(format!("{name}.log"));
    note(format_args!("console: {}", log.display()));
    let mut words = vec![format!("imds.backends={}", backends.join(","))];
    words.extend(filter.map(|filter| format!("imds.filter={filter}")));
    let boot = qemu::Boot {
        machine: kernel.machine,
        kernel: &image,
        initramfs: &initramfs,
        words: &words,
        log: &log,
        limit: LIMIT,
    };
    let mut console = Console::default();
    let status = qemu::run(&boot, |line| {
        eprintln!("    {name}| {line}");
        console.read(line);
    })?;
    Ok(Outcome {
        verdict: console.judge(backends, status),
        suites: console.suites().to_vec(),
        log,
    })
}

/// A filter travels on the kernel's command line, which is split at white space.
fn kernel_word(word: &str) -> Result<String, String> {
    if word.is_empty()
        || word.len() > 200
        || word.contains(|c: char| !c.is_ascii_graphic() || c == '"')
    {
        return Err("must be 1 to 200 ASCII characters without spaces and quotes".into());
    }
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_cannot_add_words_to_the_kernel_command_line() {
        assert!(kernel_word("split_token").is_ok());
        assert!(kernel_word("a init=/bin/sh").is_err());
        assert!(kernel_word("a\"b").is_err());
        assert!(kernel_word("").is_err());
    }
}
