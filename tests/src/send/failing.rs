//! Sends that fail, wholly or in part. What a failed send would have said must
//! never be a record.

use std::{
    fs, io,
    net::{IpAddr, Shutdown, SocketAddr},
    os::fd::AsRawFd,
    ptr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Scenario, checkpoint, fact, sys,
    wire::{Connection, Wire},
};
use crate::netns::IMDS_V6;

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("broken_pipe", broken_pipe),
    ("bad_address", bad_address),
    ("still_connecting", still_connecting),
    ("full_send_buffer", full_send_buffer),
    ("short_write", short_write),
    ("many_blocked_threads", many_blocked_threads),
];

/// Body of the request behind which the send buffer fills up: more than a send and
/// a receive buffer take together.
const FILLER: usize = 512 << 10;
/// Send buffer asked for, so that it fills up soon.
const SEND_BUFFER: libc::c_int = 16 << 10;
/// Time for what is on its way to arrive, within this machine.
const SETTLES_IN_MS: libc::c_int = 300;
/// More threads than the kernel keeps kretprobe instances for by default: 10, or twice
/// the number of processors (`register_kretprobe`, kernel/kprobes.c).
const THREADS: usize = 64;
/// How long a thread may take to block.
const SLEEPS_WITHIN: Duration = Duration::from_secs(30);
/// Attempts to hit a short write.
const ATTEMPTS: usize = 20;

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
    let mut refused = false;
    while sent < limit {
        let next = &block[..block.len().min(limit - sent)];
        match sys::send(&connection.stream, next, 0) {
            Ok(count) => {
                sent += count;
                refused = false;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // What is on its way may still make room when it arrives, and a socket
                // may take a little more than it is called writable for: full is what
                // refuses again after that.
                if refused {
                    return Ok(sent);
                }
                refused = !sys::writable(&connection.stream, SETTLES_IN_MS)?;
            }
            Err(error) => return Err(error).context("fill the send buffer"),
        }
    }
    Ok(sent)
}

/// Number 1 is held with a body; 90 is tried and refused with EAGAIN; then 2 is
/// sent where 90 would have been.
fn full_send_buffer(wire: &Wire) -> Result<()> {
    let mut connection = small_connection()?;
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
    let block = vec![b'f'; 4096];
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

/// Number 1 is held with a body, whose last bytes are each sent by a thread of its
/// own, all of them waiting for room at once; then comes 2.
fn many_blocked_threads(wire: &Wire) -> Result<()> {
    let mut connection = small_connection()?;
    connection.send(&hold(wire, 1, FILLER))?;
    connection.stream.set_nonblocking(true)?;
    let sent = fill(&connection, FILLER)?;
    ensure!(sent < FILLER, "the send buffer never fills");
    connection.stream.set_nonblocking(false)?;
    thread::scope(|scope| -> Result<()> {
        let (announce, announced) = mpsc::channel();
        let mut threads = Vec::new();
        for index in 0..THREADS {
            let left = FILLER - sent;
            let share = left / THREADS + usize::from(index < left % THREADS);
            let (announce, stream) = (announce.clone(), &connection.stream);
            threads.push(scope.spawn(move || -> Result<()> {
                // SAFETY: no pointers.
                announce.send(unsafe { libc::gettid() })?;
                let block = vec![b'f'; share];
                let mut left = block.as_slice();
                while !left.is_empty() {
                    let count = sys::send(stream, left, 0)?;
                    left = &left[count..];
                }
                Ok(())
            }));
        }
        for _ in 0..THREADS {
            await_sleep(announced.recv()?)?;
        }
        checkpoint("blocked")?;
        for thread in threads {
            thread.join().expect("sending does not panic")?;
        }
        Ok(())
    })?;
    connection.send(&wire.get_v2(2))?;
    connection.answer()?;
    connection.answer()?;
    Ok(())
}

/// Waits until a thread that has said all it had to say sleeps: then it is in its send.
fn await_sleep(thread: libc::pid_t) -> Result<()> {
    let path = format!("/proc/self/task/{thread}/stat");
    let deadline = Instant::now() + SLEEPS_WITHIN;
    loop {
        let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The state is the first field behind the name, which is in parentheses.
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        if state.starts_with('S') {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "a thread does not block: {stat}");
        thread::yield_now();
    }
}

/// Pipelines requests behind a held one until the connection takes only a part of
/// one; that is continued once there is room. Tells how many `requests` there were.
fn short_write(wire: &Wire) -> Result<()> {
    let mut number = 0;
    for attempt in 1..=ATTEMPTS {
        let mut connection = small_connection()?;
        number += 1;
        let held = number;
        connection.send(&hold(wire, held, 0))?;
        connection.stream.set_nonblocking(true)?;
        // Of another size each time: a head can fit in exactly.
        let size = 3000 + 137 * attempt;
        let (mut head, mut taken);
        loop {
            number += 1;
            head = wire.padded_v2(number, size);
            taken = match sys::send(&connection.stream, &head, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                sent => sent.context("pipeline a request")?,
            };
            if taken < head.len() {
                break;
            }
        }
        checkpoint(&format!("blocked {held}"))?;
        connection.stream.set_nonblocking(false)?;
        connection.send(&head[taken..])?;
        for _ in held..=number {
            connection.answer()?;
        }
        if taken > 0 {
            return fact("requests", number);
        }
    }
    bail!("no write was short in {ATTEMPTS} attempts");
}

/// A connection that holds little: to the IPv6 address, where the mock's window is
/// small, with a small send buffer of its own. What it sends leaves in small packets.
fn small_connection() -> Result<Connection> {
    let socket = sys::tcp_socket(libc::AF_INET6, 0)?;
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER)?;
    sys::connect(&socket, SocketAddr::new(IpAddr::V6(IMDS_V6), 80)).context("connect")?;
    Wire::adopt(socket)
}

fn nonblocking(socket: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    let set = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
