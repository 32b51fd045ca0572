//! Requests that are answered oddly, or not at all: each tells the mock how.

use anyhow::{Result, ensure};

use super::{
    Scenario, checkpoint, fact,
    wire::{Wire, token_field},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("refused", refused),
    ("statuses_in_turn", statuses_in_turn),
    ("bytewise_statuses", bytewise_statuses),
    ("answers_in_one_segment", answers_in_one_segment),
    ("behind_interim_responses", behind_interim_responses),
    ("bodies_like_responses", bodies_like_responses),
    (
        "chunked_bodies_like_responses",
        chunked_bodies_like_responses,
    ),
    ("body_until_close", body_until_close),
    ("answers_with_bare_line_feeds", bare_line_feeds),
    ("long_response_heads", long_response_heads),
    ("without_bodies", without_bodies),
    ("head_requests", head_requests),
    ("answers_to_http_1_0", http_1_0),
    ("many_pipelined", many_pipelined),
    ("stalled", stalled),
    ("stalled_then_closed", stalled_then_closed),
    ("reset_unanswered", reset_unanswered),
    ("closed_unanswered", closed_unanswered),
    ("not_read", not_read),
    ("stalled_until_told", stalled_until_told),
];

/// Codes that clients tell apart, and such with and without bodies.
const CODES: [u16; 12] = [200, 401, 403, 404, 405, 500, 204, 503, 304, 301, 400, 200];

fn deliver(how: &str) -> String {
    format!("X-Mock-Deliver: {how}\r\n")
}

fn with_status(code: u16) -> String {
    format!("X-Mock-Status: {code}\r\n")
}

/// v1 and v2, each on a connection of its own.
fn refused(wire: &Wire) -> Result<()> {
    let codes = [401, 403, 404, 405, 500];
    for (number, code) in (1..).zip(codes) {
        let fields = with_status(code) + "Connection: close\r\n";
        ensure!(wire.connect()?.exchange(&wire.get(number, &fields))? == code);
        let fields = fields + &token_field();
        let head = wire.get(number + codes.len() as u64, &fields);
        ensure!(wire.connect()?.exchange(&head)? == code);
    }
    fact("requests", codes.len() * 2)
}

/// One after the other on one connection.
fn statuses_in_turn(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let codes = CODES.iter().filter(|code| !matches!(code, 204 | 304));
    let mut number = 0;
    for code in codes.clone().chain(codes) {
        number += 1;
        let answer = connection.exchange(&wire.get(number, &with_status(*code)))?;
        ensure!(answer == *code, "{answer} for {code}");
    }
    fact("requests", number)
}

fn bytewise_statuses(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([200, 404, 401]) {
        let fields = deliver("bytewise") + &with_status(code);
        ensure!(connection.exchange(&wire.get(number, &fields))? == code);
    }
    Ok(())
}

/// The mock sends two answers in one write.
fn answers_in_one_segment(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let first = wire.get(1, &(deliver("with-next") + &with_status(404)));
    let second = wire.get(2, &with_status(500));
    connection.send(&[first, second].concat())?;
    ensure!(connection.answer()? == 404 && connection.answer()? == 500);
    // Three, of which the last was sent later.
    let first = wire.get(3, &(deliver("with-next") + &with_status(403)));
    let second = wire.get(
        4,
        &(deliver("with-next") + &with_status(200) + &token_field()),
    );
    connection.send(&[first, second].concat())?;
    connection.send(&wire.get(5, &with_status(401)))?;
    for wanted in [403, 200, 401] {
        let code = connection.answer()?;
        ensure!(code == wanted, "{code} for {wanted}");
    }
    Ok(())
}

fn behind_interim_responses(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([200, 404]) {
        let fields = deliver("interim") + &with_status(code);
        connection.send(&wire.get(number, &fields))?;
        ensure!(connection.interim()? == 103 && connection.interim()? == 102);
        ensure!(connection.answer()? == code);
    }
    connection.exchange(&wire.get(3, ""))?;
    Ok(())
}

/// Bodies of which every packet begins like a response, and requests that are sent
/// before those bodies have come.
fn bodies_like_responses(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, &(deliver("decoys") + &with_status(403))))?;
    connection.exchange(&wire.get(2, &with_status(404)))?;
    let first = wire.get(3, &deliver("decoys"));
    connection.send(&[first, wire.get(4, &with_status(500))].concat())?;
    ensure!(connection.answer()? == 200 && connection.answer()? == 500);
    Ok(())
}

fn chunked_bodies_like_responses(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for number in [1, 3] {
        let head = wire.get(number, &deliver("chunked"));
        connection.send(&[head, wire.get(number + 1, &with_status(404))].concat())?;
        connection.chunked()?;
        ensure!(connection.answer()? == 404);
    }
    Ok(())
}

fn body_until_close(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.send(&wire.get(2, &(deliver("until-close") + &with_status(403))))?;
    connection.until_end()
}

fn bare_line_feeds(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([200, 404]) {
        let fields = deliver("bare-lf") + &with_status(code);
        connection.send(&wire.get(number, &fields))?;
        connection.bare()?;
    }
    connection.exchange(&wire.get(3, ""))?;
    Ok(())
}

/// Longer than what one packet is read of.
fn long_response_heads(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([200, 404]) {
        let fields = deliver("long-head") + &with_status(code);
        ensure!(connection.exchange(&wire.get(number, &fields))? == code);
        ensure!(connection.exchange(&wire.get(number + 2, ""))? == 200);
    }
    Ok(())
}

/// Codes that have no body (RFC 9110 15.3.5, 15.4.5), and others behind them.
fn without_bodies(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([204, 304, 204]) {
        let fields = deliver("no-body") + &with_status(code);
        connection.send(&wire.get(number * 2 - 1, &fields))?;
        ensure!(connection.head_only()? == code);
        connection.exchange(&wire.get(number * 2, ""))?;
    }
    Ok(())
}

/// Answers with a length and no body.
fn head_requests(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for (number, code) in (1..).zip([200, 404, 200]) {
        let head = wire.request("HEAD", number * 2 - 1, &with_status(code));
        connection.send(&head)?;
        ensure!(connection.head_only()? == code);
        connection.exchange(&wire.get(number * 2, ""))?;
    }
    Ok(())
}

/// Each on a connection of its own, and two on one that is kept.
fn http_1_0(wire: &Wire) -> Result<()> {
    for (number, fields) in [
        (1, String::new()),
        (2, with_status(404)),
        (3, token_field()),
    ] {
        wire.connect()?.exchange(&wire.get_1_0(number, &fields))?;
    }
    let mut connection = wire.connect()?;
    for number in [4, 5] {
        connection.exchange(&wire.get_1_0(number, "Connection: keep-alive\r\n"))?;
    }
    Ok(())
}

/// Requests of [`many_pipelined`].
const PIPELINED: u64 = 60;

fn many_pipelined(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let heads = (1..=PIPELINED).map(|number| {
        let code = CODES[usize::try_from(number).unwrap_or(0) % 6];
        wire.get(number, &with_status(code))
    });
    connection.send(&heads.collect::<Vec<_>>().concat())?;
    for _ in 0..PIPELINED {
        connection.answer()?;
    }
    fact("requests", PIPELINED)
}

fn stalled(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.send(&wire.get(2, &deliver("stall")))?;
    // It stays open for as long as this process lives.
    connection.forget();
    Ok(())
}

/// Gives up, as SDKs do.
fn stalled_then_closed(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    // Answered after it, so that the request has come when the connection is closed.
    connection.send(&wire.request("PUT", 2, &deliver("stall")))?;
    wire.connect()?.exchange(&wire.get(3, ""))?;
    Ok(())
}

fn reset_unanswered(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.send(&wire.get(2, &deliver("reset")))?;
    ensure!(connection.answer().is_err(), "there was an answer");
    Ok(())
}

/// The connection is closed by the server, and stays as it is here.
fn closed_unanswered(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    connection.send(&wire.get(2, &deliver("close")))?;
    ensure!(connection.answer().is_err(), "there was an answer");
    connection.forget();
    Ok(())
}

/// The answer comes, and nobody reads it.
fn not_read(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.send(&wire.get(1, &with_status(403)))?;
    ensure!(connection.has_come()?, "no answer came");
    Ok(())
}

/// It waits while the analyzer is stopped.
fn stalled_until_told(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    connection.send(&wire.get(1, &deliver("stall")))?;
    checkpoint("sent")
}
