//! A cgroup that a case makes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::suite::session::PATIENCE;

/// A cgroup for one process. Removed when dropped.
pub(super) struct Cgroup {
    /// From the deepest up.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes `path` below the root of cgroup2.
    pub(super) fn new(path: &str) -> Result<Self> {
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

    /// Moves a process into it.
    pub(super) fn take(&self, pid: u64) -> Result<()> {
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
