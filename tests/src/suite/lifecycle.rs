//! Starting and stopping.

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    client::RunningSender,
    session::{Setup, defects_of_run},
};
use crate::{
    analyzer::Launch,
    compare::{Expected, compare},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    record::Line,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone: what_was_sent_before_sigterm_is_in_the_output_file]
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
        verbose: false,
    }
    .start(|_| {})?;
    let mut sender = RunningSender::start(&netns, "plain_v1", name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    let finished = analyzer.stop()?;
    let expected: Vec<Expected> = mock
        .log()
        .of_case(name)
        .iter()
        .map(|entry| Expected::from_entry(entry, sender.sender_of(1)))
        .collect();
    ensure!(expected.len() == 1, "the mock got {}", expected.len());
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
