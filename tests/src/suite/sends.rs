//! The ways in which bytes get into a socket, or fail to.

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    session::{Case, Session, Setup},
};
use crate::{
    compare::{Cause, Expected, Outcome, Sender, Version},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    suite::client::RunningSender,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    let shared = cases![Shared:
        write_is_captured,
        any_count_of_segments_is_one_request,
        thousand_segments_are_one_request,
        sendmmsg_is_a_record_for_each_request,
        page_never_touched_before_is_captured,
        msg_more_pieces_are_one_request,
        corked_pieces_are_one_request,
        request_that_a_timer_sends_has_its_sender,
        zero_copy_sends_are_captured,
        sendfile_is_captured,
        splice_is_captured,
        send_failing_with_epipe_is_no_record,
        send_failing_with_efault_is_no_record,
        bytes_refused_by_a_full_buffer_are_no_record,
        short_write_that_is_continued_is_one_request,
    ];
    let alone = cases![Alone:
        retry_with_other_bytes_after_eagain_is_the_other_bytes,
    ];
    shared.into_iter().chain(alone)
}

fn any_count_of_segments_is_one_request(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("vectors_of_every_count", 128)
}

fn write_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("plain_write", 2)
}

/// More than a hook walks: what it leaves, the wire sees.
fn thousand_segments_are_one_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("more_vectors_than_usual", 2)
}

fn corked_pieces_are_one_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("corked", 2)
}

fn request_that_a_timer_sends_has_its_sender(case: &mut Case<'_>) -> Result<()> {
    case.sends("cork_left_in", 1)
}

fn sendmmsg_is_a_record_for_each_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("several_messages", 3)
}

fn page_never_touched_before_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("untouched_page", 2)
}

fn msg_more_pieces_are_one_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("more_to_come", 2)
}

fn zero_copy_sends_are_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("zero_copy", 2)
}

fn sendfile_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("sendfile", 2)
}

fn splice_is_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("spliced", 2)
}

fn send_failing_with_epipe_is_no_record(case: &mut Case<'_>) -> Result<()> {
    case.sends("broken_pipe", 1)
}

fn send_failing_with_efault_is_no_record(case: &mut Case<'_>) -> Result<()> {
    case.sends("bad_address", 1)
}

fn bytes_refused_by_a_full_buffer_are_no_record(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("full_send_buffer")?;
    sender.await_line("blocked")?;
    case.session.mock.release(&format!("{}-1", case.name));
    sender.proceed()?;
    sender.await_line("done")?;
    let expected = case.of_sender(&sender, 2)?;
    case.verify(&expected)?;
    sender.finish()
}

fn short_write_that_is_continued_is_one_request(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("short_write")?;
    loop {
        let line = sender.next_checkpoint()?;
        let Some(number) = line.strip_prefix("blocked ") else {
            ensure!(line == "done", "the sender says {line}");
            break;
        };
        case.session
            .mock
            .release(&format!("{}-{number}", case.name));
        sender.proceed()?;
    }
    let requests = usize::try_from(sender.fact("requests")?)?;
    let expected = case.of_sender(&sender, requests)?;
    case.verify(&expected)?;
    sender.finish()
}

/// Alone, as nothing may listen at first: a connection has to hang.
fn retry_with_other_bytes_after_eagain_is_the_other_bytes(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let mut session = Session::around(setup, Netns::new()?, Mock::idle())?;
    let mut sender = RunningSender::start(
        &session.netns,
        "still_connecting",
        name,
        (IMDS_V4, 80).into(),
    )?;
    sender.await_line("arrived")?;
    ensure!(sender.fact("arrived")? == 1, "what arrived is not number 1");
    let expected = Expected {
        method: Some("GET".into()),
        target: Some(format!("/latest/meta-data/ami-id?case={name}&n=1").into_bytes()),
        loose_target: false,
        version: Version::V2(None),
        sender: Sender {
            lingers: false,
            ..sender.sender_of(1)
        },
        seq: None,
        outcome: Outcome::default(),
        cause: Cause::default(),
    };
    // The port is free for the mock, and so for the fence, once the sender has gone.
    sender.proceed()?;
    sender.await_line("done")?;
    sender.finish()?;
    session.mock.listen_in(&session.netns)?;
    session.case(name).verify(&[expected])?;
    session.stop().map(drop)
}
