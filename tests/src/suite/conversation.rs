//! Long and interrupted conversations.

use anyhow::Result;

use super::{Entry, cases, session::Case};
use crate::compare::{Cause, Expected, Outcome, Sender, Silence, Version};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        hundreds_of_requests_on_one_connection_are_each_recorded,
        body_behind_100_continue_is_skipped,
        token_header_in_a_body_is_v1,
        one_byte_at_a_time_with_pauses_is_understood,
        request_to_a_server_that_has_closed_is_recorded_once,
        head_of_a_killed_process_is_unknown,
        replies_to_the_imds_address_are_no_record,
    ]
}

fn hundreds_of_requests_on_one_connection_are_each_recorded(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("hundreds_on_one_connection", 400)
}

fn body_behind_100_continue_is_skipped(case: &mut Case<'_>) -> Result<()> {
    case.sends("expect_continue", 5)
}

fn token_header_in_a_body_is_v1(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("header_name_in_body")?;
    sender.await_line("done")?;
    let expected = case.of_sender(&sender, 5)?;
    for one in &expected {
        anyhow::ensure!(one.version == Version::V1, "the mock calls it {one}");
    }
    case.verify(&expected)?;
    sender.finish()
}

fn one_byte_at_a_time_with_pauses_is_understood(case: &mut Case<'_>) -> Result<()> {
    case.sends("one_byte_at_a_time_with_pauses", 2)
}

/// The mock cannot know the second one: it left, and nobody was there any more. The
/// sender tells that the kernel took it.
fn request_to_a_server_that_has_closed_is_recorded_once(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("server_has_closed")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    let second = sender.fact("sent")?;
    expected.push(Expected {
        method: Some("GET".into()),
        target: Some(format!("/latest/meta-data/ami-id?case={}&n={second}", case.name).into()),
        loose_target: false,
        version: Version::V2(None),
        sender: sender.sender_of(second),
        seq: None,
        outcome: Outcome::AsAnsweredOr(&[Silence::Closed]),
        cause: Cause::default(),
    });
    case.verify(&expected)?;
    sender.finish()
}

fn head_of_a_killed_process_is_unknown(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("killed_in_a_head")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    let killed = Sender {
        pid: u32::try_from(sender.fact("killed")?)?,
        lingers: false,
        ..sender.sender_of(0)
    };
    expected.push(Expected::unknown(killed, &["incomplete_head"]));
    case.verify(&expected)?;
    sender.finish()
}

fn replies_to_the_imds_address_are_no_record(case: &mut Case<'_>) -> Result<()> {
    case.sends("from_the_imds_address", 2)
}
