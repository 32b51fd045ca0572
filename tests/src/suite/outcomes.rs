//! What requests are answered: every status, none, and nothing but that out of the
//! kernel. That each record of every other case has the status that the mock answered is
//! a part of their comparison.

use anyhow::{Result, ensure};

use super::{
    Entry,
    case::is_fence,
    cases,
    session::{Case, Session, Setup},
};
use crate::{
    canary,
    compare::{Expected, Outcome, Sight, Silence},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    record::Line,
    ring_memory::RingMemory,
    suite::client::RunningSender,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    let shared = cases![Shared:
        refusals_are_told,
        statuses_on_one_connection_are_each_told,
        status_line_in_single_bytes_is_read,
        answers_in_one_segment_are_told_apart,
        interim_responses_are_no_outcome,
        body_that_looks_like_a_response_is_none,
        chunks_that_look_like_responses_are_none,
        body_until_close_is_none,
        answers_with_bare_line_feeds_are_understood,
        response_heads_of_20_kib_have_a_status,
        responses_without_bodies_are_followed,
        responses_to_head_are_followed,
        http_1_0_is_answered,
        pipeline_of_sixty_has_no_wrong_status,
        request_whose_client_gives_up_has_no_response,
        reset_is_no_response,
        close_by_the_server_is_no_response,
        response_that_nobody_reads_has_come,
        rejected_v1_is_marked,
        latency_and_server_are_told,
        nothing_else_of_a_response_leaves_the_kernel,
    ];
    let alone = cases![Alone:
        request_that_waits_at_sigterm_is_recorded,
    ];
    shared.into_iter().chain(alone)
}

/// Those that take as long as the deadline of a shared session, which is no kernel's.
pub(super) fn cases_that_wait() -> impl IntoIterator<Item = Entry> {
    cases![Shared: request_without_a_response_waits_for_the_deadline]
}

fn refusals_are_told(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("refused", 10)
}

fn statuses_on_one_connection_are_each_told(case: &mut Case<'_>) -> Result<()> {
    case.sends_many("statuses_in_turn", 20)
}

fn status_line_in_single_bytes_is_read(case: &mut Case<'_>) -> Result<()> {
    case.sends("bytewise_statuses", 3)
}

fn answers_in_one_segment_are_told_apart(case: &mut Case<'_>) -> Result<()> {
    case.sends("answers_in_one_segment", 5)
}

fn interim_responses_are_no_outcome(case: &mut Case<'_>) -> Result<()> {
    case.sends("behind_interim_responses", 3)
}

fn body_that_looks_like_a_response_is_none(case: &mut Case<'_>) -> Result<()> {
    case.sends("bodies_like_responses", 4)
}

fn chunks_that_look_like_responses_are_none(case: &mut Case<'_>) -> Result<()> {
    case.sends("chunked_bodies_like_responses", 4)
}

fn body_until_close_is_none(case: &mut Case<'_>) -> Result<()> {
    case.sends("body_until_close", 2)
}

fn answers_with_bare_line_feeds_are_understood(case: &mut Case<'_>) -> Result<()> {
    case.sends("answers_with_bare_line_feeds", 3)
}

fn response_heads_of_20_kib_have_a_status(case: &mut Case<'_>) -> Result<()> {
    case.sends("long_response_heads", 4)
}

fn responses_without_bodies_are_followed(case: &mut Case<'_>) -> Result<()> {
    case.sends("without_bodies", 6)
}

fn responses_to_head_are_followed(case: &mut Case<'_>) -> Result<()> {
    case.sends("head_requests", 6)
}

fn http_1_0_is_answered(case: &mut Case<'_>) -> Result<()> {
    case.sends("answers_to_http_1_0", 5)
}

/// So many answers in few packets are more than a packet is read of.
fn pipeline_of_sixty_has_no_wrong_status(case: &mut Case<'_>) -> Result<()> {
    each_or(case, "many_pipelined", &[Silence::Unknown])
}

/// As [`Case::sends_many`], of requests that may have no status for these reasons.
fn each_or(case: &mut Case<'_>, scenario: &str, these: &'static [Silence]) -> Result<()> {
    let mut sender = case.start(scenario)?;
    sender.await_line("done")?;
    let count = usize::try_from(sender.fact("requests")?)?;
    let mut expected = case.of_sender(&sender, count)?;
    for one in &mut expected {
        one.outcome = Outcome::AsAnsweredOr(these);
    }
    case.verify(&expected)?;
    sender.finish()
}

fn request_without_a_response_waits_for_the_deadline(case: &mut Case<'_>) -> Result<()> {
    one_unanswered(case, "stalled", 2, 2, Silence::Deadline)
}

fn request_whose_client_gives_up_has_no_response(case: &mut Case<'_>) -> Result<()> {
    one_unanswered(case, "stalled_then_closed", 3, 2, Silence::Closed)
}

fn reset_is_no_response(case: &mut Case<'_>) -> Result<()> {
    one_unanswered(case, "reset_unanswered", 2, 2, Silence::Closed)
}

fn close_by_the_server_is_no_response(case: &mut Case<'_>) -> Result<()> {
    one_unanswered(case, "closed_unanswered", 2, 2, Silence::Closed)
}

/// Of `count` requests, the one with that `number` has no response, for this reason.
fn one_unanswered(
    case: &mut Case<'_>,
    scenario: &str,
    count: usize,
    number: u64,
    why: Silence,
) -> Result<()> {
    let why: &'static [Silence] = match why {
        Silence::Closed => &[Silence::Closed],
        Silence::Deadline => &[Silence::Deadline],
        Silence::Unknown => &[Silence::Unknown],
    };
    let mut sender = case.start(scenario)?;
    sender.await_line("done")?;
    let entries = case.entries(count)?;
    let expected: Vec<Expected> = entries
        .iter()
        .map(|entry| {
            let at = entry.id.as_ref().map_or(0, |id| id.number);
            let expected = Expected::from_entry(entry, sender.sender_of(at));
            let outcome = if at == number {
                Outcome::AsAnsweredOr(why)
            } else {
                Outcome::AsAnswered
            };
            Expected {
                outcome,
                ..expected
            }
        })
        .collect();
    case.verify(&expected)?;
    let log = case.session.mock.log();
    let unanswered = expected.iter().filter_map(|one| one.seq);
    let unanswered = unanswered.filter(|seq| log.status(*seq).is_none()).count();
    ensure!(unanswered == 1, "{unanswered} were not answered");
    sender.finish()
}

/// Where only what is read is seen, it is not known that it has.
fn response_that_nobody_reads_has_come(case: &mut Case<'_>) -> Result<()> {
    if case.session.analyzer.sight() == Sight::Arriving {
        return case.sends("not_read", 1);
    }
    let mut sender = case.start("not_read")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    expected[0].outcome = Outcome::Silent(&[Silence::Unknown]);
    case.verify(&expected)?;
    sender.finish()
}

/// That they are is a part of every comparison; here there must be some.
fn rejected_v1_is_marked(case: &mut Case<'_>) -> Result<()> {
    let first = case.session.next_line;
    case.sends_many("refused", 10)?;
    let rejected = case.session.analyzer.stdout().since(first);
    let rejected = rejected
        .into_iter()
        .map(Line::new)
        .filter_map(|line| line.request().ok().flatten())
        .filter(|record| record.rejected)
        .count();
    ensure!(rejected == 1, "{rejected} are marked");
    Ok(())
}

fn latency_and_server_are_told(case: &mut Case<'_>) -> Result<()> {
    let first = case.session.next_line;
    case.sends("plain_v1", 1)?;
    let lines = case.session.analyzer.stdout().since(first);
    let records = lines.into_iter().map(Line::new);
    let records = records.filter_map(|line| line.request().ok().flatten());
    // The fence is read in pieces, so where only what is read is seen it has no server.
    for record in records.filter(|record| !is_fence(record)) {
        ensure!(
            record.latency_us.is_some() && record.server.is_some(),
            "{:?} and {:?} in {record}",
            record.latency_us,
            record.server
        );
    }
    Ok(())
}

/// The ring buffer still holds what was written since, if it is not much.
fn nothing_else_of_a_response_leaves_the_kernel(case: &mut Case<'_>) -> Result<()> {
    let mut requests = 0;
    for scenario in [
        "plain_v1",
        "bytewise_statuses",
        "answers_in_one_segment",
        "bodies_like_responses",
        "chunked_bodies_like_responses",
        "body_until_close",
        "long_response_heads",
    ] {
        let mut sender = case.start(scenario)?;
        sender.await_line("done")?;
        sender.finish()?;
        requests += 1;
    }
    let memory = RingMemory::of(case.session.analyzer.pid())?;
    ensure!(
        memory.count(case.name.as_bytes()) >= requests,
        "the requests themselves are not found in the ring buffer"
    );
    for secret in [
        canary::RESPONSE,
        "Decoy",
        "filling,filling",
        "text/plain",
        "HTTP/1.1 200",
    ] {
        let found = memory.count(secret.as_bytes());
        ensure!(found == 0, "`{secret}` is {found} times in the ring buffer");
    }
    // What was recorded of them is compared by their own cases.
    case.session.fence()?;
    case.session.next_case();
    Ok(())
}

fn request_that_waits_at_sigterm_is_recorded(setup: &Setup, name: &'static str) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let session = Session::around(setup, netns, mock)?;
    let mut sender = RunningSender::start(
        &session.netns,
        "stalled_until_told",
        name,
        (IMDS_V4, 80).into(),
    )?;
    sender.await_line("sent")?;
    ensure!(
        session
            .mock
            .log()
            .wait_for(name, 1, super::session::PATIENCE),
        "the request did not arrive"
    );
    let finished = session.stop()?;
    let records: Vec<_> = finished
        .records
        .into_iter()
        .filter_map(|raw| Line::new(raw).request().ok().flatten())
        .collect();
    let [record] = records.as_slice() else {
        anyhow::bail!("{} records of one request", records.len());
    };
    ensure!(
        record.status.is_none() && record.no_response.is_none(),
        "its outcome cannot be known: {record}"
    );
    sender.proceed()?;
    sender.await_line("done")?;
    sender.finish()
}
