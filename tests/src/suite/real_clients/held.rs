//! Clients that live until their records were looked at.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::super::session::child_sender;
use crate::{compare::Sender, lines::Lines, netns::Netns};

/// How long a client may take to say its last word: a Java or Node of an emulated
/// machine takes half a minute to start.
const PATIENCE: Duration = Duration::from_secs(240);

/// A client that says `done`, or another last word, after its last request, and ends
/// when its standard input does. Before that it may tell the thread that sent
/// (`tid NUMBER`). Killed when dropped.
#[derive(Debug)]
pub(super) struct HeldClient {
    child: Child,
    output: Lines,
    sender: Sender,
}

impl HeldClient {
    /// Starts it inside `netns` with nothing in its environment but `environment` and a
    /// path: no proxy, no AWS profile, no options of this machine.
    pub(super) fn start(
        netns: &Netns,
        program: &Path,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut child = netns
            .command(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = Lines::read(child.stdout.take().context("is piped")?, |_| {});
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(args.iter().map(ToString::to_string));
        Ok(Self {
            sender: Sender {
                lingers: true,
                ..child_sender(child.id(), program, words)
            },
            child,
            output,
        })
    }

    /// Waits for its last word; what it says of its thread is noted.
    pub(super) fn last_word(&mut self) -> Result<String> {
        let mut last = None;
        let mut tid = None;
        self.output.wait(0, PATIENCE, |lines| {
            for line in lines {
                let line = String::from_utf8_lossy(line);
                match line.split_once(' ') {
                    Some(("tid", number)) => tid = number.parse().ok(),
                    _ => last = Some(line.into_owned()),
                }
            }
            last.is_some()
        });
        self.sender.tid = tid;
        last.context("the client ended, or took too long; why is on standard error")
    }

    /// Who it is. Name and threads are those that the kernel has for it now: some
    /// runtimes rename their process, and threads have names of their own, which are
    /// not the process's.
    pub(super) fn sender(&self) -> Result<Sender> {
        let process = PathBuf::from(format!("/proc/{}", self.sender.pid));
        let name = fs::read_to_string(process.join("comm"))
            .context("read the name of a client that waits")?;
        let mut threads = Vec::new();
        for thread in fs::read_dir(process.join("task")).context("list its threads")? {
            threads.extend(thread?.file_name().to_string_lossy().parse::<u32>());
        }
        Ok(Sender {
            name: name.trim_end().to_owned(),
            threads,
            ..self.sender.clone()
        })
    }

    /// Lets it end, and checks that it ends well.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "the client ended with {status}");
        Ok(())
    }
}

impl Drop for HeldClient {
    fn drop(&mut self) {
        // After `finish` both only say that there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
