//! Clients as processes: this program's senders and the real ones.

use std::{
    io::Write as _,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::session::{Facts, PATIENCE, child_sender, own_program};
use crate::{compare::Sender, lines::Lines, netns::Netns};

/// A scenario that runs in a process of its own, see [`crate::send`].
#[derive(Debug)]
pub struct RunningSender {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Lines,
    /// Lines of the output that were looked at.
    read: usize,
    sender: Sender,
    facts: Facts,
}

impl RunningSender {
    /// Starts it inside `netns`.
    ///
    /// # Errors
    ///
    /// If it can't be started.
    pub fn start(
        netns: &Netns,
        scenario: &str,
        case: &str,
        destination: SocketAddr,
    ) -> Result<Self> {
        Self::start_program(&own_program()?, netns, scenario, case, destination)
    }

    /// As [`RunningSender::start`], of a copy of this program.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_program(
        program: &Path,
        netns: &Netns,
        scenario: &str,
        case: &str,
        destination: SocketAddr,
    ) -> Result<Self> {
        let mut args = vec![
            "send".to_owned(),
            format!("--scenario={scenario}"),
            format!("--case={case}"),
            format!("--addr={destination}"),
        ];
        let others = netns.other_paths();
        args.extend(others.map(|other| format!("--joined-to={}", other.display())));
        let mut child = netns
            .command(program)
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a sender")?;
        let stdin = child.stdin.take();
        let output = child.stdout.take().context("standard output is piped")?;
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(args);
        Ok(Self {
            stdin,
            output: Lines::read(output, |_| {}),
            read: 0,
            sender: Sender {
                lingers: true,
                ..child_sender(child.id(), program, words)
            },
            facts: Facts::new(),
            child,
        })
    }

    /// Waits until it says `wanted`, and takes the facts that it tells before.
    ///
    /// # Errors
    ///
    /// If it ends or takes too long; why is on standard error.
    pub fn await_line(&mut self, wanted: &str) -> Result<()> {
        self.await_line_within(wanted, PATIENCE * 3)
    }

    /// As [`RunningSender::await_line`], of one that has much to do.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn await_line_within(&mut self, wanted: &str, limit: Duration) -> Result<()> {
        let came = self.output.wait(self.read, limit, |lines| {
            lines.iter().any(|line| line == wanted.as_bytes())
        });
        for line in self.output.since(self.read) {
            self.read += 1;
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == wanted {
                break;
            }
            if let Some((key, value)) = line
                .strip_prefix("fact ")
                .and_then(|fact| fact.split_once(' '))
            {
                self.facts.insert(key.to_owned(), value.to_owned());
            }
        }
        ensure!(came, "the sender never said `{wanted}`");
        Ok(())
    }

    /// The next line that is no fact, if there is one within the deadline.
    ///
    /// # Errors
    ///
    /// As [`RunningSender::await_line`].
    pub fn next_checkpoint(&mut self) -> Result<String> {
        let mut found = None;
        self.output.wait(self.read, PATIENCE * 3, |lines| {
            found = lines
                .iter()
                .find(|line| !line.starts_with(b"fact "))
                .map(|line| String::from_utf8_lossy(line).into_owned());
            found.is_some()
        });
        let line = found.context("the sender says no more")?;
        self.await_line(&line)?;
        Ok(line)
    }

    /// Lets it go on after a checkpoint.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn proceed(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is open")?;
        writeln!(stdin, "go").context("let the sender go on")
    }

    /// A text that it told.
    ///
    /// # Errors
    ///
    /// If it didn't.
    pub fn text(&self, key: &str) -> Result<String> {
        let text = self.facts.get(key).cloned();
        text.with_context(|| format!("the sender told no `{key}`"))
    }

    /// A number that it told.
    ///
    /// # Errors
    ///
    /// If it didn't.
    pub fn fact(&self, key: &str) -> Result<u64> {
        self.facts
            .get(key)
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("the sender told no `{key}`"))
    }

    /// Who sent request `number`: this process unless it told otherwise.
    pub fn sender_of(&self, number: u64) -> Sender {
        let told =
            |key: &str| -> Option<u32> { self.facts.get(&format!("{key}.{number}"))?.parse().ok() };
        Sender {
            pid: told("pid").unwrap_or(self.sender.pid),
            tid: told("tid"),
            ..self.sender.clone()
        }
    }

    /// Lets it end, and checks that it ends well.
    ///
    /// # Errors
    ///
    /// If its exit code isn't 0.
    pub fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "the sender ended with {status}");
        Ok(())
    }
}

impl Drop for RunningSender {
    fn drop(&mut self) {
        // After `finish` both only say that there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A shell whose script prints PIDs and ends with `read end`: it lives until it is
/// dropped, so that `/proc` knows it and its arguments.
#[derive(Debug)]
pub struct HeldShell {
    child: Child,
    /// The PIDs that it printed.
    pub pids: Vec<u32>,
}

impl HeldShell {
    /// Starts it and waits for `count` PIDs.
    ///
    /// # Errors
    ///
    /// If it does not print that many; why is on standard error.
    pub fn start(mut command: Command, count: usize) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a shell")?;
        let output = Lines::read(child.stdout.take().context("is piped")?, |_| {});
        let mut pids = Vec::new();
        let came = output.wait(0, PATIENCE, |lines| {
            pids = lines
                .iter()
                .filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok())
                .collect();
            pids.len() >= count
        });
        let shell = Self { child, pids };
        ensure!(came, "a shell printed {:?}, not {count} PIDs", shell.pids);
        Ok(shell)
    }

    /// Its own PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for HeldShell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends as `read` fails; there is nobody to tell if it doesn't.
        drop(self.child.wait());
    }
}

/// A client that ran to its end.
#[derive(Debug)]
pub struct Ran {
    /// What its records must say of it.
    pub sender: Sender,
    /// Its standard output.
    pub output: Vec<u8>,
}

/// Runs a real client inside `netns` to its end.
///
/// # Errors
///
/// If it can't be run, or does not end with 0.
pub fn run_client(netns: &Netns, program: &Path, args: &[&str]) -> Result<Ran> {
    let mut command = netns.command(program);
    command.args(args);
    run(command, program, args)
}

fn run(mut command: Command, program: &Path, args: &[&str]) -> Result<Ran> {
    let child = command
        .arg0(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("all_proxy")
        .env_remove("ALL_PROXY")
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{} {args:?} ended with {}: {}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(args.iter().map(ToString::to_string));
    Ok(Ran {
        sender: child_sender(pid, program, words),
        output: output.stdout,
    })
}
