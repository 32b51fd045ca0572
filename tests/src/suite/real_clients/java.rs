//! Java: both of its clients.

use anyhow::Result;

use super::{
    both_versions,
    held::HeldClient,
    installed::{part, program},
    run,
};
use crate::suite::{Entry, cases, session::Case};

/// What starts a virtual machine quickly: an emulated processor takes half a minute
/// with the defaults. None of it changes what is sent.
const QUICK: [&str; 3] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
];

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        java_url_connection_is_captured,
        java_http_client_is_captured,
    ]
}

fn java_url_connection_is_captured(case: &mut Case<'_>) -> Result<()> {
    let client = start(case, "UrlConnectionClient")?;
    run(case, client, &both_versions())
}

fn java_http_client_is_captured(case: &mut Case<'_>) -> Result<()> {
    let client = start(case, "HttpClientClient")?;
    run(case, client, &both_versions())
}

fn start(case: &Case<'_>, class: &str) -> Result<HeldClient> {
    let classes = part(&case.session.setup().clients, "java")?;
    let classes = classes.to_string_lossy();
    let mut words = QUICK.to_vec();
    words.extend(["-cp", &*classes, class, case.name]);
    HeldClient::start(&case.session.netns, &program("java")?, &words, &[])
}
