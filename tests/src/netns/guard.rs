//! Whether a thread may connect to the IMDS addresses: only where no packet can
//! leave for the IMDS of the machine.

use std::{
    borrow::Borrow,
    fs::{self, File},
    iter,
    net::UdpSocket,
    os::unix::fs::MetadataExt as _,
    thread,
};

use anyhow::{Context as _, Result, ensure};

use super::{IMDS_V4, enter, rtnetlink::LOOPBACK, rtnetlink::Rtnetlink};

/// The namespace of the calling thread.
const HERE: &str = "/proc/thread-self/ns/net";
/// That of the machine, as far as this program can see.
const MACHINE: &str = "/proc/1/ns/net";

/// Checks that the calling thread may connect to the IMDS addresses.
///
/// It may if the namespace it is in has no device but `lo`, so that no packet can
/// leave it, and the IPv4 address is one of its own.
///
/// # Errors
///
/// Says which of the two is not so.
pub fn require_private() -> Result<()> {
    let devices = fs::read_to_string("/proc/thread-self/net/dev")
        .context("cannot tell this network namespace's devices")?;
    // Two lines of heading, then `  lo: counters` (Linux, net/core/net-procfs.c).
    let others: Vec<&str> = devices
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .map(str::trim)
        .filter(|name| *name != "lo")
        .collect();
    ensure!(
        others.is_empty(),
        "refusing to go near {IMDS_V4}: this network namespace has other devices than lo: {}",
        others.join(", ")
    );
    require_address()
}

/// As [`require_private`], in a namespace that is joined to `others` and to nothing
/// else.
///
/// Each device of them all but `lo` must be one end of a veth pair whose other end
/// is in another of them: together they are closed, whatever their routes are. The IPv4
/// address must belong to one of them, and none may be the machine's own.
///
/// # Errors
///
/// Says what is not so.
pub fn require_joined<F: Borrow<File>>(others: &[F]) -> Result<()> {
    let here = File::open(HERE).context("open this network namespace")?;
    let others = others.iter().map(Borrow::borrow);
    let all: Vec<&File> = iter::once(&here).chain(others).collect();
    let mut has_address = false;
    for (index, namespace) in all.iter().enumerate() {
        let inside = thread::scope(|scope| {
            scope
                .spawn(|| -> Result<bool> {
                    enter(*namespace).context("cannot enter the namespace")?;
                    require_only_pairs_among(&all, index)?;
                    Ok(require_address().is_ok())
                })
                .join()
                .expect("looking at devices does not panic")
        });
        has_address |= match index {
            0 => inside?,
            _ => inside.context("in a network namespace that this one is joined to")?,
        };
    }
    if has_address {
        Ok(())
    } else {
        require_address()
    }
}

/// Checks the devices of the calling thread's namespace, which is that of `all` with
/// this `index`.
fn require_only_pairs_among(all: &[&File], index: usize) -> Result<()> {
    let inode = |file: &File| file.metadata().map(|meta| (meta.dev(), meta.ino()));
    let here = inode(all[index])?;
    // Where init may not be looked at, its devices are enough to refuse it.
    let machine = fs::metadata(MACHINE).map(|meta| (meta.dev(), meta.ino()));
    ensure!(
        machine.ok() != Some(here),
        "refusing to go near {IMDS_V4}: this is the machine's own network namespace"
    );
    let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
    // Listing the devices gives the namespaces of their other ends numbers.
    let links = rtnetlink.links().context("list the devices")?;
    let mut others = Vec::new();
    for (at, other) in all.iter().enumerate().filter(|(at, _)| *at != index) {
        ensure!(
            inode(other)? != here,
            "a network namespace is not joined to itself"
        );
        let number = rtnetlink.number_of(other);
        others.extend(number.with_context(|| format!("number of namespace {at}"))?);
    }
    for link in links {
        let is_pair = link.kind.as_deref() == Some("veth")
            && link
                .peer_namespace
                .is_some_and(|peer| others.contains(&peer));
        ensure!(
            is_pair || (link.index == LOOPBACK && link.kind.is_none()),
            "refusing to go near {IMDS_V4}: the device {} leads elsewhere",
            link.name
        );
    }
    Ok(())
}

fn require_address() -> Result<()> {
    UdpSocket::bind((IMDS_V4, 0)).with_context(|| {
        format!("refusing to connect: {IMDS_V4} is not an address of this network namespace")
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::{Cable, Netns};

    #[test]
    fn machine_namespace_is_refused() {
        let refusal = require_private().expect_err("tests start in the machine's namespace");
        assert!(refusal.to_string().contains("refusing"), "{refusal}");
        let other = Netns::new().expect("tests run as root");
        let peer = File::open(other.path()).expect("is open");
        let refusal = require_joined(&[peer]).expect_err("this is the machine's namespace");
        assert!(refusal.to_string().contains("refusing"), "{refusal}");
    }

    #[test]
    fn namespaces_are_joined_only_to_each_other() {
        let first = Cable::new().expect("tests run as root, with veth");
        let second = Cable::new().expect("as before");
        let stranger = File::open(second.server.path()).expect("is open");
        let refusal = first
            .client
            .enter(|| require_joined(&[stranger]))
            .expect_err("its devices lead to another namespace");
        assert!(
            format!("{refusal:#}").contains("leads elsewhere"),
            "{refusal:#}"
        );
        let refusal = first
            .client
            .enter(require_private)
            .expect_err("it has another device than lo");
        assert!(refusal.to_string().contains("refusing"), "{refusal}");
    }
}
