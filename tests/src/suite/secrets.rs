//! No token, credential or secret-looking argument comes out, whatever the format,
//! at trace level and with all that the eBPF programs say.

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Entry, betrays, cases,
    client::{find_program, find_python, run_client},
    real_clients::script_file,
    session::{Session, Setup},
};
use crate::{
    analyzer::Finished,
    canary,
    compare::{Expected, Sender},
    mock::imds::ROLE,
};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        no_secret_in_json_at_trace,
        no_secret_in_text_at_trace,
        no_secret_in_aws_lines_at_trace,
    ]
}

fn no_secret_in_json_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "json")
}

fn no_secret_in_text_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "text")
}

fn no_secret_in_aws_lines_at_trace(setup: &Setup, name: &'static str) -> Result<()> {
    no_secret_in(setup, name, "aws")
}

/// Fails if any line betrays a secret; the message does not repeat it.
pub(super) fn require_none(finished: &Finished) -> Result<()> {
    for (place, lines) in [
        ("records", &finished.records),
        ("standard error", &finished.stderr),
    ] {
        let found: Vec<String> = lines
            .iter()
            .filter(|line| betrays(line))
            .map(|line| surroundings(line))
            .collect();
        if let Some(first) = found.first() {
            bail!("{} lines of {place} hold a secret: {first}", found.len());
        }
    }
    Ok(())
}

/// What stands before the first secret of a line.
fn surroundings(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line).to_lowercase();
    let canary = canary::CANARY.to_lowercase();
    let before = text.split(&canary).next().unwrap_or_default();
    let start = before
        .char_indices()
        .rev()
        .nth(100)
        .map_or(0, |(index, _)| index);
    format!("…{}[secret]", &before[start..])
}

fn no_secret_in(setup: &Setup, name: &'static str, format: &str) -> Result<()> {
    let mut session = Session::start_verbose(setup, format)?;
    let on_the_wire = {
        let case = session.case(name);
        let mut sender = case.start("secrets_on_the_wire")?;
        sender.await_line("done")?;
        case.entries(ON_THE_WIRE)?;
        sender
    };
    let in_arguments = secrets_in_arguments(&session, name)?;
    let count = ON_THE_WIRE + in_arguments.len();
    let mut case = session.case(name);
    if format == "json" {
        let mut expected = Vec::new();
        for entry in case.entries(count)? {
            let number = entry.id.as_ref().map_or(0, |id| id.number);
            let sender = match in_arguments.iter().find(|(one, _)| *one == number) {
                Some((_, sender)) => sender.clone(),
                None => on_the_wire.sender_of(number),
            };
            expected.push(Expected {
                loose_target: true,
                ..Expected::from_entry(&entry, sender)
            });
        }
        // The head that was no head.
        expected.push(Expected::unknown(on_the_wire.sender_of(0), &[]));
        case.verify(&expected)?;
    } else {
        case.entries(count)?;
        session.fence()?;
    }
    on_the_wire.finish()?;
    let entries = session.mock.log().of_case(name);
    let finished = session.stop()?;
    require_none(&finished)?;
    ensure!(
        !finished.stderr.is_empty(),
        "nothing on standard error, although at trace"
    );
    if format != "json" {
        for entry in entries {
            require_line(
                &finished.records,
                &Expected::from_entry(&entry, Sender::default()),
            )?;
        }
    }
    Ok(())
}

/// Exactly one line must show the request, with the right version and no other.
fn require_line(lines: &[Vec<u8>], expected: &Expected) -> Result<()> {
    let target = String::from_utf8_lossy(expected.target.as_deref().unwrap_or_default());
    let id = crate::mock::access_log::id_in_target(target.as_bytes())
        .context("the requests of this case have ids in their targets")?;
    let version = match expected.version {
        crate::compare::Version::V1 => "IMDSV1",
        _ => "IMDSV2",
    };
    let method = expected.method.as_deref().unwrap_or_default();
    let showing: Vec<String> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|line| {
            // The target follows its method; an argument with the same URL doesn't.
            line.split(&format!("{method} ")).skip(1).any(|rest| {
                rest.starts_with('/')
                    && crate::mock::access_log::id_in_target(
                        rest.split(' ').next().unwrap_or_default().as_bytes(),
                    ) == Some(id.clone())
            })
        })
        .collect();
    ensure!(
        showing.len() == 1,
        "{} lines show {method} {target}",
        showing.len()
    );
    ensure!(
        showing[0].to_uppercase().contains(version),
        "expected {version}: {}",
        showing[0]
    );
    Ok(())
}

/// Whole requests of the scenario `secrets_on_the_wire`.
const ON_THE_WIRE: usize = 10;

/// Runs clients that have secrets in their arguments, or whose ancestors have. The
/// requests' numbers begin at 100.
fn secrets_in_arguments(session: &Session, name: &str) -> Result<Vec<(u64, Sender)>> {
    let curl = find_program("curl").context("this suite needs curl")?;
    let shell = find_program("sh").context("this suite needs sh")?;
    let token = canary::token(77);
    let key = canary::secret_access_key();
    let url = |number: u64| {
        format!(
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/{ROLE}?case={name}&n={number}"
        )
    };
    let quiet = ["-q", "-s", "--noproxy", "*", "-o", "/dev/null"];
    let direct: Vec<Vec<String>> = vec![
        vec!["-H".into(), format!("X-aws-ec2-metadata-token: {token}")],
        vec![format!("-HX-aws-ec2-metadata-token:{token}")],
        vec![
            "--header".into(),
            format!("x-aws-ec2-metadata-token:{token}"),
        ],
        vec!["--user".into(), format!("name:{key}")],
        vec![format!("-uname:{key}")],
        vec!["-H".into(), format!("Authorization: Bearer {token}")],
        vec!["--oauth2-bearer".into(), token.clone()],
        vec!["-b".into(), format!("session={token}")],
        vec!["-d".into(), format!("AWS_SECRET_ACCESS_KEY={key}")],
        vec!["-A".into(), format!("agent token={token}")],
    ];
    let mut senders = Vec::new();
    let mut number = 99;
    for arguments in &direct {
        number += 1;
        let url = url(number);
        let mut words: Vec<&str> = quiet.to_vec();
        words.extend(arguments.iter().map(String::as_str));
        words.push(&url);
        let ran = run_client(&session.netns, &curl, &words)?;
        senders.push((number, without_arguments(ran.sender)));
    }
    senders.extend(secrets_above(
        session,
        name,
        number + 1,
        &shell,
        &curl,
        &url,
    )?);
    Ok(senders)
}

/// Secrets in the arguments of the shells and interpreters above curl.
fn secrets_above(
    session: &Session,
    name: &str,
    first: u64,
    shell: &std::path::Path,
    curl: &std::path::Path,
    url: &dyn Fn(u64) -> String,
) -> Result<Vec<(u64, Sender)>> {
    let token = canary::token(78);
    let key = canary::secret_access_key();
    let quiet = format!("{} -q -s --noproxy '*' -o /dev/null", curl.display());
    let script = script_file(
        "call.sh",
        &format!("{quiet} \"$IMDS_URL\" &\necho $!\nwait\n"),
    )?;
    let path = script.path.to_string_lossy().into_owned();
    let python = find_python()?.to_string_lossy().into_owned();
    let relay = script_file(
        "relay.py",
        "import subprocess, sys\nsys.exit(subprocess.call(['sh', sys.argv[1]]))\n",
    )?;
    let relay = relay_path(&relay);
    let commands: Vec<Vec<String>> = vec![
        vec![
            "-c".into(),
            format!("{quiet} -H 'X-aws-ec2-metadata-token: {token}' \"$IMDS_URL\" & echo $!; wait"),
        ],
        vec![
            "-c".into(),
            format!(
                "TOKEN={token}; {quiet} -H \"X-aws-ec2-metadata-token:$TOKEN\" \"$IMDS_URL\" & echo $!; wait"
            ),
        ],
        vec![path.clone(), "--password".into(), key.clone()],
        vec![path.clone(), format!("--password={key}")],
        vec![path.clone(), format!("--secret-access-key={key}")],
        vec![path.clone(), "--token".into(), token.clone()],
        vec![path.clone(), format!("AWS_SECRET_ACCESS_KEY={key}")],
        vec![
            path.clone(),
            format!("AWS_SESSION_TOKEN={}", canary::session_token()),
        ],
        vec![path.clone(), token.clone()],
        vec![
            "-c".into(),
            format!("export AWS_SECRET_ACCESS_KEY='{key}'; sh {path}; :"),
        ],
        vec![
            "-c".into(),
            format!("{python} -S {relay} {path} --api-key {key}; :"),
        ],
    ];
    let mut senders = Vec::new();
    for (number, arguments) in (first..).zip(commands) {
        let mut command = session.netns.command(shell);
        let output = command
            .args(&arguments)
            .env("IMDS_URL", url(number))
            .output()
            .context("run a shell")?;
        let pid = String::from_utf8(output.stdout)?
            .lines()
            .find_map(|line| line.parse().ok())
            .with_context(|| {
                format!(
                    "the script of request {number} said no PID: {}",
                    String::from_utf8_lossy(&output.stderr).replace(canary::CANARY, "")
                )
            })?;
        let sender = super::session::child_sender(pid, curl, Vec::new());
        senders.push((number, without_arguments(sender)));
    }
    session
        .mock
        .log()
        .wait_for(name, ON_THE_WIRE + senders.len(), super::session::PATIENCE);
    Ok(senders)
}

fn relay_path(relay: &super::real_clients::ScriptFile) -> String {
    relay.path.to_string_lossy().into_owned()
}

fn without_arguments(sender: Sender) -> Sender {
    Sender {
        args: None,
        ..sender
    }
}
