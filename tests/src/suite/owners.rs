//! Who is named as the sender.

use anyhow::{Result, ensure};

use super::{Entry, cases, session::Case};
use crate::{
    compare::{Expected, Outcome, Sender, Silence},
    send::OTHER_USER,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        child_sending_on_its_parents_socket_is_named,
        process_that_was_passed_the_socket_is_named,
        sending_thread_is_named_with_its_process,
        caller_that_exits_at_once_has_name_and_pid,
        user_is_the_one_at_the_send,
    ]
}

fn child_sending_on_its_parents_socket_is_named(case: &mut Case<'_>) -> Result<()> {
    case.sends("child_on_parents_socket", 3)
}

fn process_that_was_passed_the_socket_is_named(case: &mut Case<'_>) -> Result<()> {
    case.sends("passed_socket", 2)
}

fn sending_thread_is_named_with_its_process(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("thread_sends")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 2)?;
    let main_thread = sender.sender_of(1).pid;
    for one in &mut expected {
        one.sender.tid.get_or_insert(main_thread);
    }
    let tids: Vec<_> = expected.iter().map(|one| one.sender.tid).collect();
    ensure!(tids[0] != tids[1], "both requests come from one thread");
    case.verify(&expected)?;
    sender.finish()
}

fn caller_that_exits_at_once_has_name_and_pid(case: &mut Case<'_>) -> Result<()> {
    let sender = case.start("exits_at_once")?;
    // Gone before the analyzer's records are even looked for.
    let gone = Sender {
        lingers: false,
        ..sender.sender_of(1)
    };
    sender.finish()?;
    let mut expected = Vec::new();
    for entry in case.entries(1)? {
        expected.push(Expected {
            // It may be gone when the answer comes.
            outcome: Outcome::AsAnsweredOr(&[Silence::Closed]),
            ..Expected::from_entry(&entry, gone.clone())
        });
    }
    case.verify(&expected)
}

fn user_is_the_one_at_the_send(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("other_user")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 2)?;
    expected[1].sender.uid = OTHER_USER;
    case.verify(&expected)?;
    sender.finish()
}
