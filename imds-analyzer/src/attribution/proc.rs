//! Reading one process from `/proc`.

use std::{io::Read as _, os::unix::ffi::OsStringExt as _, path::PathBuf};

use procfs::process::Process;

use super::executable::{Executable, file_at};
use crate::capture::args::split_args;

/// Nanoseconds of a clock tick in `/proc/PID/stat`: `USER_HZ` is 100 on every
/// architecture that the daemon is built for (include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;

/// Most bytes of the arguments that are read: more than is looked at for secrets,
/// so that this cut is never in what is shown.
const MAX_ARGS: usize = 128 * 1024;

/// Most bytes of `cgroup` that are read.
const MAX_CGROUP: usize = 16 * 1024;

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
    /// Its executable; `None` for a kernel thread, and without CAP_SYS_PTRACE for
    /// processes of other users.
    pub(super) executable: Option<Executable>,
    /// As they are.
    pub(super) args: Vec<Vec<u8>>,
    /// Lines of the `cgroup` file.
    pub(super) cgroup: String,
    /// The user who logged in, and the session, by the audit system.
    pub(super) login: Option<Login>,
}

/// Who logged in (pam_loginuid(8)). It is set once and kept by all descendants,
/// whoever they run as; services of systemd have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) uid: u32,
    pub(super) session: Option<u32>,
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

    /// All but the executable's file is read through one open directory, which the
    /// kernel ties to the process: a successor with the same id is never read instead.
    /// If one took its place before the file was asked, the last reads fail.
    ///
    /// The process may exec or exit at any moment. So its name and then its state
    /// are read last: whatever was read before them is older, and belongs to the
    /// program of that name, alive.
    fn read(&self, pid: u32, start_ticks: Option<u64>) -> Option<Live> {
        if pid == 0 {
            return None;
        }
        let directory = self.path.join(pid.to_string());
        let process = Process::new_with_root(directory.clone()).ok()?;
        let args = args(&process)?;
        let executable = process.exe().ok().map(|path| Executable {
            file: file_at(&directory.join("exe")),
            path: path.into_os_string().into_vec(),
        });
        let cgroup = read(&process, "cgroup", MAX_CGROUP).unwrap_or_default();
        let login = login(&process);
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
            login,
        })
    }
}

fn login(process: &Process) -> Option<Login> {
    let number = |file| {
        let digits = read(process, file, 16)?;
        let number: u32 = std::str::from_utf8(&digits).ok()?.trim().parse().ok()?;
        // -1: not set.
        (number != u32::MAX).then_some(number)
    };
    Some(Login {
        uid: number("loginuid")?,
        session: number("sessionid"),
    })
}

/// In a single read: the kernel holds on to the memory that the arguments lie in for
/// the length of one. A process that exits between two looks as if it had no more.
fn args(process: &Process) -> Option<Vec<u8>> {
    let mut bytes = vec![0; MAX_ARGS];
    let read = process.open_relative("cmdline").ok()?.read(&mut bytes);
    bytes.truncate(read.ok()?);
    Some(bytes)
}

fn name(process: &Process) -> Option<Vec<u8>> {
    let mut comm = read(process, "comm", 64)?;
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    Some(comm)
}

fn read(process: &Process, file: &str, most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = process.open_relative(file).ok()?;
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
