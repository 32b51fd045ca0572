//! Long and interrupted conversations: hundreds of requests on a connection, bodies
//! that the server is asked for, pauses, and a server that has gone.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Scenario, fact, sys,
    wire::{Wire, token_field},
};
use crate::netns::IMDS_V4;

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("hundreds_on_one_connection", hundreds_on_one_connection),
    ("expect_continue", expect_continue),
    ("header_name_in_body", header_name_in_body),
    (
        "one_byte_at_a_time_with_pauses",
        one_byte_at_a_time_with_pauses,
    ),
    ("server_has_closed", server_has_closed),
    ("killed_in_a_head", killed_in_a_head),
    ("from_the_imds_address", from_the_imds_address),
];

/// Requests of [`hundreds_on_one_connection`].
const HUNDREDS: u64 = 400;
/// Between two bytes of a slow client. It only has to be long enough that each byte
/// leaves in a packet of its own.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the end of a connection may take to be known here, in milliseconds.
const CLOSES_WITHIN_MS: libc::c_int = 30_000;

/// v1 and v2 in turn, and every seventh with a body.
fn hundreds_on_one_connection(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for number in 1..=HUNDREDS {
        let mut fields = if number % 2 == 0 {
            token_field()
        } else {
            String::new()
        };
        if number % 7 == 0 {
            fields += "Content-Length: 9\r\n";
            let head = wire.request("POST", number, &fields);
            connection.send(&[&head, b"some body".as_slice()].concat())?;
        } else {
            connection.send(&wire.get(number, &fields))?;
        }
        connection.answer()?;
    }
    fact("requests", HUNDREDS)
}

/// Bodies that are sent once the server says 100 (RFC 9110 10.1.1), or without
/// waiting for it, and other requests behind them.
fn expect_continue(wire: &Wire) -> Result<()> {
    let body = b"GET /latest/meta-data/decoy HTTP/1.1\r\nX-aws-ec2-metadata-token: x\r\n\r\n";
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let mut connection = wire.connect()?;
    connection.send(&wire.request("PUT", 1, &fields))?;
    ensure!(connection.interim()? == 100, "no 100 was answered");
    connection.exchange(body)?;
    connection.exchange(&wire.get_v2(2))?;
    let with_token = fields.clone() + &token_field();
    connection.send(&wire.request("POST", 3, &with_token))?;
    ensure!(connection.interim()? == 100, "no 100 was answered");
    connection.send(&body[..10])?;
    connection.exchange(&body[10..])?;
    // Impatient: the 100 comes all the same.
    connection.send(&[&wire.request("POST", 4, &fields), body.as_slice()].concat())?;
    ensure!(connection.interim()? == 100, "no 100 was answered");
    connection.answer()?;
    connection.exchange(&wire.get(5, ""))?;
    Ok(())
}

/// The token header where it is none: in bodies of requests without a token.
fn header_name_in_body(wire: &Wire) -> Result<()> {
    let line = "X-aws-ec2-metadata-token: none\r\n";
    let body = [line, "\r\n", line, "\r\n"].concat();
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut connection = wire.connect()?;
    // Beside its head, apart from it, and split within the name.
    connection.exchange(&[wire.get(1, &length), body.clone().into_bytes()].concat())?;
    connection.send(&wire.request("POST", 2, &length))?;
    connection.exchange(body.as_bytes())?;
    connection.send(&wire.request("PUT", 3, &length))?;
    connection.send(&body.as_bytes()[..11])?;
    connection.exchange(&body.as_bytes()[11..])?;
    // In a chunk, its extension and a trailer.
    let chunked = format!(
        "{:x};{}\r\n{line}\r\n0\r\n{line}\r\n",
        line.len(),
        line.trim_end()
    );
    let coding = "Transfer-Encoding: chunked\r\n";
    connection.exchange(&[wire.request("POST", 4, coding), chunked.into_bytes()].concat())?;
    connection.exchange(&wire.get(5, ""))?;
    Ok(())
}

fn one_byte_at_a_time_with_pauses(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.bare_get(1, ""), wire.bare_get(2, &token_field())] {
        for byte in head {
            connection.send(&[byte])?;
            thread::sleep(PAUSE);
        }
        connection.answer()?;
    }
    Ok(())
}

/// Number 1 is answered and the connection closed. 2 is still taken by the kernel,
/// and leaves, before it knows that nobody is there; 90 fails.
fn server_has_closed(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, "Connection: close\r\n"))?;
    ensure!(
        connection.answer().is_err(),
        "there was an answer to nothing"
    );
    let head = wire.get_v2(2);
    let sent = sys::send(&connection.stream, &head, 0)?;
    ensure!(sent == head.len(), "send took {sent} of {}", head.len());
    fact("sent", 2)?;
    ensure!(
        sys::hung_up(&connection.stream, CLOSES_WITHIN_MS)?,
        "the server never reset the connection"
    );
    match sys::send(&connection.stream, &wire.get(90, ""), 0) {
        Err(error) if error.raw_os_error() == Some(libc::EPIPE) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => Ok(()),
        other => bail!("a send on a closed connection gave {other:?}"),
    }
}

/// A child is killed in the middle of a head, then this process sends a whole one.
fn killed_in_a_head(wire: &Wire) -> Result<()> {
    let child = sys::fork(|| {
        let mut connection = wire.connect()?;
        let head = wire.get_v2(90);
        connection.send(&head[..head.len() / 2])?;
        // SAFETY: no pointers; this process ends itself.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        Ok(())
    })?;
    let mut status = 0;
    // SAFETY: the pointer is that of `status`.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    ensure!(ended == child, "waitpid: {}", io::Error::last_os_error());
    ensure!(
        libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL,
        "the child ended otherwise: {status}"
    );
    fact("killed", child)?;
    wire.connect()?.exchange(&wire.get(1, ""))?;
    Ok(())
}

/// From the address of IMDS itself: the answers go to that address, too.
fn from_the_imds_address(wire: &Wire) -> Result<()> {
    let here = IpAddr::V4(IMDS_V4);
    let socket = sys::tcp_socket(libc::AF_INET, 0)?;
    sys::bind(&socket, SocketAddr::new(here, 0)).context("bind")?;
    sys::connect(&socket, wire.destination).context("connect")?;
    let mut connection = Wire::adopt(socket)?;
    connection.exchange(&wire.get(1, ""))?;
    connection.exchange(&wire.get_v2(2))?;
    let local = connection.stream.local_addr()?.ip();
    ensure!(local == here, "connected from {local}");
    Ok(())
}
