//! Senders that are apart from the server: in other namespaces, on a bad network.

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, SocketAddr},
    ptr,
};

use anyhow::{Context as _, Result, ensure};

use super::{Scenario, fact, sys, wire::Wire};
use crate::netns::IMDS_V6;

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("other_namespaces", other_namespaces),
    ("retransmitted", retransmitted),
];

/// Segments that must have been sent again.
const RETRANSMISSIONS: u32 = 6;
/// Most requests that are sent to get there.
const MOST_REQUESTS: u64 = 400;

/// Number 1 by this process, 2 to 5 by a child that is PID 1 of a PID namespace and
/// has mounts of its own, the last two over IPv6.
fn other_namespaces(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    let addresses = [wire.destination, SocketAddr::new(IpAddr::V6(IMDS_V6), 80)];
    // SAFETY: no pointers; this process has one thread.
    let made = unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) };
    ensure!(made == 0, "unshare: {}", io::Error::last_os_error());
    let child = sys::fork(|| {
        ensure!(std::process::id() == 1, "not the first of its namespace");
        mount_own_proc()?;
        for (destination, number) in addresses.into_iter().zip([2, 4]) {
            let case = wire.case.clone();
            let mut connection = Wire { case, destination }.connect()?;
            connection.exchange(&wire.get(number, ""))?;
            connection.exchange(&wire.get_v2(number + 1))?;
        }
        sys::linger()
    })?;
    for number in 2..=5 {
        fact(&format!("pid.{number}"), child)?;
    }
    Ok(())
}

/// A `/proc` of the new PID namespace, seen by nobody else.
fn mount_own_proc() -> Result<()> {
    let mount = |kind: &CStr, target: &CStr, flags: libc::c_ulong| {
        // SAFETY: both strings end in NUL and live; no data is passed.
        let mounted = unsafe {
            libc::mount(
                kind.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                flags,
                ptr::null(),
            )
        };
        ensure!(mounted == 0, "mount: {}", io::Error::last_os_error());
        Ok(())
    };
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE).context("keep mounts private")?;
    mount(c"proc", c"/proc", 0).context("mount /proc")
}

/// Requests of several kinds until enough segments had to be sent again. Tells how
/// many `requests` and `retransmissions` there were.
fn retransmitted(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut number = 0;
    loop {
        // A short one, one in pieces, and one of many packets.
        number += 1;
        connection.exchange(&wire.get(number, ""))?;
        number += 1;
        for piece in wire.get_v2(number).chunks(40) {
            connection.send(piece)?;
        }
        connection.answer()?;
        number += 1;
        connection.exchange(&wire.padded_v2(number, 14_000))?;
        let again = sys::retransmissions(&connection.stream)?;
        if again >= RETRANSMISSIONS {
            fact("retransmissions", again)?;
            return fact("requests", number);
        }
        ensure!(
            number < MOST_REQUESTS,
            "only {again} segments of {number} requests were sent again"
        );
    }
}
