//! What the running kernel has, found out by trying.

use std::fs;

use anyhow::{Context as _, Result};

use crate::netns::{Cable, Impairment};

/// Major and minor version of the running kernel.
///
/// # Errors
///
/// If `/proc` does not tell.
pub(super) fn kernel_version() -> Result<(u32, u32)> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    parse_version(&release).with_context(|| format!("`{}` is no kernel version", release.trim()))
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// Sockets of `IPPROTO_MPTCP`.
pub(super) fn multipath_tcp() -> bool {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_MPTCP) };
    if fd < 0 {
        return false;
    }
    // SAFETY: the descriptor was made above.
    unsafe { libc::close(fd) };
    true
}

/// cgroup2 where the distribution mounts it, and no hierarchy of the old kind.
pub(super) fn unified_hierarchy() -> bool {
    fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false)
}

/// The queueing discipline netem.
pub(super) fn netem() -> bool {
    const NOTHING: Impairment = Impairment {
        loss: 0,
        duplicate: 0,
        reorder: 0,
        delay_us: 0,
    };
    Cable::new().is_ok_and(|cable| cable.client.impair(NOTHING).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_are_read() {
        for (release, version) in [
            ("5.10.0-30-cloud-amd64\n", (5, 10)),
            ("6.18.44-fc-v669", (6, 18)),
            ("7.3+deb14-cloud-arm64", (7, 3)),
        ] {
            assert_eq!(parse_version(release), Some(version), "{release}");
        }
        assert_eq!(parse_version("unknown"), None);
    }
}
