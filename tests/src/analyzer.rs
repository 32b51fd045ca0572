//! The analyzer as a child process.

use std::{
    fs::File,
    io,
    io::Write as _,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use tempfile::NamedTempFile;

use crate::{compare::Sight, lines::Lines, netns::die_with_parent};

/// How long the analyzer may take to be ready, or to stop. Under emulation the
/// verifier alone takes seconds.
pub const READY_WITHIN: Duration = Duration::from_secs(90);

/// Suffix of a send hook's name: it is to capture by itself. Beside a witness on the
/// wire, whatever it misses would be made up for.
pub const ALONE: &str = "-alone";

/// How to run it.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The executable.
    pub program: &'a Path,
    /// `auto`, `fentry`, `kprobe` or `cgroup`; with [`ALONE`] behind it, without the
    /// witness on the wire.
    pub backend: &'a str,
    /// `json`, `text` or `aws`.
    pub format: &'a str,
    /// The only network namespace to watch.
    pub netns: &'a Path,
    /// Where records go; standard output if absent.
    pub output: Option<&'a Path>,
    /// Lines of its configuration file.
    pub settings: &'a str,
    /// Log at trace level, and what the eBPF programs say.
    pub verbose: bool,
}

/// A running analyzer. Killed when dropped.
#[derive(Debug)]
pub struct Analyzer {
    child: Child,
    stdout: Option<Lines>,
    stderr: Option<Lines>,
    output: Option<PathBuf>,
    /// What it reads again on SIGHUP.
    configuration: NamedTempFile,
    ready_after: Duration,
    backend: String,
    has_witness: bool,
    sight: Sight,
}

/// What a stopped analyzer has left.
#[derive(Debug)]
pub struct Finished {
    /// Lines of its records.
    pub records: Vec<Vec<u8>>,
    /// Lines of its standard error.
    pub stderr: Vec<Vec<u8>>,
}

impl Launch<'_> {
    /// Starts it and waits until it says that it is ready. `watch` sees each line of
    /// its standard output at once.
    ///
    /// # Errors
    ///
    /// If it ends first or takes too long, with what it said.
    pub fn start(&self, watch: impl Fn(&[u8]) + Send + 'static) -> Result<Analyzer> {
        self.start_prepared(watch, |_| {})
    }

    /// As [`Launch::start`], of a command that `prepare` has seen last.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_prepared(
        &self,
        watch: impl Fn(&[u8]) + Send + 'static,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Analyzer> {
        let alone = self.backend.strip_suffix(ALONE);
        let mut configuration = NamedTempFile::new()?;
        if alone.is_some() {
            writeln!(configuration, "witness = false")?;
        }
        // These may end with a table, which would swallow what follows.
        writeln!(configuration, "{}", self.settings)?;
        let mut command = Command::new(self.program);
        command
            .args([
                "run",
                "--backend",
                alone.unwrap_or(self.backend),
                "--config",
            ])
            .arg(configuration.path())
            .args(["--format", self.format, "--output"])
            .arg(self.output.unwrap_or(Path::new("-")))
            .arg("--netns")
            .arg(self.netns)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.verbose {
            command
                .arg("--debug-ebpf")
                .env("IMDS_ANALYZER_LOG", "trace");
        }
        // SAFETY: only prctl(2) between fork and exec.
        unsafe {
            command.pre_exec(die_with_parent);
        }
        prepare(&mut command);
        let began = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let mut analyzer = Analyzer {
            child,
            stdout: Some(Lines::read(stdout, watch)),
            stderr: Some(Lines::read(stderr, |_| {})),
            output: self.output.map(Path::to_owned),
            configuration,
            ready_after: Duration::ZERO,
            backend: String::new(),
            has_witness: false,
            sight: Sight::Arriving,
        };
        analyzer.await_ready(began)?;
        Ok(analyzer)
    }
}

impl Analyzer {
    fn await_ready(&mut self, began: Instant) -> Result<()> {
        let mut ready = None;
        let came = self.stderr().wait(0, READY_WITHIN, |lines| {
            ready = lines.iter().find(|line| says_ready(line)).cloned();
            ready.is_some()
        });
        self.ready_after = began.elapsed();
        let Some(line) = ready.filter(|_| came) else {
            let said = self.stderr().since(0);
            bail!(
                "the analyzer was not ready within {} s:\n{}",
                READY_WITHIN.as_secs(),
                tail(&said)
            );
        };
        let line = String::from_utf8_lossy(&line);
        self.backend = words(&line)
            .find(|word| ["fentry", "kprobe", "cgroup"].contains(word))
            .with_context(|| format!("the line with `ready` names no backend: {line}"))?
            .to_owned();
        self.has_witness = line.contains("with a witness");
        ensure!(
            !line.contains("responses not seen"),
            "the kernel refuses the programs that see responses: {}",
            self.last_words()
        );
        if line.contains("responses seen when they are read") {
            self.sight = Sight::Taken;
        }
        // Where something is on the wire, they are to be seen there.
        ensure!(
            line.contains("without a witness") == (self.sight == Sight::Taken),
            "responses are seen where they should not be: {line}"
        );
        Ok(())
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it says that it has a witness on the wire beside its hooks.
    pub fn has_witness(&self) -> bool {
        self.has_witness
    }

    /// How it sees what requests are answered.
    pub fn sight(&self) -> Sight {
        self.sight
    }

    /// Time from its start until it said that it was ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The backend that it said it uses.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Its standard output.
    pub fn stdout(&self) -> &Lines {
        self.stdout.as_ref().expect("taken only by `stop`")
    }

    fn stderr(&self) -> &Lines {
        self.stderr.as_ref().expect("taken only by `stop`")
    }

    /// The last lines of its standard error.
    pub fn last_words(&self) -> String {
        tail(&self.stderr().since(0))
    }

    /// Resident memory in KiB (`VmRSS`, proc_pid_status(5)).
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|size| size.trim().strip_suffix(" kB")?.parse().ok())
            .with_context(|| format!("no VmRSS in {path}"))
    }

    /// Stops it from running until the result is dropped: what it is told meanwhile has
    /// to wait in the kernel.
    ///
    /// # Errors
    ///
    /// kill(2)'s.
    pub fn pause(&self) -> Result<Paused<'_>> {
        self.signal(libc::SIGSTOP)?;
        Ok(Paused(self))
    }

    /// Its configuration file.
    pub fn configuration(&self) -> &Path {
        self.configuration.path()
    }

    /// Waits until a line of its standard error has `text`.
    ///
    /// # Errors
    ///
    /// If none comes, with what it said.
    pub fn await_word(&self, text: &str) -> Result<()> {
        let came = self.stderr().wait(0, READY_WITHIN, |lines| {
            let mut lines = lines.iter().map(|line| String::from_utf8_lossy(line));
            lines.any(|line| line.contains(text))
        });
        ensure!(
            came,
            "the analyzer never said {text:?}:\n{}",
            self.last_words()
        );
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// That of kill(2).
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.pid())?;
        // SAFETY: the child has not been waited for, so the number is still its own.
        let sent = unsafe { libc::kill(pid, signal) };
        ensure!(sent == 0, "kill: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Kills it, without a chance to write anything.
    ///
    /// # Errors
    ///
    /// If it ended by itself before.
    pub fn kill(mut self) -> Result<()> {
        self.signal(libc::SIGKILL)?;
        let status = self.child.wait()?;
        ensure!(
            status.signal() == Some(libc::SIGKILL),
            "it ended with {status}"
        );
        Ok(())
    }

    /// Stops it with SIGTERM, and checks that it takes that well.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or not with 0.
    pub fn stop(mut self) -> Result<Finished> {
        let output = self.output.take();
        let mut finished = self.terminate()?;
        if let Some(path) = output {
            ensure!(
                finished.records.is_empty(),
                "wrote to standard output besides --output"
            );
            let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
            finished.records = Lines::read(file, |_| {}).finish();
        }
        Ok(finished)
    }

    /// As [`Analyzer::stop`], without a look at its output file.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn terminate(mut self) -> Result<Finished> {
        self.signal(libc::SIGTERM)?;
        ensure!(
            self.stderr().wait_for_end(READY_WITHIN),
            "the analyzer did not stop on SIGTERM:\n{}",
            self.last_words()
        );
        let status = self.child.wait()?;
        let stdout = self.stdout.take().map(Lines::finish).unwrap_or_default();
        let stderr = self.stderr.take().map(Lines::finish).unwrap_or_default();
        ensure!(
            status.success(),
            "the analyzer ended with {:?}, signal {:?}:\n{}",
            status.code(),
            status.signal(),
            tail(&stderr)
        );
        Ok(Finished {
            records: stdout,
            stderr,
        })
    }
}

/// An analyzer that does not run.
#[derive(Debug)]
pub struct Paused<'a>(&'a Analyzer);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // It is this process's child, so it can be told so.
        drop(self.0.signal(libc::SIGCONT));
    }
}

impl Drop for Analyzer {
    fn drop(&mut self) {
        // After `stop` both only say that there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn says_ready(line: &[u8]) -> bool {
    words(&String::from_utf8_lossy(line)).any(|word| word == "ready")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric())
}

fn tail(lines: &[Vec<u8>]) -> String {
    let first = lines.len().saturating_sub(30);
    lines[first..]
        .iter()
        .map(|line| format!("    | {}\n", String::from_utf8_lossy(line)))
        .collect()
}
