//! A cgroup of a test's or the demo's own.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// How long it may take until a cgroup whose processes have ended is empty.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cgroup and those above it that it needed. Removed when dropped.
#[derive(Debug)]
pub struct Cgroup {
    /// From the deepest up.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes `path` below the root of cgroup2; no part of it may be there.
    ///
    /// # Errors
    ///
    /// If cgroup2 is not mounted, or mkdir(2) fails.
    pub fn new(path: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let mount = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&"cgroup2"))
            .and_then(|fields| fields.get(1).map(|path| Path::new(path).to_owned()))
            .context("this case needs cgroup2 to be mounted")?;
        let mut cgroup = Self { made: Vec::new() };
        let mut directory = mount;
        for name in path.split('/') {
            directory.push(name);
            fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
            cgroup.made.insert(0, directory.clone());
        }
        Ok(cgroup)
    }

    /// Lets `command` run in it.
    ///
    /// # Errors
    ///
    /// If its list of processes can't be opened.
    pub fn run<'c>(&self, command: &'c mut Command) -> Result<&'c mut Command> {
        let deepest = self.made.first().context("has a directory")?;
        let procs = File::options()
            .write(true)
            .open(deepest.join("cgroup.procs"))?;
        // SAFETY: only a system call that is async-signal-safe; the file is the closure's.
        unsafe {
            command.pre_exec(move || {
                // 0: the process that writes.
                if libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) != 1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            })
        };
        Ok(command)
    }

    /// Moves a process into it.
    ///
    /// # Errors
    ///
    /// That of the write.
    pub fn take(&self, pid: u64) -> Result<()> {
        let deepest = self.made.first().context("has a directory")?;
        let file = deepest.join("cgroup.procs");
        fs::write(&file, pid.to_string()).with_context(|| format!("write {}", file.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.made {
            // A process that has ended may still be counted for a moment.
            let deadline = Instant::now() + PATIENCE;
            while fs::remove_dir(directory).is_err()
                && directory.exists()
                && Instant::now() < deadline
            {
                std::thread::yield_now();
            }
        }
    }
}
