//! SDKs in a container: the host forwards their packets, and IMDS sends tokens in packets
//! that go one hop only. The real thing, where other cases have a mock that is silent.

use anyhow::Result;

use super::{
    Step, credentials, held::HeldClient, node, python, run_until, script::ScriptFile,
    token_request, v1,
};
use crate::{
    mock::{Mock, imds::TokenAnswer},
    netns::Routed,
    suite::{
        Entry, cases,
        session::{Case, Session, Setup},
    },
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        botocore_two_hops_away_has_its_token_unanswered,
        js_sdk_two_hops_away_has_its_tokens_unanswered,
    ]
}

fn botocore_two_hops_away_has_its_token_unanswered(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let script = python::botocore_script()?;
    two_hops_away(
        setup,
        name,
        &script,
        |case, script| python::botocore(case, script, python::SHORT),
        &python::credentials_after_a_token_request(v1),
    )
}

fn js_sdk_two_hops_away_has_its_tokens_unanswered(setup: &Setup, name: &'static str) -> Result<()> {
    let script = node::sdk_script()?;
    let [list, role] = credentials(v1);
    two_hops_away(
        setup,
        name,
        &script,
        |case, script| node::sdk(case, script, "credentials", node::SHORT, &[]),
        &node::in_every_call([token_request(), list, role]),
    )
}

/// Runs a client behind a router. That its v1 requests have the cause `token_unanswered` is
/// a part of the comparison: the mock counts what did not arrive as no answer.
fn two_hops_away(
    setup: &Setup,
    name: &'static str,
    script: &ScriptFile,
    start: impl FnOnce(&Case<'_>, &ScriptFile) -> Result<HeldClient>,
    steps: &[Step],
) -> Result<()> {
    let Routed { client, server } = Routed::new()?;
    let mock = Mock::start(&server)?;
    let _until_the_end = mock.imds().answer_tokens(TokenAnswer::WithinOneHop);
    let mut session = Session::around(setup, client, mock.clone())?;
    let mut case = session.case(name);
    let running = start(&case, script)?;
    run_until(&mut case, running, "done", steps)?;
    session.stop().map(drop)
}
