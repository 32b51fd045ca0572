//! wget.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use super::{expect_from, installed::program, url, with_secret_args};
use crate::{
    mock::access_log::TOKEN_HEADER,
    netns::IMDS_V4,
    suite::{Entry, cases, client::run_client, session::Case},
};

/// No configuration file, no progress, the answer on standard output.
const QUIET: [&str; 4] = ["--no-config", "-q", "-O", "-"];

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared: wget_is_captured]
}

fn wget_is_captured(case: &mut Case<'_>) -> Result<()> {
    let program = program("wget")?;
    let netns = &case.session.netns;
    let wget = |more: &[&str]| {
        let arguments: Vec<&str> = QUIET.iter().chain(more).copied().collect();
        run_client(netns, &program, &arguments)
    };
    let put = wget(&[
        "--method=PUT",
        "--header=X-aws-ec2-metadata-token-ttl-seconds: 60",
        &format!("--header=X-Case: {}/1", case.name),
        &format!("http://{IMDS_V4}/latest/api/token"),
    ])?;
    let token = String::from_utf8(put.output.clone())?;
    ensure!(token.len() == 56, "the mock gave no token");
    let v1 = wget(&[&url(case.name, 2)])?;
    let header = format!("--header={TOKEN_HEADER}: {token}");
    let v2 = wget(&[&header, &url(case.name, 3)])?;
    let senders = HashMap::from([(1, put.sender), (2, v1.sender), (3, with_secret_args(v2))]);
    let expected = expect_from(case, &senders, 3)?;
    case.verify(&expected)
}
