//! The AWS SDK for Rust, which knows no v1.

use anyhow::Result;

use super::{credentials, held::HeldClient, installed::part, run, run_without_tokens, step, v2};
use crate::{
    mock::imds::TokenAnswer,
    suite::{Entry, cases, session::Case},
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        rust_sdk_uses_one_token_for_all,
        rust_sdk_whose_token_is_refused_sends_no_v1,
    ]
}

fn start(case: &Case<'_>) -> Result<HeldClient> {
    let program = part(&case.session.setup().clients, "bin/aws-config-client")?;
    HeldClient::start(&case.session.netns, &program, &[], &[])
}

fn rust_sdk_uses_one_token_for_all(case: &mut Case<'_>) -> Result<()> {
    let client = start(case)?;
    let mut steps = vec![
        super::token_request(),
        v2("/latest/meta-data/instance-id"),
        v2("/latest/meta-data/placement/region"),
    ];
    steps.extend(credentials(v2));
    run(case, client, &steps)
}

fn rust_sdk_whose_token_is_refused_sends_no_v1(case: &mut Case<'_>) -> Result<()> {
    let refused = step("PUT", "/latest/api/token", false);
    run_without_tokens(case, TokenAnswer::Refuse(403), start, "refused", &[refused])
}
