//! Sends that fail, wholly or in part. What a failed send would have said must
//! never be a record.

use std::{io, net::Shutdown, os::fd::AsRawFd, ptr};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Scenario, checkpoint, fact, sys,
    wire::{Connection, Wire},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("broken_pipe", broken_pipe),
    ("bad_address", bad_address),
    ("still_connecting", still_connecting),
    ("full_send_buffer", full_send_buffer),
    ("short_write", short_write),
];

/// Body of the request behind which the send buffer fills up: more than a send and
/// a receive buffer take together.
const FILLER: usize = 2 << 20;
/// Send buffer asked for, so that it fills up soon.
const SEND_BUFFER: libc::c_int = 64 << 10;
/// Attempts to hit a short write.
const ATTEMPTS: u64 = 20;

fn expect_error(result: io::Result<usize>, code: i32) -> Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(code) => Ok(()),
        other => bail!(
            "expected the error {}, got {other:?}",
            io::Error::from_raw_os_error(code)
        ),
    }
}

/// Requests 1 (before the failure) is sent, 90 and 91 fail.
fn broken_pipe(wire: &Wire) -> Result<()> {
    let unconnected = sys::tcp_socket(libc::AF_INET, 0)?;
    expect_error(
        sys::send_to(&unconnected, &wire.get(90, ""), 0, wire.destination),
        libc::EPIPE,
    )?;
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.stream.shutdown(Shutdown::Write)?;
    expect_error(
        sys::send(&connection.stream, &wire.get(91, ""), 0),
        libc::EPIPE,
    )
}

/// A send from memory that can't be read fails, the same bytes sent well do not.
fn bad_address(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let size = 4096;
    // SAFETY: a new anonymous mapping that nobody reads.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    ensure!(
        page != libc::MAP_FAILED,
        "mmap: {}",
        io::Error::last_os_error()
    );
    expect_error(
        sys::send_from(&connection.stream, page.cast(), size),
        libc::EFAULT,
    )?;
    connection.exchange(&wire.get_v2(1))?;
    Ok(())
}

/// Runs where nothing listens yet. The first attempt fails as the connection isn't
/// there; once it is, other bytes are sent.
fn still_connecting(wire: &Wire) -> Result<()> {
    // A listener whose queue is full answers no further SYN.
    let listener = sys::tcp_socket(libc::AF_INET, 0)?;
    sys::set_option(&listener, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    sys::bind(&listener, wire.destination).context("bind")?;
    sys::listen(&listener, 0)?;
    let mut waiting = Vec::new();
    let connecting = loop {
        let socket = sys::tcp_socket(libc::AF_INET, 0)?;
        nonblocking(&socket)?;
        match sys::connect(&socket, wire.destination) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            other => bail!("connect without waiting: {other:?}"),
        }
        // One that gets through can be written to at once.
        if !sys::writable(&socket, 0)? {
            break socket;
        }
        waiting.push(socket);
        ensure!(waiting.len() < 16, "the listener's queue never fills");
    };
    for _ in 0..3 {
        expect_error(sys::send(&connecting, &wire.get(90, ""), 0), libc::EAGAIN)?;
    }
    // Room in the queue: the next SYN that is retransmitted is answered.
    let listener = std::net::TcpListener::from(listener);
    let mut accepted = Vec::new();
    for _ in &waiting {
        accepted.push(listener.accept()?.0);
    }
    ensure!(sys::writable(&connecting, 30_000)?, "never connected");
    let head = wire.get_v2(1);
    let sent = sys::send(&connecting, &head, 0)?;
    ensure!(sent == head.len(), "send took {sent} of {}", head.len());
    let (mut server, _) = listener.accept()?;
    let mut arrived = vec![0; head.len()];
    io::Read::read_exact(&mut server, &mut arrived)?;
    ensure!(arrived == head, "other bytes arrived than were sent");
    fact("arrived", 1)?;
    checkpoint("arrived")
}

/// A request whose body the mock does not read until it is released.
fn hold(wire: &Wire, number: u64, body: usize) -> Vec<u8> {
    let fields = format!(
        "X-Mock-Hold: {}-{number}\r\nContent-Length: {body}\r\n",
        wire.case
    );
    wire.request("POST", number, &fields)
}

/// Sends body bytes, without waiting, until no more are taken; how many were.
fn fill(connection: &Connection, limit: usize) -> Result<usize> {
    let block = vec![b'f'; 4096];
    let mut sent = 0;
    while sent < limit {
        let next = &block[..block.len().min(limit - sent)];
        match sys::send(&connection.stream, next, 0) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // The receiver may still be making room for what is on its way.
                if !sys::writable(&connection.stream, 300)? {
                    return Ok(sent);
                }
            }
            Err(error) => return Err(error).context("fill the send buffer"),
        }
    }
    Ok(sent)
}

/// Number 1 is held with a body; 90 is tried and refused with EAGAIN; then 2 is
/// sent where 90 would have been.
fn full_send_buffer(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    small_send_buffer(&connection)?;
    connection.send(&hold(wire, 1, FILLER))?;
    connection.stream.set_nonblocking(true)?;
    let mut sent = fill(&connection, FILLER)?;
    ensure!(sent < FILLER, "the send buffer never fills");
    for _ in 0..3 {
        expect_error(
            sys::send(&connection.stream, &wire.get(90, ""), 0),
            libc::EAGAIN,
        )?;
    }
    checkpoint("blocked")?;
    connection.stream.set_nonblocking(false)?;
    let block = vec![b'f'; 64 << 10];
    while sent < FILLER {
        let next = &block[..block.len().min(FILLER - sent)];
        connection.send(next)?;
        sent += next.len();
    }
    connection.send(&wire.get_v2(2))?;
    connection.answer()?;
    connection.answer()?;
    Ok(())
}

/// Fills a connection once to learn how much it takes, then again nearly as much, so
/// that the next request fits in only partly; it is continued once there is room.
///
/// Odd numbers are held requests, even ones those that follow; `attempts` tells how
/// many of each there were.
fn short_write(wire: &Wire) -> Result<()> {
    let mut learned = None;
    for attempt in 1..=ATTEMPTS {
        let mut connection = wire.connect()?;
        small_send_buffer(&connection)?;
        let body = learned.map_or(FILLER, |taken: usize| taken.saturating_sub(70));
        connection.send(&hold(wire, attempt * 2 - 1, body))?;
        connection.stream.set_nonblocking(true)?;
        let mut filled = fill(&connection, body)?;
        let head = wire.get_v2(attempt * 2);
        let mut taken = 0;
        if learned.is_some() && filled == body {
            taken =
                sys::send(&connection.stream, &head, 0).or_else(|error| match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(0),
                    _ => Err(error),
                })?;
        }
        learned = Some(filled + taken);
        checkpoint(&format!("blocked {}", attempt * 2 - 1))?;
        connection.stream.set_nonblocking(false)?;
        let block = vec![b'f'; 64 << 10];
        while filled < body {
            let next = &block[..block.len().min(body - filled)];
            connection.send(next)?;
            filled += next.len();
        }
        connection.send(&head[taken..])?;
        connection.answer()?;
        connection.answer()?;
        if (1..head.len()).contains(&taken) {
            return fact("attempts", attempt);
        }
    }
    bail!("no write was short in {ATTEMPTS} attempts");
}

fn small_send_buffer(connection: &Connection) -> io::Result<()> {
    sys::set_option(
        &connection.stream,
        libc::SOL_SOCKET,
        libc::SO_SNDBUF,
        SEND_BUFFER,
    )
}

fn nonblocking(socket: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    let set = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
