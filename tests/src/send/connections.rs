//! Connections of every kind, and what looks like one to IMDS but isn't.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Scenario, checkpoint, fact, sys,
    wire::{Connection, Wire, token_field},
};
use crate::{
    mock::OTHER_PORT,
    netns::{IMDS_V4, IMDS_V6},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("mapped_address", mapped_address),
    ("ipv6", ipv6),
    ("fast_open", fast_open),
    ("multipath", multipath),
    ("port_reused_at_once", port_reused_at_once),
    ("two_sockets_alternately", two_sockets_alternately),
    ("connected_before", connected_before),
    ("head_begun_before", head_begun_before),
    ("not_imds", not_imds),
];

/// `tcpi_options`: data in the SYN was acknowledged (`TCPI_OPT_SYN_DATA`,
/// `include/uapi/linux/tcp.h`).
const SYN_DATA: u8 = 32;

fn connected(family: libc::c_int, protocol: libc::c_int, to: SocketAddr) -> Result<Connection> {
    let socket = sys::tcp_socket(family, protocol)?;
    sys::connect(&socket, to).with_context(|| format!("connect to {to}"))?;
    Wire::adopt(socket)
}

fn mapped_address(wire: &Wire) -> Result<()> {
    let mapped = SocketAddr::new(IpAddr::V6(IMDS_V4.to_ipv6_mapped()), 80);
    let mut connection = connected(libc::AF_INET6, 0, mapped)?;
    connection.exchange(&wire.get(1, ""))?;
    connection.exchange(&wire.get_v2(2))?;
    Ok(())
}

fn ipv6(wire: &Wire) -> Result<()> {
    let address = SocketAddr::new(IpAddr::V6(IMDS_V6), 80);
    let mut connection = connected(libc::AF_INET6, 0, address)?;
    connection.exchange(&wire.get(1, ""))?;
    connection.exchange(&wire.get_v2(2))?;
    Ok(())
}

/// The first connection asks for a cookie, the later ones send their request in the
/// SYN; each has a second request behind it.
fn fast_open(wire: &Wire) -> Result<()> {
    let mut in_syn = 0;
    for round in 0..3 {
        let socket = sys::tcp_socket(libc::AF_INET, 0)?;
        let head = wire.get_v2(round * 2 + 1);
        let sent = sys::send_to(&socket, &head, libc::MSG_FASTOPEN, wire.destination)
            .context("send with MSG_FASTOPEN")?;
        ensure!(sent == head.len(), "send took {sent} of {}", head.len());
        let mut connection = Wire::adopt(socket)?;
        connection.answer()?;
        connection.exchange(&wire.get(round * 2 + 2, ""))?;
        if sys::tcp_options(&connection.stream)? & SYN_DATA != 0 {
            in_syn += 1;
        }
    }
    ensure!(in_syn > 0, "no request travelled in a SYN");
    fact("in_syn", in_syn)
}

fn multipath(wire: &Wire) -> Result<()> {
    let mut connection = connected(libc::AF_INET, libc::IPPROTO_MPTCP, wire.destination)?;
    connection.exchange(&wire.get(1, ""))?;
    connection.exchange(&wire.get_v2(2))?;
    Ok(())
}

/// Binds a socket to a fixed port and lets it end with a reset, so that the port is
/// free at once.
fn from_port(port: u16, wire: &Wire) -> Result<Connection> {
    let socket = sys::tcp_socket(libc::AF_INET, 0)?;
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    reset_on_close(&socket)?;
    sys::bind(
        &socket,
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
    )
    .context("bind")?;
    sys::connect(&socket, wire.destination).context("connect")?;
    Wire::adopt(socket)
}

fn reset_on_close(socket: &impl AsRawFd) -> Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the pointer and length are those of `linger`.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    ensure!(set == 0, "SO_LINGER: {}", io::Error::last_os_error());
    Ok(())
}

/// One port over and over. Each connection ends in the middle of a head that has the
/// token header, so that a stream which went on would turn the next request to v2.
/// Requests `1..=rounds` are whole, one a connection.
fn port_reused_at_once(wire: &Wire) -> Result<()> {
    const ROUNDS: u64 = 5;
    // Below the ports that the kernel hands out (`ip_local_port_range`).
    let port = 20_080;
    for round in 1..=ROUNDS {
        let mut connection = from_port(port, wire)?;
        connection.exchange(&wire.get(round, ""))?;
        let unfinished = wire.get(90, &token_field());
        connection.send(&unfinished[..unfinished.len() - 2])?;
    }
    fact("rounds", ROUNDS)
}

fn two_sockets_alternately(wire: &Wire) -> Result<()> {
    let mut first = wire.connect()?;
    let mut second = wire.connect()?;
    let v2 = wire.get_v2(1);
    let v1 = wire.get(2, "");
    for (one, other) in v2.chunks(9).zip(v1.chunks(5)) {
        first.send(one)?;
        second.send(other)?;
    }
    let pieces = v2.len().div_ceil(9).min(v1.len().div_ceil(5));
    first.send(v2.get(pieces * 9..).unwrap_or_default())?;
    second.send(v1.get(pieces * 5..).unwrap_or_default())?;
    first.answer()?;
    second.answer()?;
    Ok(())
}

/// One request before the analyzer runs, the others after.
fn connected_before(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    checkpoint("connected")?;
    for head in [wire.get(2, ""), wire.get_v2(3), wire.get(4, "")] {
        connection.exchange(&head)?;
    }
    Ok(())
}

/// Half a head before the analyzer runs; its rest and the other requests after.
fn head_begun_before(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let head = wire.get_v2(1);
    let (first, rest) = head.split_at(head.len() / 2);
    connection.send(first)?;
    checkpoint("connected")?;
    connection.exchange(rest)?;
    for head in [wire.get(2, ""), wire.get_v2(3), wire.get(4, "")] {
        connection.exchange(&head)?;
    }
    Ok(())
}

/// Real HTTP to what isn't IMDS. Numbers from 1; none may be a record.
fn not_imds(wire: &Wire) -> Result<()> {
    let other_port = SocketAddr::new(IpAddr::V4(IMDS_V4), OTHER_PORT);
    let other_address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
    for (number, address) in [(1, other_port), (2, other_address)] {
        let mut connection = connected(libc::AF_INET, 0, address)?;
        connection.exchange(&wire.get(number, ""))?;
    }
    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let head = wire.get(90, "");
    let sent = datagrams.send_to(&head, wire.destination)?;
    if sent != head.len() {
        bail!("the datagram was cut");
    }
    Ok(())
}
