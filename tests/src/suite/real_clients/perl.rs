//! Perl.

use anyhow::Result;

use super::{both_versions, held::HeldClient, installed::program, run, script::script_file};
use crate::suite::{Entry, cases, session::Case};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared: perl_http_tiny_is_captured]
}

fn perl_http_tiny_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.pl", include_str!("../clients/http_tiny.pl"))?;
    let client = HeldClient::start(
        &case.session.netns,
        &program("perl")?,
        &[&script.path.to_string_lossy(), case.name],
        &[],
    )?;
    run(case, client, &both_versions())
}
