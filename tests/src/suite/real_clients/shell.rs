//! Shells: as clients themselves, and above one.

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};

use super::{
    curl::QUIET, expect_from, installed::program, script::script_file, url, with_secret_args,
};
use crate::{
    compare::Sender,
    suite::{
        Entry, cases,
        client::{HeldShell, run_client},
        session::{Case, child_sender},
    },
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        bash_writing_line_by_line_is_captured,
        scripts_above_a_caller_are_its_ancestors,
    ]
}

fn bash_writing_line_by_line_is_captured(case: &mut Case<'_>) -> Result<()> {
    let file = script_file(
        "client.bash",
        include_str!("../clients/one_write_per_line.bash"),
    )?;
    let token = case.session.mock.imds().new_token();
    let ran = run_client(
        &case.session.netns,
        &program("bash")?,
        &[&file.path.to_string_lossy(), case.name, &token],
    )?;
    let sender = with_secret_args(ran);
    let senders = HashMap::from([(1, sender.clone()), (2, sender)]);
    let expected = expect_from(case, &senders, 2)?;
    case.verify(&expected)
}

/// outer.sh runs inner.sh, which runs curl; each says its PID and waits at its end.
fn scripts_above_a_caller_are_its_ancestors(case: &mut Case<'_>) -> Result<()> {
    let shell = program("sh")?;
    let curl = program("curl")?;
    let inner = script_file(
        "inner.sh",
        &format!(
            "echo $$\n{} {} '{}' >/dev/null &\necho $!\nwait\nread end\n",
            curl.display(),
            QUIET.join(" ").replace('*', "'*'"),
            url(case.name, 1)
        ),
    )?;
    let outer = script_file(
        "outer.sh",
        &format!(
            "echo $$\n{} {}\nread end\n",
            shell.display(),
            inner.path.display()
        ),
    )?;
    let mut command = case.session.netns.command(&shell);
    command.arg(&outer.path);
    let held = HeldShell::start(command, 3)?;
    let [outer_pid, inner_pid, curl_pid] = held.pids[..] else {
        bail!("the scripts said {:?}", held.pids);
    };
    ensure!(outer_pid == held.pid(), "outer.sh is not who was started");
    let mut words = vec![curl.to_string_lossy().into_owned()];
    words.extend(QUIET.map(str::to_owned));
    words.push(url(case.name, 1));
    let senders = HashMap::from([(
        1,
        Sender {
            above: vec![inner_pid, outer_pid, std::process::id()],
            ..child_sender(curl_pid, &curl, words)
        },
    )]);
    let expected = expect_from(case, &senders, 1)?;
    case.verify(&expected)
}
