//! The clients that people really use.

use std::{
    collections::HashMap,
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Entry, cases,
    client::{HeldShell, Ran, find_program, find_python, run_client},
    session::{Case, PATIENCE, child_sender},
};
use crate::{
    compare::{Expected, Sender},
    mock::access_log::TOKEN_HEADER,
    netns::Netns,
};

/// Calls of curl in the large case, half of them v1.
const CALLS: u64 = 1_000;
/// Loops that start them.
const LOOPS: usize = 4;

pub(super) fn cases(cases: &mut Vec<Entry>, absent: &mut Vec<String>) {
    cases.extend(cases![Shared:
        curl_without_token_is_v1,
        curl_with_token_is_v2,
        curl_with_several_urls_is_a_record_for_each,
        wget_is_captured,
        python_http_client_is_captured,
        python_urllib_is_captured,
        scripts_above_a_caller_are_its_ancestors,
        thousand_curl_calls_half_v1,
    ]);
    if find_program("bash").is_some() {
        cases.extend(cases![Shared: bash_writing_line_by_line_is_captured]);
    } else {
        absent.push("bash_writing_line_by_line_is_captured: no bash".to_owned());
    }
}

fn url(case: &str, number: u64) -> String {
    format!("http://{IMDS}/latest/meta-data/ami-id?case={case}&n={number}")
}

const IMDS: &str = "169.254.169.254";
/// No configuration, no progress, no proxy.
const CURL: [&str; 4] = ["-q", "-s", "--noproxy", "*"];

/// Runs curl; what it was answered is its output.
fn curl(netns: &Netns, arguments: &[&str]) -> Result<Ran> {
    let program = find_program("curl").context("this suite needs curl")?;
    let arguments: Vec<&str> = CURL.iter().chain(arguments).copied().collect();
    run_client(netns, &program, &arguments)
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

fn curl_without_token_is_v1(case: &mut Case<'_>) -> Result<()> {
    let ran = curl(&case.session.netns, &[&url(case.name, 1)])?;
    let senders = HashMap::from([(1, ran.sender)]);
    let expected = expect_from(case, &senders, 1)?;
    case.verify(&expected)
}

fn curl_with_token_is_v2(case: &mut Case<'_>) -> Result<()> {
    let netns = &case.session.netns;
    let put = curl(
        netns,
        &[
            "-X",
            "PUT",
            "-H",
            "X-aws-ec2-metadata-token-ttl-seconds: 60",
            "-H",
            &format!("X-Case: {}/1", case.name),
            &format!("http://{IMDS}/latest/api/token"),
        ],
    )?;
    let token = String::from_utf8(put.output.clone())?;
    ensure!(token.len() == 56, "the mock gave no token");
    let get = curl(
        netns,
        &[
            "-H",
            &format!("{TOKEN_HEADER}: {token}"),
            &url(case.name, 2),
        ],
    )?;
    let senders = HashMap::from([(1, put.sender), (2, with_secret_args(get))]);
    let expected = expect_from(case, &senders, 2)?;
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

fn wget_is_captured(case: &mut Case<'_>) -> Result<()> {
    let program = find_program("wget").context("this suite needs wget")?;
    let netns = &case.session.netns;
    let v1 = run_client(
        netns,
        &program,
        &["-q", "-O", "/dev/null", &url(case.name, 1)],
    )?;
    let header = format!("{TOKEN_HEADER}: {}", case.session.mock.imds().new_token());
    let v2 = run_client(
        netns,
        &program,
        &[
            "-q",
            "-O",
            "/dev/null",
            "--header",
            &header,
            &url(case.name, 2),
        ],
    )?;
    let senders = HashMap::from([(1, v1.sender), (2, with_secret_args(v2))]);
    let expected = expect_from(case, &senders, 2)?;
    case.verify(&expected)
}

fn python(case: &mut Case<'_>, script: &str, count: usize) -> Result<()> {
    let program = find_python()?;
    let file = script_file("client.py", script)?;
    let arguments = [
        // No site packages: several times faster under emulation.
        "-S".to_owned(),
        file.path.to_string_lossy().into_owned(),
        case.name.to_owned(),
    ];
    let mut child = case
        .session
        .netns
        .command(&program)
        .args(&arguments)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start python3")?;
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(arguments);
    let sender = Sender {
        lingers: true,
        ..child_sender(child.id(), &program, words)
    };
    let outcome = (|| {
        case.session
            .mock
            .log()
            .wait_for(case.name, count, PATIENCE * 3);
        let senders = (1..=count as u64)
            .map(|number| (number, sender.clone()))
            .collect();
        let expected = expect_from(case, &senders, count)?;
        case.verify(&expected)
    })();
    drop(child.stdin.take());
    let status = child.wait()?;
    outcome?;
    ensure!(status.success(), "python3 ended with {status}");
    Ok(())
}

fn python_http_client_is_captured(case: &mut Case<'_>) -> Result<()> {
    python(case, include_str!("clients/http_client.py"), 5)
}

fn python_urllib_is_captured(case: &mut Case<'_>) -> Result<()> {
    python(case, include_str!("clients/urllib_client.py"), 3)
}

fn bash_writing_line_by_line_is_captured(case: &mut Case<'_>) -> Result<()> {
    let bash = find_program("bash").context("listed only where there is a bash")?;
    let file = script_file(
        "client.bash",
        include_str!("clients/one_write_per_line.bash"),
    )?;
    let token = case.session.mock.imds().new_token();
    let ran = run_client(
        &case.session.netns,
        &bash,
        &[&file.path.to_string_lossy(), case.name, &token],
    )?;
    let sender = with_secret_args(ran);
    let senders = HashMap::from([(1, sender.clone()), (2, sender)]);
    let expected = expect_from(case, &senders, 2)?;
    case.verify(&expected)
}

/// outer.sh runs inner.sh, which runs curl; each says its PID and waits at its end.
fn scripts_above_a_caller_are_its_ancestors(case: &mut Case<'_>) -> Result<()> {
    let shell = find_program("sh").context("this suite needs sh")?;
    let curl = find_program("curl").context("this suite needs curl")?;
    let inner = script_file(
        "inner.sh",
        &format!(
            "echo $$\n{} {} '{}' >/dev/null &\necho $!\nwait\nread end\n",
            curl.display(),
            CURL.join(" ").replace('*', "'*'"),
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
        anyhow::bail!("the scripts said {:?}", held.pids);
    };
    ensure!(outer_pid == held.pid(), "outer.sh is not who was started");
    let mut words = vec![curl.to_string_lossy().into_owned()];
    words.extend(CURL.map(str::to_owned));
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

/// Each call is a process of its own whose PID this process knows.
fn thousand_curl_calls_half_v1(case: &mut Case<'_>) -> Result<()> {
    let token = case.session.mock.imds().new_token();
    let header = format!("{TOKEN_HEADER}: {token}");
    let next = AtomicU64::new(1);
    let senders = Mutex::new(HashMap::new());
    let netns = &case.session.netns;
    let name = case.name;
    let call = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > CALLS {
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
    let expected = expect_from(case, &senders, usize::try_from(CALLS)?)?;
    case.verify(&expected)
}

/// A script in a directory of its own, removed when dropped.
pub(super) struct ScriptFile {
    /// Where it is.
    pub(super) path: PathBuf,
    _directory: tempfile::TempDir,
}

/// Writes a script.
pub(super) fn script_file(name: &str, content: &str) -> Result<ScriptFile> {
    let directory = tempfile::tempdir().context("make a temporary directory")?;
    let path = directory.path().join(name);
    std::fs::File::create(&path)?.write_all(content.as_bytes())?;
    Ok(ScriptFile {
        path,
        _directory: directory,
    })
}
