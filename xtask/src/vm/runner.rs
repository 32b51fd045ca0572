//! Runs cells: builds and fetches what they need, then one VM for each, as many at
//! once as there are processors, because an emulated one keeps one of them busy.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cell::{Cell, Guest};
use super::outcome::{Facts, Memory, Outcome};
use super::qemu::Root;
use super::verdict::{Console, Expectation};
use super::{boot, initramfs, qemu, root_image};
use crate::binaries::{self, Binaries};
use crate::command::CommandExt as _;
use crate::kernel::{self, Kernel, Obtained, Purpose};
use crate::progress::{note, seconds, step};
use crate::workspace;

/// The longest that one VM may take.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// How to run them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only the cases whose names contain this.
    pub(crate) filter: Option<String>,
    /// Take over what passed earlier with the same inputs.
    pub(crate) resume: bool,
}

/// A cell that can be booted.
struct Ready<'a> {
    number: usize,
    cell: Cell,
    disk: &'a Disk,
    words: Vec<String>,
    probe: bool,
    memory: Memory,
    /// Where its console goes.
    log: PathBuf,
}

/// What the cells of one kernel and guest have in common.
struct Disk {
    kernel: PathBuf,
    root: Root,
    /// SHA-256 of everything that is in it, and of the kernel.
    digest: String,
}

/// Runs `cells`; the outcomes are in their order. What can't be built or fetched makes
/// failures of the cells that need it, and of no others.
pub(crate) fn run(cells: &[Cell], options: &Options) -> Result<Vec<Outcome>> {
    let dir = workspace::target_dir().join("vm");
    let (logs, results) = (dir.join("logs"), dir.join("results"));
    fs::create_dir_all(&logs)?;
    fs::create_dir_all(&results)?;
    let disks = disks(cells, &dir);
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut queue = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        let disk = match &disks[&disk_name(cell)] {
            Ok(disk) => disk,
            Err(reason) => {
                outcomes.insert(number, Outcome::not_run(*cell, reason.clone()));
                continue;
            }
        };
        // One cell of each kernel finds out what `auto` takes there.
        let probe = cell.guest != Guest::Boot
            && !cells[..number]
                .iter()
                .any(|other| other.kernel.id() == cell.kernel.id());
        let words = words(cell, options.filter.as_deref(), probe);
        let key = format!("{} {}", disk.digest, words.join(" "));
        let name = cell.file_name();
        let memory = Memory::new(&results, &name, key);
        if let Some(facts) = memory.recall().filter(|_| options.resume) {
            note(format_args!("{cell}: passed earlier"));
            let outcome = Outcome {
                cell: *cell,
                verdict: Ok(()),
                facts,
                earlier: true,
                log: None,
            };
            outcomes.insert(number, outcome);
            continue;
        }
        memory.forget()?;
        queue.push(Ready {
            number,
            cell: *cell,
            disk,
            words,
            probe,
            memory,
            log: logs.join(format!("{name}.log")),
        });
    }
    // The long ones first, so that none is left alone at the end.
    queue.sort_by_key(|ready| Reverse(ready.cell.guest));
    outcomes.extend(boot_all(queue));
    Ok(outcomes.into_values().collect())
}

/// What init reads from the kernel's command line.
fn words(cell: &Cell, filter: Option<&str>, probe: bool) -> Vec<String> {
    let mut words = match cell.guest {
        Guest::Lean | Guest::Crowd => Vec::new(),
        Guest::Clients => root_image::kernel_words().to_vec(),
        // Which boot it is comes with each.
        Guest::Boot => return Vec::new(),
    };
    words.extend([
        format!("imds.backends={}", cell.backend),
        format!("imds.group={}", cell.guest.group()),
    ]);
    words.extend(filter.map(|filter| format!("imds.filter={filter}")));
    words.extend(probe.then(|| "imds.probe=1".to_owned()));
    words
}

fn disk_name(cell: &Cell) -> String {
    let released = if cell.released { "-released" } else { "" };
    format!("{}-{}{released}", cell.kernel.id(), cell.guest.group())
}

/// Builds for each architecture, fetches each kernel, writes each image, once.
fn disks(cells: &[Cell], dir: &Path) -> BTreeMap<String, Result<Disk, String>> {
    let mut built: BTreeMap<_, Result<Binaries, String>> = BTreeMap::new();
    let mut obtained: BTreeMap<_, Result<Obtained, String>> = BTreeMap::new();
    let mut disks = BTreeMap::new();
    for cell in cells {
        let build = (cell.kernel.machine.target, cell.released);
        let binaries = built
            .entry(build)
            .or_insert_with(|| build_for(build).map_err(message));
        let purpose = match cell.guest {
            Guest::Boot => Purpose::Boot,
            _ => Purpose::Suite,
        };
        let id = (cell.kernel.id(), purpose);
        obtained
            .entry(id.clone())
            .or_insert_with(|| obtain(cell.kernel, purpose));
        disks.entry(disk_name(cell)).or_insert_with(|| {
            let binaries = binaries.as_ref().map_err(|reason| reason.clone())?;
            let kernel = obtained[&id].as_ref().map_err(Clone::clone)?;
            disk(dir, cell, binaries, kernel).map_err(message)
        });
    }
    disks
}

/// The programs for a target, the analyzer as it is released or not.
fn build_for((target, released): (&str, bool)) -> Result<Binaries> {
    let mut binaries = step(format_args!("build for {target}"), || {
        Binaries::build(target)
    })?;
    if released {
        binaries.analyzer = step(format_args!("release build for {target}"), || {
            binaries::build_release(target)
        })?;
    }
    Ok(binaries)
}

fn obtain(kernel: &Kernel, purpose: Purpose) -> Result<Obtained, String> {
    kernel::obtain(kernel, purpose).map_err(|error| {
        note(format_args!("kernel {}: {error:#}", kernel.id()));
        message(error)
    })
}

fn disk(dir: &Path, cell: &Cell, binaries: &Binaries, kernel: &Obtained) -> Result<Disk> {
    let (root, inputs) = match cell.guest {
        Guest::Lean | Guest::Crowd => {
            let archive = initramfs::build(dir, &disk_name(cell), binaries, &kernel.modules)
                .context("cannot write the guest's file system")?;
            (Root::Initramfs(archive.clone()), vec![archive])
        }
        Guest::Clients => {
            let image = root_image::build(dir, binaries)
                .context("cannot write the root image of the clients")?;
            let (analyzer, tests) = (binaries.analyzer.clone(), binaries.tests.clone());
            let inputs = vec![root_image::manifest_file(dir), analyzer, tests];
            (Root::Image(image), inputs)
        }
        Guest::Boot => {
            let (disk, package) = boot::build(dir, binaries, cell.kernel, kernel)
                .context("cannot write the disk of the boot test")?;
            let inputs = vec![boot::manifest_file(dir), package, binaries.tests.clone()];
            (Root::Disk(disk), inputs)
        }
    };
    let sums = Command::new("sha256sum")
        .arg(&kernel.image)
        .args(inputs)
        .read()?;
    let digests = sums.lines().filter_map(|line| line.split(' ').next());
    Ok(Disk {
        kernel: kernel.image.clone(),
        digest: digests.collect::<Vec<_>>().join(" "),
        root,
    })
}

fn message(error: anyhow::Error) -> String {
    format!("{error:#}")
}

/// Boots all of `queue`, in order, as processors become free.
fn boot_all(queue: Vec<Ready<'_>>) -> Vec<(usize, Outcome)> {
    let count = queue.len();
    let workers = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(count);
    // Alone on the terminal, a guest may speak.
    let talkative = count == 1;
    let queue = Mutex::new(queue.into_iter().enumerate());
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next()
    };
    let work = || {
        let mut outcomes = Vec::new();
        while let Some((place, ready)) = next() {
            let name = format!("[{} of {count}] {}", place + 1, ready.cell);
            let outcome = ready
                .boot(&name, talkative)
                .unwrap_or_else(|error| Outcome::not_run(ready.cell, message(error)));
            outcomes.push((ready.number, outcome));
        }
        outcomes
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

impl Ready<'_> {
    fn boot(&self, name: &str, talkative: bool) -> Result<Outcome> {
        note(format_args!("{name}: started"));
        let started = Instant::now();
        let mut console = Console::default();
        let (verdict, log) = match self.cell.guest {
            Guest::Boot => self.boot_repeatedly(&mut console, name, talkative)?,
            _ => {
                let status = self.run(&self.words, &self.log, &mut console, name, talkative)?;
                (self.judge(&console, status), self.log.clone())
            }
        };
        let suite = console.suite();
        let facts = Facts {
            release: console.release.clone(),
            auto: console.auto,
            passed: suite.map_or(0, |suite| suite.passed),
            failed: suite.map_or(0, |suite| suite.failed),
            elapsed: started.elapsed(),
        };
        let took = seconds(facts.elapsed);
        match &verdict {
            Ok(()) => {
                self.memory.keep(&facts)?;
                note(format_args!(
                    "{name}: {} cases passed, {took}",
                    facts.passed
                ));
            }
            Err(reason) => note(format_args!("{name}: FAILED: {reason}, {took}")),
        }
        Ok(Outcome {
            cell: self.cell,
            verdict,
            facts,
            earlier: false,
            log: Some(log),
        })
    }

    /// Boots from one disk until the last boot, or one that fails, whose console is left.
    fn boot_repeatedly(
        &self,
        console: &mut Console,
        name: &str,
        talkative: bool,
    ) -> Result<(Result<(), String>, PathBuf)> {
        let mut number = 1;
        loop {
            let name = format!("{name}, boot {number}");
            let log = self.log.with_extension(format!("{number}.log"));
            *console = Console::default();
            let words = boot::kernel_words(number);
            let status = self.run(&words, &log, console, &name, talkative)?;
            if number == boot::BOOTS {
                return Ok((self.judge(console, status), log));
            }
            if let Err(reason) = console.judge_stage(number, status) {
                return Ok((Err(reason), log));
            }
            note(format_args!("{name}: ok"));
            number += 1;
        }
    }

    /// Runs a VM to its end, while `console` is read.
    fn run(
        &self,
        words: &[String],
        log: &Path,
        console: &mut Console,
        name: &str,
        talkative: bool,
    ) -> Result<Option<ExitStatus>> {
        let devices = match self.cell.guest {
            Guest::Boot => boot::devices(),
            _ => Vec::new(),
        };
        let boot = qemu::Boot {
            machine: self.cell.kernel.machine,
            kernel: &self.disk.kernel,
            root: &self.disk.root,
            devices: &devices,
            words,
            log,
            limit: LIMIT,
        };
        let mut is_of_failure = false;
        qemu::run(&boot, |line| {
            // A case that failed says why on indented lines below.
            is_of_failure = line.starts_with("FAIL") || (is_of_failure && line.starts_with(' '));
            if talkative {
                eprintln!("    | {line}");
            } else if is_of_failure {
                note(format_args!("{name}: {line}"));
            }
            console.read(line);
        })
    }

    fn judge(&self, console: &Console, status: Option<ExitStatus>) -> Result<(), String> {
        let expected = Expectation {
            kernel: self.cell.kernel,
            backend: self.cell.backend,
            probe: self.probe,
        };
        console.judge(&expected, status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::cell::matrix;

    #[test]
    fn words_decide_backend_group_filter_and_probe() {
        let cell = matrix()[1];
        assert_eq!(
            words(&cell, None, true).join(" "),
            "imds.backends=kprobe imds.group=senders imds.probe=1"
        );
        assert_eq!(
            words(&cell, Some("split"), false).join(" "),
            "imds.backends=kprobe imds.group=senders imds.filter=split"
        );
    }
}
