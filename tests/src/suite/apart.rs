//! Client and server apart, joined by a veth pair.

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    client::RunningSender,
    session::{Session, Setup},
};
use crate::{
    compare::{Outcome, Silence},
    mock::Mock,
    netns::{Cable, IMDS_V4, Impairment, Netns},
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        client_in_other_namespaces_is_captured,
        servers_side_of_a_veth_pair_sees_no_request,
        retransmitted_requests_are_recorded_once,
    ]
}

/// Percentages that make retransmissions of every kind within few requests.
const BAD: Impairment = Impairment {
    loss: 15,
    duplicate: 10,
    reorder: 25,
    delay_us: 2000,
};

/// A session on the client's side.
fn clients_side(setup: &Setup) -> Result<(Session, Netns)> {
    let Cable { client, server } = Cable::new()?;
    let mock = Mock::start(&server)?;
    Ok((Session::around(setup, client, mock)?, server))
}

fn client_in_other_namespaces_is_captured(setup: &Setup, name: &'static str) -> Result<()> {
    let (mut session, _server) = clients_side(setup)?;
    session.case(name).sends("other_namespaces", 5)?;
    session.stop().map(drop)
}

/// All that passes there is the server's answers, and packets that arrive.
fn servers_side_of_a_veth_pair_sees_no_request(setup: &Setup, name: &'static str) -> Result<()> {
    let Cable { client, server } = Cable::new()?;
    let mock = Mock::start(&server)?;
    let mut session = Session::around(setup, server, mock)?;
    let mut sender = RunningSender::start(&client, "plain_write", name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    let mut case = session.case(name);
    case.entries(2)?;
    case.verify(&[])?;
    sender.finish()?;
    session.stop().map(drop)
}

fn retransmitted_requests_are_recorded_once(setup: &Setup, name: &'static str) -> Result<()> {
    let (mut session, _server) = clients_side(setup)?;
    session.netns.impair(BAD)?;
    let mut sender = session.case(name).start("retransmitted")?;
    sender.await_line("done")?;
    session.netns.repair()?;
    ensure!(
        sender.fact("retransmissions")? > 0,
        "no segment was sent again"
    );
    let requests = usize::try_from(sender.fact("requests")?)?;
    let mut case = session.case(name);
    let mut expected = case.of_sender(&sender, requests)?;
    for one in &mut expected {
        // An answer that is lost time and again can be later than the deadline.
        one.outcome = Outcome::AsAnsweredOr(&[Silence::Deadline]);
    }
    case.verify(&expected)?;
    sender.finish()?;
    session.stop().map(drop)
}
