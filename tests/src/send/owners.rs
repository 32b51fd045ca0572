//! Who sends: not always who connected, not always who is still there.

use std::{os::unix::net::UnixStream, thread};

use anyhow::{Result, ensure};

use super::{Scenario, checkpoint, fact, sys, wire::Wire};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("child_on_parents_socket", child_on_parents_socket),
    ("passed_socket", passed_socket),
    ("thread_sends", thread_sends),
    ("exits_at_once", exits_at_once),
    ("other_user", other_user),
    ("waits_first", waits_first),
];

/// The user that [`other_user`] becomes; no passwd file knows it.
pub const OTHER_USER: u32 = 54_321;

/// Waits to be let go, so that something can be done with the process.
fn waits_first(wire: &Wire) -> Result<()> {
    checkpoint("waiting")?;
    wire.connect()?.exchange(&wire.get(1, ""))?;
    Ok(())
}

/// Number 1 by the parent, 2 by its child, 3 by the parent again.
fn child_on_parents_socket(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    let head = wire.get_v2(2);
    let child = sys::fork(|| {
        sys::send(&connection.stream, &head, 0)?;
        sys::linger()
    })?;
    fact("pid.2", child)?;
    connection.answer()?;
    connection.exchange(&wire.get(3, ""))?;
    Ok(())
}

/// Number 1 by the process that connected, 2 by one that was given the socket.
fn passed_socket(wire: &Wire) -> Result<()> {
    let (giver, taker) = UnixStream::pair()?;
    let head = wire.get_v2(2);
    // Forked before there is a connection: it has the socket from the channel alone.
    let child = sys::fork(move || {
        let socket = sys::receive_descriptor(&taker)?;
        sys::send(&socket, &head, 0)?;
        sys::linger()
    })?;
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    fact("pid.2", child)?;
    sys::pass_descriptor(&giver, &connection.stream)?;
    connection.answer()?;
    Ok(())
}

/// Number 1 by the main thread, 2 by another.
fn thread_sends(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    let head = wire.get_v2(2);
    thread::scope(|scope| {
        scope
            .spawn(|| -> Result<()> {
                // SAFETY: no pointers.
                fact("tid.2", unsafe { libc::gettid() })?;
                connection.exchange(&head)?;
                Ok(())
            })
            .join()
            .expect("sending does not panic")
    })
}

/// Is gone before anybody can look: no answer is waited for.
fn exits_at_once(wire: &Wire) -> Result<()> {
    let socket = sys::tcp_socket(libc::AF_INET, 0)?;
    sys::connect(&socket, wire.destination)?;
    let head = wire.get_v2(1);
    let sent = sys::send(&socket, &head, 0)?;
    ensure!(sent == head.len(), "send took {sent} of {}", head.len());
    // SAFETY: ends this process, nothing more.
    unsafe { libc::_exit(0) }
}

fn other_user(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    // SAFETY: no pointers. setresuid through libc changes all threads; there is one.
    let changed = unsafe { libc::setresuid(OTHER_USER, OTHER_USER, OTHER_USER) };
    ensure!(
        changed == 0,
        "setresuid: {}",
        std::io::Error::last_os_error()
    );
    connection.exchange(&wire.get_v2(2))?;
    Ok(())
}
