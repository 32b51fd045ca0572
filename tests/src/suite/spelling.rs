//! Heads that are odd but valid, or nearly so.

use anyhow::Result;

use super::{Entry, cases, session::Case};
use crate::compare::Version;

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        header_name_in_url_or_value_is_v1,
        empty_token_header_is_v2_with_a_reason,
        ttl_header_on_a_get_is_v1,
        header_name_in_any_case_or_without_space_is_v2,
        absolute_form_target_is_kept,
        http_1_0_is_understood,
        bare_line_feeds_are_understood,
        odd_bytes_never_turn_the_version,
        no_bytes_forge_a_record,
    ]
}

fn header_name_in_url_or_value_is_v1(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("header_name_elsewhere")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 5)?;
    for one in &mut expected {
        anyhow::ensure!(one.version == Version::V1, "the mock calls it {one}");
        // A value behind the header's name in a URL may well be taken for a token.
        one.loose_target = true;
    }
    case.verify(&expected)?;
    sender.finish()
}

fn empty_token_header_is_v2_with_a_reason(case: &mut Case<'_>) -> Result<()> {
    case.sends("empty_token", 2)
}

fn ttl_header_on_a_get_is_v1(case: &mut Case<'_>) -> Result<()> {
    case.sends("ttl_on_get", 1)
}

fn header_name_in_any_case_or_without_space_is_v2(case: &mut Case<'_>) -> Result<()> {
    case.sends("header_spellings", 4)
}

fn absolute_form_target_is_kept(case: &mut Case<'_>) -> Result<()> {
    case.sends("absolute_form", 2)
}

fn http_1_0_is_understood(case: &mut Case<'_>) -> Result<()> {
    case.sends("http_1_0", 2)
}

fn bare_line_feeds_are_understood(case: &mut Case<'_>) -> Result<()> {
    case.sends("bare_line_feeds", 2)
}

fn odd_bytes_never_turn_the_version(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("odd_bytes")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 5)?;
    for (one, number) in expected.iter_mut().zip(1..) {
        // What is not UTF-8 is escaped.
        one.loose_target = true;
        match number {
            // A NUL in the target, and in a field's value.
            2 | 4 => one.version = Version::Unknown(&["not_http"]),
            5 => one.version = Version::Unknown(&["malformed_head"]),
            _ => {}
        }
    }
    case.verify(&expected)?;
    sender.finish()
}

fn no_bytes_forge_a_record(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("forging_bytes")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    for one in &mut expected {
        one.loose_target = true;
        // A control byte in a field's value.
        one.version = Version::Unknown(&["malformed_head"]);
    }
    case.verify(&expected)?;
    sender.finish()
}
