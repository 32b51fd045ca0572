//! `cargo xtask vm-test`: the integration suite on a stock distribution kernel.
//!
//! Kernel, initramfs with the static programs, QEMU; the test program is PID 1,
//! runs the suite and says what came of it on the console. Each backend has a VM
//! of its own, and as many run at once as there are processors: an emulated one
//! keeps one of them busy.

mod clients;
mod cpio;
mod guest;
mod initramfs;
mod qemu;
mod root_image;
mod verdict;

use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

pub(crate) use verdict::SuiteCount;

use crate::binaries::Binaries;
use crate::kernel::{self, Kernel};
use crate::progress::{note, step};
use crate::workspace;
use verdict::Console;

/// The backends that a kernel with BTF and kprobes has, in the order they are tested.
/// With `-alone`, a hook captures without the witness on the wire, which would make
/// up for what it misses.
pub(crate) const BACKENDS: [&str; 5] =
    ["fentry", "kprobe", "cgroup", "fentry-alone", "kprobe-alone"];
/// The longest that one VM may take.
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
    /// Run the real clients, in a VM with Debian's packages of them
    #[arg(long)]
    clients: bool,
}

/// What came of a kernel's VMs.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The counts of the suites that ended.
    pub(crate) suites: Vec<SuiteCount>,
    /// Why it did not pass, if it did not.
    pub(crate) verdict: Result<(), String>,
    /// The console of the one that failed, or where all consoles are.
    pub(crate) log: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for kernel in &args.kernel {
        let binaries = step("build", || Binaries::build(kernel.machine.target))?;
        let name = format!("VM {} {}", kernel.name, kernel.machine.debian);
        let boot = if args.clients { clients::boot } else { boot };
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

/// Boots `kernel` once for each of `backends` and runs the suite in it.
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
    let guest = Guest {
        kernel,
        image: kernel::vmlinuz(kernel)?,
        initramfs: initramfs::build(&dir, &name, binaries)?,
        filter,
        logs: &logs,
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let queue = Mutex::new(backends.iter());
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next()
    };
    let work = || -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(backend) = next() {
            outcomes.push(guest.boot(&name, backend)?);
        }
        Ok(outcomes)
    };
    let done = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Outcome::of_all(done.into_iter().flatten().collect(), logs))
}

/// What the VMs of one kernel have in common.
struct Guest<'a> {
    kernel: &'a Kernel,
    image: PathBuf,
    initramfs: PathBuf,
    filter: Option<&'a str>,
    logs: &'a Path,
}

impl Guest<'_> {
    fn boot(&self, name: &str, backend: &str) -> Result<Outcome> {
        let log = self.logs.join(format!("{name}-{backend}.log"));
        note(format_args!("console: {}", log.display()));
        let mut words = vec![
            format!("imds.backends={backend}"),
            "imds.group=senders".to_owned(),
        ];
        words.extend(self.filter.map(|filter| format!("imds.filter={filter}")));
        let boot = qemu::Boot {
            machine: self.kernel.machine,
            kernel: &self.image,
            root: qemu::Root::Initramfs(&self.initramfs),
            words: &words,
            log: &log,
            limit: LIMIT,
        };
        let mut console = Console::default();
        let status = qemu::run(&boot, |line| {
            eprintln!("    {name} {backend}| {line}");
            console.read(line);
        })?;
        Ok(Outcome {
            verdict: console.judge(&[backend.to_owned()], status),
            suites: console.suites().to_vec(),
            log,
        })
    }
}

impl Outcome {
    /// All suites in the order of [`BACKENDS`], and the first failure.
    fn of_all(outcomes: Vec<Self>, logs: PathBuf) -> Self {
        let mut all = Self {
            suites: Vec::new(),
            verdict: Ok(()),
            log: logs,
        };
        for outcome in outcomes {
            all.suites.extend(outcome.suites);
            if all.verdict.is_ok() && outcome.verdict.is_err() {
                all.verdict = outcome.verdict;
                all.log = outcome.log;
            }
        }
        let rank = |suite: &SuiteCount| BACKENDS.iter().position(|name| *name == suite.backend);
        all.suites.sort_by_key(rank);
        all
    }
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

    fn outcome(backend: &str, verdict: Result<(), String>) -> Outcome {
        let line = format!("IMDS-SUITE backend={backend} passed=3 failed=0");
        Outcome {
            suites: SuiteCount::parse(&line).into_iter().collect(),
            verdict,
            log: PathBuf::from(backend),
        }
    }

    #[test]
    fn one_failure_among_the_vms_is_the_outcome() {
        let failed = outcome("kprobe", Err("panic".into()));
        let all = Outcome::of_all(
            vec![outcome("cgroup", Ok(())), failed, outcome("fentry", Ok(()))],
            PathBuf::from("logs"),
        );
        assert_eq!(all.verdict, Err("panic".to_owned()));
        assert_eq!(all.log, PathBuf::from("kprobe"));
        let order: Vec<&str> = all
            .suites
            .iter()
            .map(|suite| suite.backend.as_str())
            .collect();
        assert_eq!(order, ["fentry", "kprobe", "cgroup"]);
    }

    #[test]
    fn filter_cannot_add_words_to_the_kernel_command_line() {
        assert!(kernel_word("split_token").is_ok());
        assert!(kernel_word("a init=/bin/sh").is_err());
        assert!(kernel_word("a\"b").is_err());
        assert!(kernel_word("").is_err());
    }
}
