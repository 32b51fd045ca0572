//! Connections of every kind, and what looks like one to IMDS but isn't.

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    session::{Case, Session, Setup},
};
use crate::{
    compare::{Expected, Known, Version},
    mock::Mock,
    netns::{IMDS_V4, IMDS_V6, Netns},
    suite::client::RunningSender,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    let shared = cases![Shared:
        mapped_ipv4_address_is_captured,
        ipv6_address_is_captured,
        tcp_fast_open_is_captured,
        multipath_tcp_is_captured,
        port_reused_at_once_starts_afresh,
        two_sockets_written_alternately_are_kept_apart,
        what_is_not_imds_is_no_record,
        another_namespace_is_not_watched,
    ];
    let alone = cases![Alone:
        connection_older_than_the_analyzer_starts_unknown,
        head_begun_before_the_analyzer_is_unknown,
    ];
    shared.into_iter().chain(alone)
}

fn mapped_ipv4_address_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("mapped_address", 2)
}

fn ipv6_address_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("ipv6", 2)?;
    for entry in case.entries(2)? {
        ensure!(entry.local == IMDS_V6, "came to {}", entry.local);
    }
    Ok(())
}

fn tcp_fast_open_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("fast_open", 6)
}

fn multipath_tcp_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("multipath", 2)
}

fn port_reused_at_once_starts_afresh(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("port_reused_at_once")?;
    sender.await_line("done")?;
    let rounds = usize::try_from(sender.fact("rounds")?)?;
    let mut expected = case.of_sender(&sender, rounds)?;
    let ports: Vec<_> = case
        .entries(rounds)?
        .iter()
        .map(|e| e.peer.port())
        .collect();
    ensure!(
        ports.iter().all(|port| *port == ports[0]),
        "the port was not reused: {ports:?}"
    );
    // Each connection ended in the middle of a head.
    expected.extend(vec![
        Expected::unknown(
            sender.sender_of(0),
            &["incomplete_head"]
        );
        rounds
    ]);
    case.verify(&expected)?;
    sender.finish()
}

fn two_sockets_written_alternately_are_kept_apart(case: &mut Case<'_>) -> Result<()> {
    case.sends("two_sockets_alternately", 2)
}

fn what_is_not_imds_is_no_record(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("not_imds")?;
    sender.await_line("done")?;
    case.entries(2)?;
    case.verify(&[])?;
    sender.finish()
}

fn another_namespace_is_not_watched(case: &mut Case<'_>) -> Result<()> {
    let other = Netns::new()?;
    let mock = Mock::start(&other)?;
    let mut sender = RunningSender::start(&other, "plain_v1", case.name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    ensure!(
        mock.log().of_case(case.name).len() == 1,
        "the other namespace's mock got nothing"
    );
    case.verify(&[])?;
    sender.finish()
}

fn connection_older_than_the_analyzer_starts_unknown(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    older_than_the_analyzer(setup, name, "connected_before", |expected| {
        // Number 1 was over before anybody watched.
        expected.remove(0);
        expected[0].version = Version::Unknown(&["started_mid_stream"]);
        expected[0].loose_target = true;
    })
}

fn head_begun_before_the_analyzer_is_unknown(setup: &Setup, name: &'static str) -> Result<()> {
    older_than_the_analyzer(setup, name, "head_begun_before", |expected| {
        expected[0].version = Version::Unknown(&["started_mid_stream"]);
        expected[0].loose_target = true;
        // Whether number 2 begins a request or goes on with one can't be known.
        expected[1].version = Version::RightOrUnknown(Known::V1);
        expected[1].loose_target = true;
    })
}

fn older_than_the_analyzer(
    setup: &Setup,
    name: &'static str,
    scenario: &str,
    adjust: impl Fn(&mut Vec<Expected>),
) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let mut sender = RunningSender::start(&netns, scenario, name, (IMDS_V4, 80).into())?;
    sender.await_line("connected")?;
    let mut session = Session::around(setup, netns, mock)?;
    sender.proceed()?;
    sender.await_line("done")?;
    let mut case = session.case(name);
    let mut expected = case.of_sender(&sender, 4)?;
    adjust(&mut expected);
    case.verify(&expected)?;
    sender.finish()?;
    session.stop()?;
    Ok(())
}
