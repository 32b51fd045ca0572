//! Attribution on a `/proc` and a passwd file made for the purpose.

mod ancestors;
mod arguments;
mod bounds;
mod process;
mod program;
mod secrets;
mod sessions;

use std::{fs, os::unix::fs::symlink, path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::*;

/// When processes start, unless a test says otherwise: nanoseconds, not a whole
/// number of clock ticks.
const START: u64 = 1_234_567_890_123;

/// When attributions are asked for.
const NOW: u64 = 2_000_000_000_000;

/// Long enough after [`NOW`] that `/proc` is looked at again.
const LATER: u64 = NOW + FRESH_NS;

/// A secret by its name and place wherever the tests put it.
const CANARY: &str = "c4n4ryV4lue";

/// A host of which the tests are the kernel.
struct Host {
    root: TempDir,
}

/// A process in `/proc`.
struct Fake {
    pid: u32,
    start_ns: u64,
    state: char,
    parent: u32,
    name: Vec<u8>,
    executable: String,
    /// As it lies in memory.
    cmdline: Vec<u8>,
    cgroup: String,
}

impl Fake {
    /// A live child of PID 1 that has the name as its executable and only argument.
    fn new(pid: u32, name: &str) -> Self {
        Self {
            pid,
            start_ns: START,
            state: 'S',
            parent: 1,
            name: name.into(),
            executable: format!("/usr/bin/{name}"),
            cmdline: format!("{name}\0").into(),
            cgroup: "0::/system.slice/cron.service\n".to_owned(),
        }
    }

    fn with_args(mut self, args: &[&str]) -> Self {
        self.cmdline = args
            .iter()
            .flat_map(|arg| [arg, "\0"].concat().into_bytes())
            .collect();
        self
    }
}

impl Host {
    fn new() -> Self {
        let host = Self {
            root: tempfile::tempdir().unwrap(),
        };
        host.passwd(b"root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/:/bin/sh\n");
        host
    }

    fn passwd(&self, content: &[u8]) {
        fs::create_dir_all(self.root.path().join("etc")).unwrap();
        fs::write(self.root.path().join("etc/passwd"), content).unwrap();
    }

    fn directory(&self, pid: u32) -> PathBuf {
        self.root.path().join("proc").join(pid.to_string())
    }

    /// Makes `process` the one with its id.
    fn run(&self, process: &Fake) {
        self.reap(process.pid);
        let directory = self.directory(process.pid);
        fs::create_dir_all(&directory).unwrap();
        let mut stat = format!("{} (", process.pid).into_bytes();
        stat.extend_from_slice(&process.name);
        let ticks = process.start_ns / 10_000_000;
        let fields = format!(
            ") {} {}{} {ticks}{}\n",
            process.state,
            process.parent,
            " 0".repeat(17),
            " 0".repeat(30)
        );
        stat.extend_from_slice(fields.as_bytes());
        fs::write(directory.join("stat"), stat).unwrap();
        fs::write(directory.join("comm"), [&process.name[..], b"\n"].concat()).unwrap();
        fs::write(directory.join("cmdline"), &process.cmdline).unwrap();
        fs::write(directory.join("cgroup"), &process.cgroup).unwrap();
        symlink(&process.executable, directory.join("exe")).unwrap();
    }

    /// The process is gone.
    fn reap(&self, pid: u32) {
        if self.directory(pid).exists() {
            fs::remove_dir_all(self.directory(pid)).unwrap();
        }
    }

    fn attributor(&self) -> Attributor {
        Attributor::new(self.root.path(), Arc::new(Clock::new()))
    }
}

/// The main thread of a process of user 1000, as the kernel side tells it.
fn task(pid: u32, name: &str) -> Task {
    Task {
        tgid: pid,
        tid: pid,
        start_boottime_ns: START,
        exec_id: 3,
        uid: 1000,
        gid: 1000,
        thread_name: name.into(),
        process_name: name.into(),
    }
}

/// An ancestor of user 0, as the kernel side tells it.
fn ancestor(pid: u32, name: &str) -> Ancestor {
    Ancestor {
        tgid: pid,
        start_boottime_ns: START,
        exec_id: 2,
        file: None,
        uid: 0,
        name: name.into(),
    }
}

fn bytes(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|arg| arg.as_bytes().to_vec()).collect()
}

fn args_of(attribution: &Attribution) -> Option<Vec<&str>> {
    let args = attribution.process.args.as_ref()?;
    Some(args.iter().map(String::as_str).collect())
}
