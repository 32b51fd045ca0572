//! Callers that are gone, changed or moved before anybody can look: each is named all
//! the same, with everything that it was when it sent.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    Entry, cases,
    client::RunningSender,
    session::{Case, own_program},
};
use crate::{
    compare::{Expected, Outcome, Sender, Silence, Version},
    mock::access_log::{self, id_in_target},
    netns::IMDS_V4,
    send::{changes, crowd},
};

/// The longest that the crowd may take; an emulated machine starts some 50 programs a
/// second.
pub(super) const CROWD_TAKES: Duration = Duration::from_secs(900);

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        callers_that_exit_at_once_are_each_named,
        program_executed_after_the_send_is_not_the_sender,
        orphan_is_below_who_took_it_in,
        sender_below_forty_processes_has_the_nearest_ancestors,
        deleted_executable_is_named_and_marked,
        executable_that_never_had_a_file_is_marked,
        processes_with_one_pid_are_told_apart,
        odd_arguments_are_shown_as_they_are,
        name_that_a_process_gave_itself_is_escaped,
    ]
}

/// The crowd, which takes minutes where programs start slowly.
pub(super) fn crowd_cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared: ten_thousand_callers_that_exit_at_once_are_each_named]
}

fn callers_that_exit_at_once_are_each_named(case: &mut Case<'_>) -> Result<()> {
    callers_are_each_named(case, "small_crowd", crowd::FEW_CALLERS)
}

fn ten_thousand_callers_that_exit_at_once_are_each_named(case: &mut Case<'_>) -> Result<()> {
    ensure!(crowd::CALLERS == 10_000, "the crowd has 10,000 callers");
    callers_are_each_named(case, "crowd", crowd::CALLERS)
}

fn callers_are_each_named(case: &mut Case<'_>, scenario: &str, count: u64) -> Result<()> {
    let mut sender = case.start(scenario)?;
    sender.await_line_within("done", CROWD_TAKES)?;
    let count = usize::try_from(count)?;
    let expected = expected_of(&case.entries(count)?, &sender, |caller| caller)?;
    let versions = expected.iter().filter(|one| one.version == Version::V1);
    ensure!(versions.count() == count / 2, "half of them are v1");
    case.verify(&expected)?;
    sender.finish()
}

/// What must be recorded of the requests of a crowd, of which `of` tells what is known of
/// each caller.
pub(super) fn expected_of(
    entries: &[access_log::Entry],
    sender: &RunningSender,
    of: impl Fn(Sender) -> Sender,
) -> Result<Vec<Expected>> {
    let directory = sender.text("directory")?;
    let directory = Path::new(&directory);
    let above = [
        u32::try_from(sender.fact("launcher")?)?,
        u32::try_from(sender.fact("middle")?)?,
        sender.sender_of(0).pid,
        std::process::id(),
    ];
    let destination = (IMDS_V4, 80).into();
    entries
        .iter()
        .map(|entry| {
            let id = entry.id.as_ref().context("an entry without a number")?;
            let args = crowd::arguments(directory, destination, &id.case, id.number);
            let caller = Sender {
                args: Some(args),
                ..caller(sender, directory, id.number, &above)?
            };
            Ok(of_one_that_is_gone(Expected::from_entry(entry, of(caller))))
        })
        .collect()
}

/// Caller `number` as it was when it sent.
fn caller(sender: &RunningSender, directory: &Path, number: u64, above: &[u32]) -> Result<Sender> {
    let program = crowd::program(directory, number);
    let name = program.file_name().context("a program has a name")?;
    Ok(Sender {
        pid: u32::try_from(sender.fact(&format!("pid.{number}"))?)?,
        name: name.to_string_lossy().into_owned(),
        executable: Some(program.to_string_lossy().into_owned()),
        parent: Some(above[0]),
        above: above.to_vec(),
        lingers: false,
        ..sender.sender_of(number)
    })
}

fn program_executed_after_the_send_is_not_the_sender(case: &mut Case<'_>) -> Result<()> {
    case.sends("exec_after_sending", 1)
}

fn orphan_is_below_who_took_it_in(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("reparented")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    let orphan = &mut expected[0].sender;
    orphan.lingers = false;
    orphan.parent = Some(u32::try_from(sender.fact("parent")?)?);
    orphan.above = Vec::from_iter(orphan.parent);
    ensure!(
        orphan.parent != Some(u32::try_from(sender.fact("gone")?)?),
        "the orphan has its old parent still"
    );
    case.verify(&expected)?;
    sender.finish()
}

fn sender_below_forty_processes_has_the_nearest_ancestors(case: &mut Case<'_>) -> Result<()> {
    ensure!(changes::DEPTH > 32, "deeper than what a record shows");
    let mut sender = case.start("deep")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    let deepest = &mut expected[0].sender;
    (deepest.is_deep, deepest.lingers, deepest.above) = (true, false, Vec::new());
    case.verify(&expected)?;
    sender.finish()
}

fn deleted_executable_is_named_and_marked(case: &mut Case<'_>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let program = directory.path().canonicalize()?.join("updated");
    fs::copy(own_program()?, &program)?;
    let netns = &case.session.netns;
    let destination = case.destination();
    let mut sender =
        RunningSender::start_program(&program, netns, "when_told", case.name, destination)?;
    sender.await_line("started")?;
    fs::remove_file(&program)?;
    sender.proceed()?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    expected[0].sender.executable_state = Some("deleted".to_owned());
    case.verify(&expected)?;
    sender.finish()
}

fn executable_that_never_had_a_file_is_marked(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("in_memory")?;
    sender.await_line("done")?;
    let mut expected = gone(case.of_sender(&sender, 1)?);
    // What the kernel calls a process that it was given a descriptor to run depends on
    // its version, so this one gives itself a name.
    expected[0].sender = Sender {
        name: crowd::CHOSEN_NAME.to_owned(),
        executable: Some("/memfd:payload".to_owned()),
        executable_state: Some("memfd".to_owned()),
        ..odd_caller(&sender, case, 1)?
    };
    case.verify(&expected)?;
    sender.finish()
}

fn processes_with_one_pid_are_told_apart(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("same_pid")?;
    sender.await_line("done")?;
    let directory = sender.text("directory")?;
    let pid = u32::try_from(sender.fact("pid")?)?;
    let entries = case.entries(usize::try_from(changes::SAME_PID)?)?;
    let expected = entries
        .iter()
        .map(|entry| {
            let number = entry
                .id
                .as_ref()
                .context("an entry without a number")?
                .number;
            let directory = Path::new(&directory);
            let args = crowd::arguments(directory, case.destination(), case.name, number);
            let caller = Sender {
                pid,
                args: Some(args),
                ..described(&sender, &crowd::program(directory, number))?
            };
            Ok(of_one_that_is_gone(Expected::from_entry(entry, caller)))
        })
        .collect::<Result<Vec<_>>>()?;
    case.verify(&expected)?;
    sender.finish()
}

fn odd_arguments_are_shown_as_they_are(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("odd_arguments")?;
    sender.await_line("done")?;
    let mut expected = gone(case.of_sender(&sender, 3)?);
    for one in &mut expected {
        let number =
            id_in_target(one.target.as_deref().unwrap_or_default()).map_or(0, |id| id.number);
        one.sender = odd_caller(&sender, case, number)?;
        let args = one.sender.args.get_or_insert_default();
        match number {
            1 => args.extend(
                [
                    r"line\nfeed",
                    r"\x1b[31mred",
                    r"\xff\xfe",
                    r"back\\slash",
                    "",
                    r"\u{202e}txt.exe",
                ]
                .map(str::to_owned),
            ),
            // How many of them depends on whether it is still there for /proc to tell.
            2 => one.sender.args_are_cut = true,
            // Kernels before 5.18 start it without any, later ones with an empty one.
            _ => (one.sender.args, one.sender.may_lack_args) = (None, true),
        }
    }
    case.verify(&expected)?;
    sender.finish()
}

fn name_that_a_process_gave_itself_is_escaped(case: &mut Case<'_>) -> Result<()> {
    let mut sender = case.start("renamed")?;
    sender.await_line("done")?;
    let mut expected = case.of_sender(&sender, 1)?;
    ensure!(
        changes::ODD_NAME == b"a\nb < \x1b[1m\xff\\",
        "the name is as below"
    );
    expected[0].sender.name = r"a\nb < \x1b[1m\xff\\".to_owned();
    case.verify(&expected)?;
    sender.finish()
}

/// As [`of_one_that_is_gone`], each of them.
fn gone(expected: Vec<Expected>) -> Vec<Expected> {
    expected.into_iter().map(of_one_that_is_gone).collect()
}

/// What must be recorded of a caller that waits for no answer: its connection may be
/// closed when that comes. A kernel that can preempt a program may skip the one that tells
/// of the close (ARCHITECTURE, "A SYN begins a stream, too"); then the deadline is told.
fn of_one_that_is_gone(expected: Expected) -> Expected {
    Expected {
        outcome: Outcome::AsAnsweredOr(&[Silence::Closed, Silence::Deadline]),
        ..expected
    }
}

/// A caller that has the sender's executable and arguments that begin with an odd path.
fn odd_caller(sender: &RunningSender, case: &Case<'_>, number: u64) -> Result<Sender> {
    let directory = Path::new("/odd");
    let args = crowd::arguments(directory, case.destination(), case.name, number);
    Ok(Sender {
        pid: sender.sender_of(number).pid,
        args: Some(args),
        ..described(sender, &own_program()?.canonicalize()?)?
    })
}

/// A caller below `sender` that is gone.
fn described(sender: &RunningSender, program: &Path) -> Result<Sender> {
    let name = program.file_name().context("a program has a name")?;
    let scenario = sender.sender_of(0).pid;
    Ok(Sender {
        name: name.to_string_lossy().into_owned(),
        executable: Some(program.to_string_lossy().into_owned()),
        parent: Some(scenario),
        above: vec![scenario, std::process::id()],
        lingers: false,
        ..sender.sender_of(0)
    })
}
