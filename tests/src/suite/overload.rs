//! More than the daemon can take: what has no record is counted, each request once.

use anyhow::{Result, ensure};

use super::{
    Entry, callers, cases,
    client::RunningSender,
    session::{Setup, defects_of_run},
};
use crate::{
    analyzer::{ALONE, Launch},
    compare::{Difference, Outcome, Sender, Silence, compare, settle},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    record::Line,
    send::crowd,
};

/// What a record says whose response, or the end of whose connection, found no room.
const LOST: &[Silence] = &[Silence::Closed, Silence::Deadline, Silence::Unknown];

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone: callers_that_find_no_room_are_counted]
}

/// While the daemon does not run, callers flood a ring buffer that has room for a few
/// dozens of them. Each sends its request at once, so a chunk is a request.
fn callers_that_find_no_room_are_counted(setup: &Setup, name: &'static str) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let analyzer = Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output: None,
        settings: "ring_buffer_bytes = 262144",
        verbose: false,
    }
    .start(|_| {})?;
    let paused = analyzer.pause()?;
    let mut sender = RunningSender::start(&netns, "small_crowd", name, (IMDS_V4, 80).into())?;
    sender.await_line_within("done", callers::CROWD_TAKES)?;
    let count = usize::try_from(crowd::FEW_CALLERS)?;
    let entries = mock.log().of_case(name);
    ensure!(
        entries.len() == count,
        "the mock got {} requests of {count}",
        entries.len()
    );
    drop(paused);
    let sight = analyzer.sight();
    let finished = analyzer.stop()?;

    let mut records = Vec::new();
    let mut lost = 0;
    for line in &finished.records {
        let value: serde_json::Value = serde_json::from_slice(line)?;
        match value["cause"].as_str() {
            Some("ring_full") => lost += value["count"].as_u64().unwrap_or(0),
            // Of requests that have a record, which then says nothing of the outcome.
            Some("response_ring_full") => {}
            // Without a witness it counts sends to anywhere.
            Some("recursion_misses") if setup.backend.ends_with(ALONE) => {}
            Some(cause) => anyhow::bail!("lost by {cause}: {value}"),
            None => records.extend(
                Line::new(line.clone())
                    .request()
                    .map_err(anyhow::Error::msg)?,
            ),
        }
    }
    let mut problems = defects_of_run(&finished);
    let mut expected = callers::expected_of(&entries, &sender, |caller| Sender {
        may_lack_facts: true,
        ..caller
    })?;
    for one in &mut expected {
        one.outcome = Outcome::AsAnsweredOr(LOST);
    }
    settle(&mut expected, mock.log(), sight);
    let differences = compare(&expected, &records);
    let missing = |one: &&Difference| matches!(one, Difference::Missing(_));
    let missed = differences.iter().filter(missing).count();
    let wrong = differences.iter().filter(|one| !missing(one));
    problems.extend(wrong.map(ToString::to_string));
    ensure!(problems.is_empty(), "{}", problems.join("\n    "));
    ensure!(
        missed > 0 && missed < count,
        "{missed} of {count} requests have no record"
    );
    ensure!(
        u64::try_from(missed)? == lost,
        "{missed} of {count} requests have no record, and {lost} losses were counted"
    );
    sender.finish()
}
