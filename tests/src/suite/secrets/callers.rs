//! Callers with secrets in their arguments, or above them in those of the shells and
//! interpreters that called them.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    canary,
    compare::Sender,
    mock::imds::ROLE,
    suite::{
        client::{HeldShell, run_client},
        real_clients::{ScriptFile, find_program, find_python, script_file},
        session::{Session, child_sender},
    },
};

/// Number of the first request; those on the wire have smaller ones.
const FIRST: u64 = 100;

/// Who sent request `number`.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) number: u64,
    pub(super) sender: Sender,
    /// What has the secret in its arguments, if it is not the sender itself.
    _above: Option<HeldShell>,
}

/// Starts them all; each has sent its request when this returns, or is about to.
pub(super) fn start(session: &Session, case: &str) -> Result<Vec<Caller>> {
    let programs = Programs::new()?;
    let url = |number: u64| {
        format!(
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/{ROLE}\
             ?case={case}&n={number}"
        )
    };
    let mut callers = Vec::new();
    for (number, arguments) in (FIRST..).zip(own_arguments()) {
        let url = url(number);
        let mut words = vec!["-q", "-s", "--noproxy", "*", "-o", "/dev/null"];
        words.extend(arguments.iter().map(String::as_str));
        words.push(&url);
        let ran = run_client(&session.netns, &programs.curl, &words)?;
        callers.push(Caller {
            number,
            sender: without_arguments(ran.sender),
            _above: None,
        });
    }
    let first = FIRST + callers.len() as u64;
    for (number, arguments) in (first..).zip(programs.arguments_above()) {
        let mut command = session.netns.command(&programs.shell);
        command.args(&arguments).env("IMDS_URL", url(number));
        let above = HeldShell::start(command, 1)?;
        let sender = child_sender(above.pids[0], &programs.curl, Vec::new());
        callers.push(Caller {
            number,
            sender: Sender {
                above: vec![above.pid(), std::process::id()],
                ..without_arguments(sender)
            },
            _above: Some(above),
        });
    }
    Ok(callers)
}

/// Arguments of curl that hold secrets.
fn own_arguments() -> Vec<Vec<String>> {
    let token = canary::token(77);
    let key = canary::secret_access_key();
    [
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
    ]
    .into()
}

/// The programs, and the scripts that they run.
struct Programs {
    curl: std::path::PathBuf,
    shell: std::path::PathBuf,
    python: std::path::PathBuf,
    /// Calls curl, whatever its own arguments are.
    call: ScriptFile,
    /// A Python script that runs that one.
    relay: ScriptFile,
}

impl Programs {
    fn new() -> Result<Self> {
        let curl = find_program("curl").context("this suite needs curl")?;
        let call = script_file(
            "call.sh",
            &format!("{} & echo $!; wait; read end\n", quiet(&curl, "")),
        )?;
        let relay = script_file(
            "relay.py",
            "import subprocess, sys\nsys.exit(subprocess.call(['sh', sys.argv[1]]))\n",
        )?;
        Ok(Self {
            curl,
            shell: find_program("sh").context("this suite needs sh")?,
            python: find_python()?,
            call,
            relay,
        })
    }

    /// Arguments of a shell above curl that hold secrets. Each prints curl's PID and
    /// waits, see [`HeldShell`].
    fn arguments_above(&self) -> Vec<Vec<String>> {
        let token = canary::token(78);
        let key = canary::secret_access_key();
        let call = self.call.path.to_string_lossy();
        let with_argument = |arguments: &[String]| {
            let mut all = vec![call.to_string()];
            all.extend_from_slice(arguments);
            all
        };
        let inline = |script: String| vec!["-c".to_owned(), script];
        let header = |value: &str| {
            format!(
                "{} & echo $!; wait; read end",
                quiet(
                    &self.curl,
                    &format!("-H \"X-aws-ec2-metadata-token: {value}\"")
                )
            )
        };
        [
            inline(header(&token)),
            inline(format!("TOKEN={token}; {}", header("$TOKEN"))),
            inline(format!(
                "export AWS_SECRET_ACCESS_KEY='{key}'; sh {call}; :"
            )),
            inline(format!(
                "{} -S {} {call} --api-key {key}; :",
                self.python.display(),
                self.relay.path.display()
            )),
            with_argument(&["--password".into(), key.clone()]),
            with_argument(&[format!("--password={key}")]),
            with_argument(&[format!("--secret-access-key={key}")]),
            with_argument(&["--token".into(), token.clone()]),
            with_argument(&[format!("AWS_SECRET_ACCESS_KEY={key}")]),
            with_argument(&[format!("AWS_SESSION_TOKEN={}", canary::session_token())]),
            with_argument(&[token]),
        ]
        .into()
    }
}

/// A shell's words that let curl call `$IMDS_URL`.
fn quiet(curl: &Path, more: &str) -> String {
    format!(
        "{} -q -s --noproxy '*' -o /dev/null {more} \"$IMDS_URL\"",
        curl.display()
    )
}

/// How a secret is shown is up to the redactor, as long as it isn't.
fn without_arguments(sender: Sender) -> Sender {
    Sender {
        args: None,
        ..sender
    }
}
