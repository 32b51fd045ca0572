//! Reading one process from `/proc`.

use std::{
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use crate::{capture::args::split_args, redact};

/// Nanoseconds of a clock tick in `/proc/PID/stat`: `USER_HZ` is 100 on every
/// architecture that the daemon is built for (include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;

/// Most bytes of the arguments that are read: more than is looked at for secrets,
/// so that this cut is never in what is shown.
const MAX_ARGS: u64 = 128 * 1024;

/// Most bytes of `cgroup` that are read.
const MAX_CGROUP: u64 = 16 * 1024;

/// A mounted proc file system.
pub(super) struct ProcRoot {
    path: PathBuf,
}

/// What `/proc` says of a live process.
pub(super) struct Live {
    /// When it started, in clock ticks since boot.
    pub(super) start_ticks: u64,
    /// Process id of its parent; 0 if it has none.
    pub(super) parent: u32,
    /// `comm` of its main thread.
    pub(super) name: Vec<u8>,
    /// Path, escaped and free of secrets.
    pub(super) executable: Option<String>,
    /// As they are.
    pub(super) args: Vec<Vec<u8>>,
    /// Lines of the `cgroup` file.
    pub(super) cgroup: String,
}

impl ProcRoot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The process `pid` if it is the one that started at `start_boottime_ns`.
    pub(super) fn find(&self, pid: u32, start_boottime_ns: u64) -> Option<Live> {
        self.read(pid, Some(start_boottime_ns / TICK_NS))
    }

    /// The process `pid`, whichever it is.
    pub(super) fn find_any(&self, pid: u32) -> Option<Live> {
        self.read(pid, None)
    }

    /// All is read through one open directory, which the kernel ties to the
    /// process: a successor with the same id is never read instead.
    ///
    /// The process may exec or exit at any moment. So its name and then its state
    /// are read last: whatever was read before them is older, and belongs to the
    /// program of that name, alive.
    fn read(&self, pid: u32, start_ticks: Option<u64>) -> Option<Live> {
        if pid == 0 {
            return None;
        }
        let process = Process::new_with_root(self.path.join(pid.to_string())).ok()?;
        let args = read(&process, "cmdline", MAX_ARGS)?;
        let executable = process.exe().ok().map(|path| shown(&path));
        let cgroup = read(&process, "cgroup", MAX_CGROUP).unwrap_or_default();
        let name = name(&process)?;
        let stat = process.stat().ok()?;
        let is_other = start_ticks.is_some_and(|ticks| ticks != stat.starttime);
        // A zombie has an id and a parent, but nothing that it was.
        if is_other || matches!(stat.state, 'Z' | 'X' | 'x') {
            return None;
        }
        Some(Live {
            start_ticks: stat.starttime,
            parent: u32::try_from(stat.ppid).unwrap_or(0),
            name,
            executable,
            args: split_args(&args),
            cgroup: String::from_utf8_lossy(&cgroup).into_owned(),
        })
    }
}

fn name(process: &Process) -> Option<Vec<u8>> {
    let mut comm = read(process, "comm", 64)?;
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    Some(comm)
}

fn shown(path: &Path) -> String {
    redact::text(path.as_os_str().as_bytes())
}

fn read(process: &Process, file: &str, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = process.open_relative(file).ok()?;
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
