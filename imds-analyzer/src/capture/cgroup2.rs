//! The root of the cgroup2 hierarchy, which programs on the wire attach to.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags},
};

/// Inode of the hierarchy's real root: kernfs counts from 1 (fs/kernfs/dir.c).
const ROOT_INODE: u64 = 1;

/// Why there is no cgroup2 root to attach to.
#[derive(Debug, thiserror::Error)]
pub enum Cgroup2Error {
    /// A mounted root could not be opened.
    #[error("cannot open the cgroup2 root {path}: {source}")]
    Open {
        /// Where it is mounted.
        path: PathBuf,
        /// What open(2) said.
        source: std::io::Error,
    },
    /// What is mounted is only a part of the hierarchy: we are in a cgroup
    /// namespace, and would see only our own container.
    #[error(
        "the cgroup2 root that is visible here is a container's: run imds-analyzer in the host's cgroup namespace (docker: --cgroupns host)"
    )]
    Namespaced,
    /// None is mounted, and mounting one privately failed.
    #[error(
        "no cgroup2 root is mounted and {call} refused a private one: {source}; mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    Mount {
        /// The system call.
        call: &'static str,
        /// What it said.
        source: rustix::io::Errno,
    },
}

/// An open cgroup2 root.
pub struct Cgroup2Root {
    fd: OwnedFd,
    /// Where it is mounted; `None` for a private mount that no path leads to.
    pub path: Option<PathBuf>,
}

impl AsFd for Cgroup2Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Cgroup2Root {
    /// Opens the root that is mounted, or mounts one for this process alone.
    ///
    /// On hybrid hosts it is at `/sys/fs/cgroup/unified`, on some nowhere. The
    /// private mount is detached: no path leads to it, and it is gone with us.
    ///
    /// # Errors
    /// If it cannot be opened, or there is none and none may be mounted.
    pub fn open() -> Result<Self, Cgroup2Error> {
        let root = match mounted_at() {
            Some(path) => match File::open(&path) {
                Ok(root) => Self {
                    fd: root.into(),
                    path: Some(path),
                },
                Err(source) => return Err(Cgroup2Error::Open { path, source }),
            },
            None => mount_privately()?,
        };
        // mountinfo and a private mount show a namespace's root as if it were one.
        match rustix::fs::fstat(&root.fd) {
            Ok(stat) if stat.st_ino == ROOT_INODE => Ok(root),
            _ => Err(Cgroup2Error::Namespaced),
        }
    }
}

/// Where the root of the hierarchy (not a subtree of it) is mounted.
fn mounted_at() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2" && Path::new(&mount.root) == Path::new("/"))
        .map(|mount| mount.mount_point)
}

fn mount_privately() -> Result<Cgroup2Root, Cgroup2Error> {
    let failed = |call| move |source| Cgroup2Error::Mount { call, source };
    let context =
        rustix::mount::fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen"))?;
    rustix::mount::fsconfig_create(context.as_fd()).map_err(failed("fsconfig"))?;
    let mount = rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .map_err(failed("fsmount"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&mount, ".", flags, Mode::empty()).map_err(failed("openat"))?;
    Ok(Cgroup2Root { fd, path: None })
}
