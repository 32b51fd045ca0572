//! What is lost is counted by cause, and what only looked like it is not.
//!
//! No honest sender makes the other causes: `stream_table_full` needs a table to
//! refuse that makes room itself, `send_table_full` more than four thousand threads
//! that wait in one send each, `recursion_misses` a preemption at the right
//! instruction. `ring_full` has its case in [`super::lifecycle`].

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    session::{Case, Session, Setup},
};
use crate::{analyzer::Finished, compare::Expected};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    // A loss that is none would be told in these or in the next.
    let shared = cases![Shared:
        memory_gone_when_the_send_returns_is_seen_on_the_wire,
        ends_that_a_kretprobe_missed_are_seen_on_the_wire,
    ];
    let alone = cases![Alone:
        memory_gone_without_a_witness_is_counted,
        pages_without_a_witness_are_counted,
        ends_that_a_kretprobe_missed_are_counted,
    ];
    shared.into_iter().chain(alone)
}

/// Losses by cause. What the kernel skipped a hook for may have gone anywhere, so it
/// is nobody's here.
fn losses(finished: &Finished) -> Result<BTreeMap<String, u64>> {
    let mut losses = BTreeMap::new();
    for line in &finished.records {
        let value: serde_json::Value = serde_json::from_slice(line)?;
        if value["event"] == "capture_loss" {
            let cause = value["cause"].as_str().unwrap_or_default().to_owned();
            *losses.entry(cause).or_default() += value["count"].as_u64().unwrap_or(0);
        }
    }
    losses.remove("recursion_misses");
    Ok(losses)
}

fn memory_gone_when_the_send_returns_is_seen_on_the_wire(case: &mut Case<'_>) -> Result<()> {
    case.sends("memory_gone", 2)
}

fn memory_gone_without_a_witness_is_counted(setup: &Setup, name: &'static str) -> Result<()> {
    // One piece of each of two requests.
    unknown_and_counted(setup, name, "memory_gone", 2, &["unreadable"], 2)
}

fn pages_without_a_witness_are_counted(setup: &Setup, name: &'static str) -> Result<()> {
    // Two requests on one connection, of which not a byte was read: one region.
    unknown_and_counted(
        setup,
        name,
        "ring_fixed_buffer",
        1,
        &["unsupported_iterator"],
        2,
    )
}

/// A scenario of two requests leaves records that say `unknown`, and a count.
fn unknown_and_counted(
    setup: &Setup,
    name: &'static str,
    scenario: &str,
    records: usize,
    causes: &'static [&'static str; 1],
    count: u64,
) -> Result<()> {
    let mut session = Session::start(setup)?;
    let mut case = session.case(name);
    case.loses = causes;
    let mut sender = case.start(scenario)?;
    sender.await_line("done")?;
    case.entries(2)?;
    let expected = vec![Expected::unknown(sender.sender_of(1), &["bytes_missing"]); records];
    case.verify(&expected)?;
    sender.finish()?;
    let losses = losses(&session.stop()?)?;
    ensure!(
        losses == BTreeMap::from([(causes[0].to_owned(), count)]),
        "lost: {losses:?}, not {count} of {causes:?}"
    );
    Ok(())
}

/// Sends of a body that no end was reported of: both requests are still read.
fn missed_ends(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("many_blocked_threads")?;
    sender.await_line("blocked")?;
    case.session.mock.release(&format!("{}-1", case.name));
    sender.proceed()?;
    sender.await_line("done")?;
    let expected = case.of_sender(&sender, 2)?;
    case.verify(&expected)?;
    sender.finish()
}

fn ends_that_a_kretprobe_missed_are_seen_on_the_wire(case: &mut Case<'_>) -> Result<()> {
    missed_ends(case)
}

fn ends_that_a_kretprobe_missed_are_counted(setup: &Setup, name: &'static str) -> Result<()> {
    let mut session = Session::start(setup)?;
    let mut case = session.case(name);
    case.loses = &["exit_missed"];
    missed_ends(&mut case)?;
    let losses = losses(&session.stop()?)?;
    let missed = losses.get("exit_missed").copied().unwrap_or(0);
    ensure!(missed > 0 && losses.len() == 1, "lost: {losses:?}");
    Ok(())
}
