//! Node: its two clients, and the two IMDS clients of the AWS SDK for JavaScript.

use anyhow::Result;

use super::{
    Step, both_versions, credentials,
    held::HeldClient,
    installed::{part, program},
    run, run_without_tokens,
    script::{ScriptFile, script_file},
    token_request, v1, v2,
};
use crate::{
    mock::imds::TokenAnswer,
    suite::{Entry, cases, session::Case},
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        node_http_is_captured,
        node_fetch_is_captured,
        js_sdk_gets_credentials_with_a_token,
        js_sdk_over_ipv6_is_captured,
        js_sdk_whose_token_is_refused_stays_with_v1,
        js_sdk_whose_token_never_comes_falls_back_each_time,
        js_metadata_service_asks_for_a_token_each_time,
        js_metadata_service_whose_token_is_refused_stays_with_v1,
    ]
}

fn node_http_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.js", include_str!("../clients/node_http.js"))?;
    let client = start(case, &script, &[case.name], &[])?;
    run(case, client, &both_versions())
}

fn node_fetch_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.js", include_str!("../clients/node_fetch.js"))?;
    let client = start(case, &script, &[case.name], &[])?;
    run(case, client, &both_versions())
}

fn start(
    case: &Case<'_>,
    script: &ScriptFile,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<HeldClient> {
    let path = script.path.to_string_lossy();
    let mut words = vec![&*path];
    words.extend(arguments);
    HeldClient::start(&case.session.netns, &program("node")?, &words, environment)
}

/// Milliseconds that the SDK waits for an answer that comes, and for one that doesn't.
const LONG: &str = "60000";
pub(super) const SHORT: &str = "5000";

/// How often the script `aws_sdk.js` lets a client of the SDK do what it is for.
const CALLS: usize = 2;

pub(super) fn sdk(
    case: &Case<'_>,
    script: &ScriptFile,
    client: &str,
    timeout: &str,
    environment: &[(&str, &str)],
) -> Result<HeldClient> {
    let modules = part(&case.session.setup().clients, "node/node_modules")?;
    let modules = modules.to_string_lossy();
    let mut all = vec![("NODE_PATH", &*modules)];
    all.extend(environment);
    start(case, script, &[client, timeout], &all)
}

pub(super) fn sdk_script() -> Result<ScriptFile> {
    script_file("client.js", include_str!("../clients/aws_sdk.js"))
}

/// A token, and with it the name of the role and its credentials; each time anew.
fn credentials_of_every_call() -> Vec<Step> {
    let [list, role] = credentials(v2);
    in_every_call([token_request(), list, role])
}

pub(super) fn in_every_call<const N: usize>(steps: [Step; N]) -> Vec<Step> {
    std::iter::repeat_n(steps, CALLS).flatten().collect()
}

fn js_sdk_gets_credentials_with_a_token(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let client = sdk(case, &script, "credentials", LONG, &[])?;
    run(case, client, &credentials_of_every_call())
}

fn js_sdk_over_ipv6_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let mode = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    let client = sdk(case, &script, "credentials", LONG, &[mode])?;
    run(case, client, &credentials_of_every_call())
}

fn js_sdk_whose_token_is_refused_stays_with_v1(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let mut steps = vec![token_request()];
    steps.extend(in_every_call(credentials(v1)));
    run_without_tokens(
        case,
        TokenAnswer::Refuse(404),
        |case| sdk(case, &script, "credentials", LONG, &[]),
        "done",
        &steps,
    )
}

/// What it does in a container behind a hop limit of 1: it asks again for every call.
fn js_sdk_whose_token_never_comes_falls_back_each_time(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let [list, role] = credentials(v1);
    let steps = in_every_call([token_request(), list, role]);
    run_without_tokens(
        case,
        TokenAnswer::Never,
        |case| sdk(case, &script, "credentials", SHORT, &[]),
        "done",
        &steps,
    )
}

/// The SDK's client for any metadata puts the path that its documentation tells one to
/// give it behind the slash of the service's address.
const DOUBLE_SLASH: &str = "//latest/meta-data/ami-id";

fn js_metadata_service_asks_for_a_token_each_time(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let client = sdk(case, &script, "metadata", LONG, &[])?;
    run(
        case,
        client,
        &in_every_call([token_request(), v2(DOUBLE_SLASH)]),
    )
}

fn js_metadata_service_whose_token_is_refused_stays_with_v1(case: &mut Case<'_>) -> Result<()> {
    let script = sdk_script()?;
    let mut steps = vec![token_request()];
    steps.extend(in_every_call([v1(DOUBLE_SLASH)]));
    run_without_tokens(
        case,
        TokenAnswer::Refuse(405),
        |case| sdk(case, &script, "metadata", LONG, &[]),
        "done",
        &steps,
    )
}
