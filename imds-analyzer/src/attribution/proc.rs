//! Reading one process from `/proc`.

use std::{
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use crate::{capture::Parent, capture::Task, redact};

/// Nanoseconds of a clock tick in `/proc/PID/stat`: `USER_HZ` is 100 on every
/// architecture that the daemon is built for (include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;

/// Most bytes of the arguments that are read. A record keeps fewer, but secrets
/// are looked for in all of them.
const MAX_ARGS: u64 = 128 * 1024;

/// Most bytes of `cgroup` that are read.
const MAX_CGROUP: u64 = 16 * 1024;

/// A mounted proc file system.
pub(super) struct ProcRoot {
    path: PathBuf,
}

/// What `/proc` says of a live process.
pub(super) struct Live {
    pub(super) parent: Parent,
    /// Escaped and free of secrets.
    pub(super) name: String,
    /// Escaped and free of secrets.
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
    ///
    /// All is read through one open directory, which the kernel ties to the
    /// process: a successor with the same id is never read instead.
    pub(super) fn find(&self, pid: u32, start_boottime_ns: u64) -> Option<Live> {
        let process = self.open(pid)?;
        let stat = process.stat().ok()?;
        if stat.starttime != start_boottime_ns / TICK_NS {
            return None;
        }
        let args = read(&process, "cmdline", MAX_ARGS)?;
        let cgroup = read(&process, "cgroup", MAX_CGROUP).unwrap_or_default();
        Some(Live {
            parent: self.parent(u32::try_from(stat.ppid).unwrap_or(0)),
            name: name(&process)?,
            executable: process.exe().ok().map(|path| shown(&path)),
            args: split_args(&args),
            cgroup: String::from_utf8_lossy(&cgroup).into_owned(),
        })
    }

    /// The parent of a process that is gone, as the kernel named it.
    pub(super) fn parent_of_gone(&self, task: &Task) -> Option<Parent> {
        Some(task.parent).filter(|parent| parent.tgid != 0)
    }

    /// A parent with the start time that it has now. The reading process knows
    /// only its id; that it was the parent a moment ago makes it the same.
    fn parent(&self, pid: u32) -> Parent {
        let start = self
            .open(pid)
            .and_then(|process| process.stat().ok())
            .map_or(0, |stat| stat.starttime.saturating_mul(TICK_NS));
        Parent {
            tgid: pid,
            start_boottime_ns: start,
        }
    }

    fn open(&self, pid: u32) -> Option<Process> {
        if pid == 0 {
            return None;
        }
        Process::new_with_root(self.path.join(pid.to_string())).ok()
    }
}

fn name(process: &Process) -> Option<String> {
    let comm = read(process, "comm", 64)?;
    Some(redact::text(comm.strip_suffix(b"\n").unwrap_or(&comm)))
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

/// Splits `cmdline`: each argument ends with a NUL, but a process that rewrote
/// its title may have left that out.
fn split_args(cmdline: &[u8]) -> Vec<Vec<u8>> {
    if cmdline.is_empty() {
        return Vec::new();
    }
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    cmdline
        .split(|&byte| byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_with_a_nul_each() {
        assert_eq!(
            split_args(b"curl\0-s\0\0"),
            [b"curl".to_vec(), b"-s".to_vec(), vec![]]
        );
    }

    #[test]
    fn rewritten_title_is_one_argument() {
        assert_eq!(split_args(b"nginx: worker"), [b"nginx: worker".to_vec()]);
    }

    #[test]
    fn kernel_thread_has_no_arguments() {
        assert!(split_args(b"").is_empty());
    }
}
