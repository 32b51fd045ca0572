//! The network namespace that a path names.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
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
        "{} is no network namespace: name a file like /run/netns/NAME (made by `ip netns add NAME`) or /proc/PID/ns/net",
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
    let is_namespace = kind.f_type as u64 == NSFS_MAGIC;
    // The name that the kernel gives to an open namespace: `net:[4026531840]`.
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
    let is_network = name.as_os_str().as_encoded_bytes().starts_with(b"net:[");
    match u32::try_from(inode) {
        Ok(inode) if is_namespace && is_network => Ok(inode),
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
    fn namespace_of_another_kind_is_refused() {
        let error = inode(Path::new("/proc/self/ns/mnt")).unwrap_err();
        assert!(matches!(error, NetnsError::NotANamespace(_)), "{error}");
    }

    #[test]
    fn path_that_does_not_exist_is_named() {
        let error = inode(Path::new("/run/netns/none-such"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/run/netns/none-such"), "{error}");
    }
}
