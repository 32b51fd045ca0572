//! How requests lie in the byte stream.

use anyhow::Result;

use super::{
    Entry, cases,
    session::{Case, Session, Setup},
};
use crate::compare::{Expected, Version};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        one_byte_at_a_time_is_v2,
        token_header_split_anywhere_is_v2,
        one_line_at_a_time_is_understood,
        three_requests_in_one_send_are_three_records,
        requests_pipelined_across_sends_are_each_recorded,
        body_is_skipped_up_to_the_next_request,
        chunked_body_is_skipped_up_to_the_next_request,
        head_of_16_kib_in_one_send_is_v2,
        head_of_16_kib_in_many_sends_is_v2,
        heads_of_1_to_16_kib_are_read_whole,
        garbage_behind_a_request_is_unknown,
        garbage_is_unknown_not_http,
        tls_is_unknown_not_http,
        head_cut_off_by_close_is_unknown,
    ]
    .into_iter()
    .chain(cases![Alone: head_beyond_the_limit_is_unknown_never_v1])
}

fn one_byte_at_a_time_is_v2(case: &mut Case<'_>) -> Result<()> {
    case.sends("one_byte_at_a_time", 1)
}

fn token_header_split_anywhere_is_v2(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("split_at_every_position", 100)
}

fn one_line_at_a_time_is_understood(case: &mut Case<'_>) -> Result<()> {
    case.sends("one_line_at_a_time", 2)
}

fn three_requests_in_one_send_are_three_records(case: &mut Case<'_>) -> Result<()> {
    case.sends("three_in_one_send", 3)
}

fn requests_pipelined_across_sends_are_each_recorded(case: &mut Case<'_>) -> Result<()> {
    case.sends("pipelined_across_sends", 4)
}

fn body_is_skipped_up_to_the_next_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("body_of_known_length", 5)
}

fn chunked_body_is_skipped_up_to_the_next_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("chunked_body", 4)
}

fn head_of_16_kib_in_one_send_is_v2(case: &mut Case<'_>) -> Result<()> {
    case.sends("head_16k_in_one_send", 2)
}

fn head_of_16_kib_in_many_sends_is_v2(case: &mut Case<'_>) -> Result<()> {
    case.sends("head_16k_in_many_sends", 1)
}

fn heads_of_1_to_16_kib_are_read_whole(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("heads_of_every_kib", 32)
}

fn garbage_behind_a_request_is_unknown(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("garbage_behind_a_request")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    expected.push(Expected::unknown(sender.sender_of(0), &["not_http"]));
    case.verify(&expected)?;
    sender.finish()
}

/// Alone, as nothing else of its connection can be read then.
fn head_beyond_the_limit_is_unknown_never_v1(setup: &Setup, name: &'static str) -> Result<()> {
    let mut session = Session::start(setup)?;
    let mut case = session.case(name);
    let mut sender = case.start("head_beyond_limit")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    for one in &mut expected {
        one.version = Version::Unknown(&["head_too_large"]);
        one.loose_target = true;
    }
    case.verify(&expected)?;
    sender.finish()?;
    session.stop().map(drop)
}

fn unknown_of(
    case: &mut Case<'_>,
    scenario: &str,
    count: usize,
    reasons: &'static [&'static str],
) -> Result<()> {
    let mut sender = case.start(scenario)?;
    sender.await_line("done")?;
    case.entries(0)?;
    let expected = vec![Expected::unknown(sender.sender_of(1), reasons); count];
    case.verify(&expected)?;
    sender.finish()
}

fn garbage_is_unknown_not_http(case: &mut Case<'_>) -> Result<()> {
    unknown_of(case, "garbage", 1, &["not_http"])
}

fn tls_is_unknown_not_http(case: &mut Case<'_>) -> Result<()> {
    unknown_of(case, "tls_hello", 1, &["not_http"])
}

fn head_cut_off_by_close_is_unknown(case: &mut Case<'_>) -> Result<()> {
    unknown_of(case, "cut_off", 2, &["incomplete_head"])
}
