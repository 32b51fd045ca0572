//! The network namespace that a path names.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// `NSFS_MAGIC` (include/uapi/linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Why a path does not name a network namespace.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// It could not be opened.
    #[error("cannot open the network namespace {}: {source}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "{} is no namespace: name a file like /run/netns/NAME (made by `ip netns add NAME`) or /proc/PID/ns/net",
        .0.display()
    )]
    NotANamespace(PathBuf),
}

/// Inode of the namespace, by which the kernel knows it (`net.ns.inum`).
///
/// # Errors
/// If the path cannot be opened or is no namespace.
pub fn inode(path: &Path) -> Result<u32, NetnsError> {
    let failed = |source: io::Error| NetnsError::Open {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let kind = rustix::fs::fstatfs(&file).map_err(|errno| failed(errno.into()))?;
    let inode = file.metadata().map_err(failed)?.ino();
    match u32::try_from(inode) {
        Ok(inode) if kind.f_type as u64 == NSFS_MAGIC => Ok(inode),
        _ => Err(NetnsError::NotANamespace(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_namespace_has_an_inode() {
        assert!(inode(Path::new("/proc/self/ns/net")).is_ok_and(|inode| inode != 0));
    }

    #[test]
    fn file_that_is_no_namespace_is_refused_with_advice() {
        let error = inode(Path::new("/proc/self/status"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/proc/self/status") && error.contains("/run/netns/NAME"),
            "{error}"
        );
    }

    #[test]
    fn path_that_does_not_exist_is_named() {
        let error = inode(Path::new("/run/netns/none-such"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/run/netns/none-such"), "{error}");
    }
}
