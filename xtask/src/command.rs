//! Running other programs, with errors that name the command and what it said.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

/// Finishing touches that every task wants on [`Command`].
pub(crate) trait CommandExt {
    /// Runs it with this process's stdout and stderr; anything but exit code 0 is an error.
    fn run(&mut self) -> Result<()>;

    /// Like [`CommandExt::run`], but kills the program and fails after `limit`.
    fn run_within(&mut self, limit: Duration) -> Result<()>;

    /// Runs it and returns its stdout; its stderr is part of the error if it fails.
    fn read(&mut self) -> Result<String>;

    /// Runs it, shows each line of its stdout on stderr and gives it to `each`.
    ///
    /// Returns the exit status: the caller decides what a failure means.
    fn relay(&mut self, each: impl FnMut(&str)) -> Result<ExitStatus>;
}

impl CommandExt for Command {
    fn run(&mut self) -> Result<()> {
        // Results own stdout; what a child says is progress.
        let status = self
            .stdout(std::io::stderr())
            .status()
            .with_context(|| format!("cannot start `{}`", line(self)))?;
        check(self, status)
    }

    fn run_within(&mut self, limit: Duration) -> Result<()> {
        let mut child = self
            .stdout(std::io::stderr())
            .spawn()
            .with_context(|| format!("cannot start `{}`", line(self)))?;
        match wait_until(&mut child, Instant::now() + limit)? {
            Some(status) => check(self, status),
            None => {
                child.kill()?;
                child.wait()?;
                bail!(
                    "`{}` was not done after {} s and was stopped",
                    line(self),
                    limit.as_secs()
                )
            }
        }
    }

    fn read(&mut self) -> Result<String> {
        let output = self
            .output()
            .with_context(|| format!("cannot start `{}`", line(self)))?;
        if !output.status.success() {
            bail!(
                "`{}` failed ({}): {}",
                line(self),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{}` printed something that is not UTF-8", line(self)))
    }

    fn relay(&mut self, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
        let mut child = self
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", line(self)))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        for bytes in BufReader::new(stdout).split(b'\n') {
            let bytes = bytes?;
            let text = String::from_utf8_lossy(&bytes);
            eprintln!("{text}");
            each(&text);
        }
        Ok(child.wait()?)
    }
}

/// Waits for `child` until `deadline`; `None` means that it is still running.
pub(crate) fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The command as one would type it: without its environment and the program's directory.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The path of `program` as `$PATH` resolves it.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        // Not in every user's $PATH, and sudo or root will run what is there.
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(program))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// The path of `program`, which `cargo xtask setup` installs.
pub(crate) fn required(program: &str) -> Result<PathBuf> {
    find_program(program).with_context(|| format!("there is no {program}: run `cargo xtask setup`"))
}

/// `program` as root: directly, or through sudo.
pub(crate) fn privileged(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = if geteuid().is_root() {
        Command::new(program)
    } else if find_program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg(program);
        sudo
    } else {
        bail!("this needs root, and there is no sudo: run it as root");
    };
    // Cargo points it at its own libraries; they are nothing to the programs run here.
    command.env_remove("LD_LIBRARY_PATH");
    Ok(command)
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace::root());
    command
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        bail!("`{}` failed ({status})", line(command))
    }
}
