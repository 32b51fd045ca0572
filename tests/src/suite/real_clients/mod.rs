//! The clients that people really use, each as its makers ship it: one file for each
//! family. `cargo xtask setup` installs them; one that is absent is a case that fails.
//!
//! Their requests carry ids where they can ([`crate::mock::access_log::RequestId`]).
//! The SDKs' cannot: they are told apart by process, method, target and order, and in
//! each case what the access log has got is held against what the client should have
//! sent ([`Step`]) before the records are held against the log.

mod behind_a_router;
mod curl;
mod held;
mod installed;
mod java;
mod node;
mod perl;
mod python;
mod rust;
mod script;
mod shell;
mod wget;

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};

use self::held::HeldClient;
use super::{Entry, Group, cases, client::Ran, session::Case};
use crate::{
    compare::{Expected, Sender},
    mock::{
        access_log,
        imds::{ROLE, TokenAnswer},
    },
    netns::IMDS_V4,
};

pub use self::installed::{find_program, find_python};
pub(super) use self::script::{ScriptFile, script_file};

pub(super) fn cases(group: Group) -> Vec<Entry> {
    let mut cases = Vec::new();
    cases.extend(curl::cases());
    cases.extend(wget::cases());
    cases.extend(shell::cases());
    cases.extend(perl::cases());
    cases.extend(python::cases());
    cases.extend(node::cases());
    cases.extend(java::cases());
    cases.extend(rust::cases());
    cases.extend(behind_a_router::cases());
    // Under emulation a thousand processes take minutes and show nothing more.
    match group {
        Group::All => cases.extend(cases![Shared: thousand_curl_calls_half_v1]),
        _ => cases.extend(cases![Shared: hundred_curl_calls_half_v1]),
    }
    cases
}

fn thousand_curl_calls_half_v1(case: &mut Case<'_>) -> Result<()> {
    curl::calls_half_v1(case, 1_000)
}

fn hundred_curl_calls_half_v1(case: &mut Case<'_>) -> Result<()> {
    curl::calls_half_v1(case, 100)
}

/// A URL with the id of a request.
fn url(case: &str, number: u64) -> String {
    format!("http://{IMDS_V4}/latest/meta-data/ami-id?case={case}&n={number}")
}

/// As [`Case::of_sender`], for clients that this process launched itself.
fn expect_from(
    case: &Case<'_>,
    senders: &HashMap<u64, Sender>,
    count: usize,
) -> Result<Vec<Expected>> {
    case.entries(count)?
        .iter()
        .map(|entry| {
            let number = entry.id.as_ref().map_or(0, |id| id.number);
            let sender = senders
                .get(&number)
                .with_context(|| format!("request {number} comes from nobody"))?;
            Ok(Expected::from_entry(entry, sender.clone()))
        })
        .collect()
}

/// A sender whose arguments hold a secret: how they are shown is up to the redactor.
fn with_secret_args(ran: Ran) -> Sender {
    Sender {
        args: None,
        ..ran.sender
    }
}

/// A request that a client must have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    method: String,
    /// Path without its query, where ids are.
    path: String,
    /// It carried a token.
    token: bool,
}

/// What every client with ids sends: for a token, then without and with it.
const AMI_ID: &str = "/latest/meta-data/ami-id";

fn token_request() -> Step {
    step("PUT", "/latest/api/token", false)
}

fn v1(path: &str) -> Step {
    step("GET", path, false)
}

fn v2(path: &str) -> Step {
    step("GET", path, true)
}

fn step(method: &str, path: &str, token: bool) -> Step {
    Step {
        method: method.to_owned(),
        path: path.to_owned(),
        token,
    }
}

/// A request for a token, one of v1 and one of v2.
fn both_versions() -> Vec<Step> {
    vec![token_request(), v1(AMI_ID), v2(AMI_ID)]
}

/// How SDKs get the credentials of the role: which there is, and then its own.
fn credentials(request: fn(&str) -> Step) -> [Step; 2] {
    let list = "/latest/meta-data/iam/security-credentials/";
    [request(list), request(&format!("{list}{ROLE}"))]
}

/// Runs a client that sends `steps` one after the other, and holds log and records
/// against them.
fn run(case: &mut Case<'_>, client: HeldClient, steps: &[Step]) -> Result<()> {
    run_until(case, client, "done", steps)
}

/// As [`run`], for a client whose last word is another.
fn run_until(
    case: &mut Case<'_>,
    mut client: HeldClient,
    last_word: &str,
    steps: &[Step],
) -> Result<()> {
    let word = client.last_word()?;
    ensure!(
        word == last_word,
        "the client said `{word}`, not `{last_word}`"
    );
    // A client has the answers to all its requests before it says its last word.
    let entries = case.session.requests_since_last_case();
    let sent: Vec<Step> = entries.iter().map(Step::of).collect();
    ensure!(
        sent == steps,
        "the client was to send {steps:?}, but the mock has got {sent:?}"
    );
    let sender = client.sender()?;
    let expected: Vec<Expected> = entries
        .iter()
        .map(|entry| Expected::from_entry(entry, sender.clone()))
        .collect();
    case.verify(&expected)?;
    client.finish()
}

/// As [`run`], while the mock answers requests for tokens otherwise.
fn run_without_tokens(
    case: &mut Case<'_>,
    answer: TokenAnswer,
    start: impl FnOnce(&Case<'_>) -> Result<HeldClient>,
    last_word: &str,
    steps: &[Step],
) -> Result<()> {
    let mock = case.session.mock.clone();
    let _until_the_end = mock.imds().answer_tokens(answer);
    let client = start(case)?;
    run_until(case, client, last_word, steps)
}

impl Step {
    fn of(entry: &access_log::Entry) -> Self {
        let target = String::from_utf8_lossy(&entry.target);
        Self {
            method: entry.method.clone(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            token: entry.had_token && !entry.empty_token,
        }
    }
}
