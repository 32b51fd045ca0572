//! No token, credential or secret-looking argument comes out, whatever the format,
//! at trace level and with all that the eBPF programs say.

mod callers;

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Entry, betrays, cases,
    session::{Session, Setup},
};
use crate::{
    analyzer::Finished,
    canary,
    compare::{Expected, Sender, Version},
    mock::access_log::id_in_target,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        no_secret_in_json_at_trace,
        no_secret_in_text_at_trace,
        no_secret_in_aws_lines_at_trace,
    ]
}

fn no_secret_in_json_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "json")
}

fn no_secret_in_text_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "text")
}

fn no_secret_in_aws_lines_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "aws")
}

/// Fails if any line betrays a secret; the message does not repeat it.
pub(super) fn require_none(finished: &Finished) -> Result<()> {
    for (place, lines) in [
        ("records", &finished.records),
        ("standard error", &finished.stderr),
    ] {
        let found: Vec<String> = lines
            .iter()
            .filter(|line| betrays(line))
            .map(|line| surroundings(line))
            .collect();
        if let Some(first) = found.first() {
            bail!("{} lines of {place} hold a secret: {first}", found.len());
        }
    }
    Ok(())
}

/// What stands before the first secret of a line.
fn surroundings(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line).to_lowercase();
    let canary = canary::CANARY.to_lowercase();
    let before = text.split(&canary).next().unwrap_or_default();
    let start = before
        .char_indices()
        .rev()
        .nth(100)
        .map_or(0, |(index, _)| index);
    format!("…{}[secret]", &before[start..])
}

fn no_secret_in(setup: &Setup, name: &'static str, format: &str) -> Result<()> {
    let mut session = Session::start_verbose(setup, format)?;
    let on_the_wire = {
        let case = session.case(name);
        let mut sender = case.start("secrets_on_the_wire")?;
        sender.await_line("done")?;
        case.entries(ON_THE_WIRE)?;
        sender
    };
    let in_arguments = callers::start(&session, name)?;
    let count = ON_THE_WIRE + in_arguments.len();
    let mut case = session.case(name);
    if format == "json" {
        let mut expected = Vec::new();
        for entry in case.entries(count)? {
            let number = entry.id.as_ref().map_or(0, |id| id.number);
            let sender = match in_arguments.iter().find(|one| one.number == number) {
                Some(caller) => caller.sender.clone(),
                None => on_the_wire.sender_of(number),
            };
            expected.push(Expected {
                loose_target: true,
                ..Expected::from_entry(&entry, sender)
            });
        }
        // The head that was no head.
        expected.push(Expected::unknown(on_the_wire.sender_of(0), &[]));
        case.verify(&expected)?;
    } else {
        case.entries(count)?;
        session.fence()?;
    }
    on_the_wire.finish()?;
    drop(in_arguments);
    let entries = session.mock.log().of_case(name);
    let finished = session.stop()?;
    require_none(&finished)?;
    ensure!(
        !finished.stderr.is_empty(),
        "nothing on standard error, although at trace"
    );
    if format != "json" {
        for entry in entries {
            require_line(
                &finished.records,
                &Expected::from_entry(&entry, Sender::default()),
            )?;
        }
    }
    Ok(())
}

/// Exactly one line must show the request, with the right version and no other.
fn require_line(lines: &[Vec<u8>], expected: &Expected) -> Result<()> {
    let target = String::from_utf8_lossy(expected.target.as_deref().unwrap_or_default());
    let id = id_in_target(target.as_bytes())
        .context("the requests of this case have ids in their targets")?;
    let version = match expected.version {
        Version::V1 => "IMDSV1",
        _ => "IMDSV2",
    };
    let method = expected.method.as_deref().unwrap_or_default();
    let showing: Vec<String> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|line| {
            // The target follows its method; an argument with the same URL doesn't.
            line.split(&format!("{method} ")).skip(1).any(|rest| {
                rest.starts_with('/')
                    && id_in_target(rest.split(' ').next().unwrap_or_default().as_bytes())
                        == Some(id.clone())
            })
        })
        .collect();
    ensure!(
        showing.len() == 1,
        "{} lines show {method} {target}",
        showing.len()
    );
    ensure!(
        showing[0].to_uppercase().contains(version),
        "expected {version}: {}",
        showing[0]
    );
    Ok(())
}

/// Whole requests of the scenario `secrets_on_the_wire`.
const ON_THE_WIRE: usize = 10;
