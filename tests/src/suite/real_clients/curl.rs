//! curl.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Result, ensure};

use super::{expect_from, installed::program, url, with_secret_args};
use crate::{
    compare::Cause,
    mock::{access_log::TOKEN_HEADER, imds::TokenAnswer},
    netns::{IMDS_V4, IMDS_V6, Netns},
    suite::{
        Entry, cases,
        client::{Ran, run_client},
        session::Case,
    },
};

/// No configuration, no progress, no proxy.
pub(super) const QUIET: [&str; 4] = ["-q", "-s", "--noproxy", "*"];
/// Loops that start a crowd of them.
const LOOPS: usize = 4;

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        curl_without_token_is_v1,
        curl_with_token_is_v2,
        curl_over_ipv6_is_captured,
        curl_after_another_that_was_refused_a_token_has_that_cause,
        curl_with_several_urls_is_a_record_for_each,
    ]
}

/// Runs curl; what it was answered is its output.
fn curl(netns: &Netns, arguments: &[&str]) -> Result<Ran> {
    let arguments: Vec<&str> = QUIET.iter().chain(arguments).copied().collect();
    run_client(netns, &program("curl")?, &arguments)
}

fn curl_without_token_is_v1(case: &mut Case<'_>) -> Result<()> {
    let ran = curl(&case.session.netns, &[&url(case.name, 1)])?;
    let senders = HashMap::from([(1, ran.sender)]);
    let mut expected = expect_from(case, &senders, 1)?;
    // The first curl of the session: no other has asked for a token either.
    expected[0].cause = Cause::Is("never_asked_for_token", None);
    case.verify(&expected)
}

fn curl_with_token_is_v2(case: &mut Case<'_>) -> Result<()> {
    token_and_get(case, &format!("http://{IMDS_V4}"))
}

fn curl_over_ipv6_is_captured(case: &mut Case<'_>) -> Result<()> {
    token_and_get(case, &format!("http://[{IMDS_V6}]"))
}

fn token_and_get(case: &mut Case<'_>, service: &str) -> Result<()> {
    let netns = &case.session.netns;
    let put = ask_for_token(case, service)?;
    let token = String::from_utf8(put.output.clone())?;
    ensure!(token.len() == 56, "the mock gave no token");
    let get = curl(
        netns,
        &[
            "-g",
            "-H",
            &format!("{TOKEN_HEADER}: {token}"),
            &format!("{service}/latest/meta-data/ami-id?case={}&n=2", case.name),
        ],
    )?;
    let senders = HashMap::from([(1, put.sender), (2, with_secret_args(get))]);
    let expected = expect_from(case, &senders, 2)?;
    case.verify(&expected)
}

/// Runs curl for a token, as request 1.
fn ask_for_token(case: &Case<'_>, service: &str) -> Result<Ran> {
    curl(
        &case.session.netns,
        &[
            "-X",
            "PUT",
            "-H",
            "X-aws-ec2-metadata-token-ttl-seconds: 60",
            "-H",
            &format!("X-Case: {}/1", case.name),
            &format!("{service}/latest/api/token"),
        ],
    )
}

/// As scripts do it: one process asks for the token, another sends the request.
fn curl_after_another_that_was_refused_a_token_has_that_cause(case: &mut Case<'_>) -> Result<()> {
    let mock = case.session.mock.clone();
    let _until_the_end = mock.imds().answer_tokens(TokenAnswer::Refuse(403));
    let put = ask_for_token(case, &format!("http://{IMDS_V4}"))?;
    let get = curl(&case.session.netns, &[&url(case.name, 2)])?;
    let senders = HashMap::from([(1, put.sender), (2, get.sender)]);
    let mut expected = expect_from(case, &senders, 2)?;
    expected[1].cause = Cause::Is("token_refused", Some(403));
    case.verify(&expected)
}

fn curl_with_several_urls_is_a_record_for_each(case: &mut Case<'_>) -> Result<()> {
    let urls: Vec<String> = (1..=3).map(|number| url(case.name, number)).collect();
    let ran = curl(&case.session.netns, &[&urls[0], &urls[1], &urls[2]])?;
    let connections: Vec<u64> = case.entries(3)?.iter().map(|e| e.connection).collect();
    ensure!(
        connections.iter().all(|one| *one == connections[0]),
        "curl did not keep its connection: {connections:?}"
    );
    let senders = (1..=3).map(|number| (number, ran.sender.clone())).collect();
    let expected = expect_from(case, &senders, 3)?;
    case.verify(&expected)
}

/// `calls` of curl, every other with a token. Each is a process of its own whose PID
/// this process knows.
pub(super) fn calls_half_v1(case: &mut Case<'_>, calls: u64) -> Result<()> {
    let token = case.session.mock.imds().new_token();
    let header = format!("{TOKEN_HEADER}: {token}");
    let next = AtomicU64::new(1);
    let senders = Mutex::new(HashMap::new());
    let netns = &case.session.netns;
    let name = case.name;
    let call = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > calls {
                return Ok(());
            }
            let url = url(name, number);
            let sender = if number.is_multiple_of(2) {
                with_secret_args(curl(netns, &["-H", &header, &url])?)
            } else {
                curl(netns, &[&url])?.sender
            };
            senders
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(number, sender);
        }
    };
    thread::scope(|scope| {
        let loops: Vec<_> = (0..LOOPS).map(|_| scope.spawn(call)).collect();
        loops
            .into_iter()
            .try_for_each(|one| one.join().expect("calling curl does not panic"))
    })?;
    let senders = senders.into_inner().unwrap_or_else(PoisonError::into_inner);
    let expected = expect_from(case, &senders, usize::try_from(calls)?)?;
    case.verify(&expected)
}
