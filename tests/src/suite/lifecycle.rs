//! Starting and stopping.

use anyhow::{Result, bail, ensure};

use super::{
    Entry, cases,
    client::RunningSender,
    session::{Setup, defects_of_run},
};
use crate::{
    analyzer::Launch,
    compare::{Expected, compare, settle},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    record::Line,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        what_was_sent_before_sigterm_is_in_the_output_file,
        bytes_that_find_no_room_are_counted,
    ]
}

fn what_was_sent_before_sigterm_is_in_the_output_file(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let directory = tempfile::tempdir()?;
    let analyzer = Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output: Some(&directory.path().join("records.jsonl")),
        settings: "",
        verbose: false,
    }
    .start(|_| {})?;
    let mut sender = RunningSender::start(&netns, "plain_v1", name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    let sight = analyzer.sight();
    let finished = analyzer.stop()?;
    let mut expected: Vec<Expected> = mock
        .log()
        .of_case(name)
        .iter()
        .map(|entry| Expected::from_entry(entry, sender.sender_of(1)))
        .collect();
    ensure!(expected.len() == 1, "the mock got {}", expected.len());
    settle(&mut expected, mock.log(), sight);
    let mut records = Vec::new();
    for line in &finished.records {
        records.extend(
            Line::new(line.clone())
                .request()
                .map_err(anyhow::Error::msg)?,
        );
    }
    let mut problems = defects_of_run(&finished);
    problems.extend(compare(&expected, &records).iter().map(ToString::to_string));
    ensure!(problems.is_empty(), "{}", problems.join("\n    "));
    sender.finish()
}

/// A chunk of 16 KiB never fits a ring buffer of 8 KiB; a short request does.
fn bytes_that_find_no_room_are_counted(setup: &Setup, name: &'static str) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let analyzer = Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output: None,
        settings: "ring_buffer_bytes = 8192",
        verbose: false,
    }
    .start(|_| {})?;
    let imds = (IMDS_V4, 80).into();
    let mut too_long = RunningSender::start(&netns, "head_16k_in_one_send", name, imds)?;
    too_long.await_line("done")?;
    too_long.finish()?;
    let mut short = RunningSender::start(&netns, "plain_v1", name, imds)?;
    short.await_line("done")?;
    let sight = analyzer.sight();
    let finished = analyzer.stop()?;

    let mut sent = Vec::new();
    let (mut lost, mut unknown) = (0, 0);
    for line in &finished.records {
        let value: serde_json::Value = serde_json::from_slice(line)?;
        if value["event"] == "capture_loss" {
            ensure!(value["cause"] == "ring_full", "an odd cause in {value}");
            lost += value["count"].as_u64().unwrap_or(0);
        } else if value["imds"]["version"] == "unknown" {
            unknown += 1;
        } else {
            let request = Line::new(line.clone()).request();
            sent.extend(request.map_err(anyhow::Error::msg)?);
        }
    }
    // The wire and the end of the send may both have tried.
    ensure!(
        (1..=2).contains(&lost),
        "{lost} losses were counted for one chunk"
    );
    // The long head, and the request behind it on the same connection, whose
    // beginning is not certain then.
    ensure!(unknown == 2, "{unknown} unknown records for both");
    let entries = mock.log().of_case(name);
    let [_, _, last] = entries.as_slice() else {
        bail!("the mock got {} requests, not 3", entries.len());
    };
    let mut expected = [Expected::from_entry(last, short.sender_of(1))];
    settle(&mut expected, mock.log(), sight);
    let problems: Vec<String> = compare(&expected, &sent)
        .iter()
        .map(ToString::to_string)
        .collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n    "));
    short.finish()
}
