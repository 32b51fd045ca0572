//! Python: what comes with it, requests, and botocore, below the AWS CLI and boto3.

use anyhow::Result;

use super::{
    AMI_ID, Step, both_versions, credentials,
    held::HeldClient,
    installed::{find_python, part},
    run, run_without_tokens,
    script::{ScriptFile, script_file},
    step, token_request, v1, v2,
};
use crate::{
    mock::imds::TokenAnswer,
    suite::{Entry, cases, session::Case},
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        python_http_client_is_captured,
        python_urllib_is_captured,
        python_requests_is_captured,
        botocore_gets_credentials_with_a_token,
        botocore_whose_token_is_refused_falls_back_to_v1,
        botocore_whose_token_never_comes_falls_back_to_v1,
    ]
}

/// Starts a script. Only `libraries` brings packages: without those of the system,
/// Python starts several times faster under emulation.
fn start(
    case: &Case<'_>,
    script: &ScriptFile,
    arguments: &[&str],
    libraries: bool,
) -> Result<HeldClient> {
    let python = find_python()?;
    let path = script.path.to_string_lossy();
    let mut words = vec!["-S", &*path];
    words.extend(arguments);
    let packages = if libraries {
        let packages = part(&case.session.setup().clients, "python")?;
        Some(packages.to_string_lossy().into_owned())
    } else {
        None
    };
    // Root's bytecode in `target/clients` could not be cleared by who set it up.
    let mut environment = vec![("PYTHONDONTWRITEBYTECODE", "1")];
    environment.extend(
        packages
            .iter()
            .map(|packages| ("PYTHONPATH", packages.as_str())),
    );
    HeldClient::start(&case.session.netns, &python, &words, &environment)
}

fn python_http_client_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.py", include_str!("../clients/http_client.py"))?;
    let client = start(case, &script, &[case.name], false)?;
    let mut steps = both_versions();
    steps.extend([step("POST", AMI_ID, false), step("POST", AMI_ID, true)]);
    run(case, client, &steps)
}

fn python_urllib_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.py", include_str!("../clients/urllib_client.py"))?;
    let client = start(case, &script, &[case.name], false)?;
    run(case, client, &both_versions())
}

fn python_requests_is_captured(case: &mut Case<'_>) -> Result<()> {
    let script = script_file("client.py", include_str!("../clients/requests_client.py"))?;
    let client = start(case, &script, &[case.name], true)?;
    let mut steps = both_versions();
    // Once more in a session, which keeps its connection.
    steps.extend([v1(AMI_ID), v2(AMI_ID)]);
    run(case, client, &steps)
}

/// Seconds that botocore waits for an answer that comes, and for one that doesn't.
const LONG: &str = "60";
pub(super) const SHORT: &str = "5";

pub(super) fn botocore(case: &Case<'_>, script: &ScriptFile, timeout: &str) -> Result<HeldClient> {
    start(case, script, &[timeout], true)
}

pub(super) fn botocore_script() -> Result<ScriptFile> {
    script_file("client.py", include_str!("../clients/botocore_client.py"))
}

fn botocore_gets_credentials_with_a_token(case: &mut Case<'_>) -> Result<()> {
    let script = botocore_script()?;
    let client = botocore(case, &script, LONG)?;
    run(case, client, &credentials_after_a_token_request(v2))
}

fn botocore_whose_token_is_refused_falls_back_to_v1(case: &mut Case<'_>) -> Result<()> {
    let script = botocore_script()?;
    run_without_tokens(
        case,
        TokenAnswer::Refuse(403),
        |case| botocore(case, &script, LONG),
        "done",
        &credentials_after_a_token_request(v1),
    )
}

/// What a container behind a hop limit of 1 does.
fn botocore_whose_token_never_comes_falls_back_to_v1(case: &mut Case<'_>) -> Result<()> {
    let script = botocore_script()?;
    run_without_tokens(
        case,
        TokenAnswer::Never,
        |case| botocore(case, &script, SHORT),
        "done",
        &credentials_after_a_token_request(v1),
    )
}

pub(super) fn credentials_after_a_token_request(request: fn(&str) -> Step) -> Vec<Step> {
    let mut steps = vec![token_request()];
    steps.extend(credentials(request));
    steps
}
