//! How requests lie in the byte stream: split, pipelined, with bodies, cut off.

use anyhow::{Result, ensure};

use super::{
    Scenario, fact,
    wire::{Wire, token_field},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("one_byte_at_a_time", one_byte_at_a_time),
    ("split_at_every_position", split_at_every_position),
    ("one_line_at_a_time", one_line_at_a_time),
    ("three_in_one_send", three_in_one_send),
    ("pipelined_across_sends", pipelined_across_sends),
    ("body_of_known_length", body_of_known_length),
    ("chunked_body", chunked_body),
    ("head_16k_in_one_send", head_16k_in_one_send),
    ("head_16k_in_many_sends", head_16k_in_many_sends),
    ("heads_of_every_kib", heads_of_every_kib),
    ("garbage_behind_a_request", garbage_behind_a_request),
    ("head_beyond_limit", head_beyond_limit),
    ("garbage", garbage),
    ("tls_hello", tls_hello),
    ("cut_off", cut_off),
];

/// A request that a body holds, so that a body taken for a head shows.
const DECOY: &[u8] = b"GET /latest/meta-data/decoy HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";

fn one_byte_at_a_time(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for byte in wire.get_v2(1) {
        connection.send(&[byte])?;
    }
    connection.answer()?;
    Ok(())
}

fn split_at_every_position(wire: &Wire) -> Result<()> {
    let length = wire.get_v2(100).len() as u64;
    // Numbers of three digits, so that all heads are of one length.
    for position in 1..length {
        let head = wire.get_v2(99 + position);
        let (first, second) = head.split_at(usize::try_from(position)?);
        let mut connection = wire.connect()?;
        connection.send(first)?;
        connection.send(second)?;
        connection.answer()?;
    }
    fact("requests", length - 1)
}

fn one_line_at_a_time(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        for line in head.split_inclusive(|byte| *byte == b'\n') {
            connection.send(line)?;
        }
        connection.answer()?;
    }
    Ok(())
}

fn three_in_one_send(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.send(&[wire.get(1, ""), wire.get_v2(2), wire.get(3, "")].concat())?;
    for _ in 0..3 {
        connection.answer()?;
    }
    Ok(())
}

fn pipelined_across_sends(wire: &Wire) -> Result<()> {
    let stream = [
        wire.get(1, ""),
        wire.get_v2(2),
        wire.get(3, ""),
        wire.get_v2(4),
    ]
    .concat();
    let mut connection = wire.connect()?;
    for piece in stream.chunks(53) {
        connection.send(piece)?;
    }
    for _ in 0..4 {
        connection.answer()?;
    }
    Ok(())
}

fn body_of_known_length(wire: &Wire) -> Result<()> {
    let length = format!("Content-Length: {}\r\n", DECOY.len());
    let mut connection = wire.connect()?;
    // The body beside its head, then apart from it, then in two pieces with the next
    // request behind.
    connection.send(&[&wire.request("POST", 1, &length), DECOY].concat())?;
    connection.answer()?;
    connection.exchange(&wire.get_v2(2))?;
    connection.send(&wire.request("PUT", 3, &length))?;
    connection.send(DECOY)?;
    connection.answer()?;
    connection.send(&[&wire.request("POST", 4, &length), &DECOY[..20]].concat())?;
    connection.send(&[&DECOY[20..], &wire.get(5, "")].concat())?;
    connection.answer()?;
    connection.answer()?;
    Ok(())
}

fn chunked_body(wire: &Wire) -> Result<()> {
    let mut body = Vec::new();
    for piece in [DECOY, &DECOY[..7], DECOY] {
        body.extend(format!("{:X};ext=\"1\"\r\n", piece.len()).into_bytes());
        body.extend(piece);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\nTrailer: GET / HTTP/1.1\r\n\r\n");
    let coding = "Transfer-Encoding: chunked\r\n";
    let mut connection = wire.connect()?;
    connection.send(&[wire.request("POST", 1, coding), body.clone()].concat())?;
    connection.answer()?;
    connection.exchange(&wire.get_v2(2))?;
    // Size lines and chunks split anywhere.
    connection.send(&wire.request("PUT", 3, coding))?;
    for piece in [&body[..], &wire.get(4, "")].concat().chunks(11) {
        connection.send(piece)?;
    }
    connection.answer()?;
    connection.answer()?;
    Ok(())
}

fn head_16k_in_one_send(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.send_with(&wire.padded_v2(1, 16 << 10), 0)?;
    connection.answer()?;
    connection.exchange(&wire.get(2, ""))?;
    Ok(())
}

fn head_16k_in_many_sends(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for piece in wire.padded_v2(1, 16 << 10).chunks(331) {
        connection.send(piece)?;
    }
    connection.answer()?;
    Ok(())
}

/// Heads of 1 to 16 KiB, in one send and in pieces, without and with the token
/// header, which comes last. Tells how many `requests` there were.
fn heads_of_every_kib(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut number = 0;
    for size in (1..=16).map(|kib| kib << 10) {
        number += 1;
        connection.send_with(&wire.padded_v2(number, size), 0)?;
        connection.answer()?;
        number += 1;
        for piece in wire.padded(number, size, "").chunks(1499) {
            connection.send(piece)?;
        }
        connection.answer()?;
    }
    fact("requests", number)
}

/// A request, then what is none on the same connection.
fn garbage_behind_a_request(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.send(b"\x00\x01\x02 hello\r\nX-aws-ec2-metadata-token: none\r\n\r\n")?;
    ensure!(connection.answer().is_err(), "the mock answered garbage");
    Ok(())
}

fn head_beyond_limit(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for piece in wire.padded_v2(1, 1 << 20).chunks(8 << 10) {
        connection.send(piece)?;
    }
    connection.answer()?;
    Ok(())
}

fn garbage(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.send(b"\x00\x01\x02\xff hello\r\nX-aws-ec2-metadata-token: none\r\n\r\n")?;
    ensure!(connection.answer().is_err(), "the mock answered garbage");
    Ok(())
}

fn tls_hello(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    // RFC 8446: a handshake record holding the start of a ClientHello.
    connection.send(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 random")?;
    ensure!(connection.answer().is_err(), "the mock answered TLS");
    Ok(())
}

fn cut_off(wire: &Wire) -> Result<()> {
    // Up to the token's value: what was read so far does not tell the version.
    for head in [wire.get(1, ""), wire.get(2, &token_field())] {
        let mut connection = wire.connect()?;
        connection.send(&head[..head.len() - 4])?;
    }
    Ok(())
}
