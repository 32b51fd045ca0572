//! The demo: the real analyzer catching real clients, in a namespace of its own.
//!
//! Ends well only if what was shown is what the mock IMDS got. Everything it makes
//! goes with it, after Ctrl-C as well.

mod summary;

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use self::summary::Summary;
use crate::{
    analyzer::Launch,
    cgroup::Cgroup,
    mock::Mock,
    netns::Netns,
    suite::{find_program, find_python},
};

/// The analyzer's ring buffer at its default size, as it counts in its resident
/// size: the kernel lets it be mapped twice in a row, KiB.
const RING_KIB: u64 = 2 * 4096;

/// Between two clients, so that a person can follow.
const PACE: Duration = Duration::from_millis(300);
/// How long the last records may take.
const PATIENCE: Duration = Duration::from_secs(10);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// What the analyzer writes.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// Its records.
    Json,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// A client that was launched.
#[derive(Debug)]
struct Caller {
    /// What the clients' `X-Case` header calls it.
    label: &'static str,
    /// Its process, if that is the one that calls.
    pid: Option<u32>,
}

/// Runs the demo.
///
/// # Errors
///
/// If the analyzer can't run, if it is interrupted, and if a request was not shown
/// exactly once with the right version.
pub fn run(analyzer: &Path, format: Format) -> Result<()> {
    catch_interrupts()?;
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    println!(
        "A network namespace of its own, a mock IMDS in it, and {} watching it:\n",
        analyzer.display()
    );
    let analyzer = Launch {
        program: analyzer,
        backend: "auto",
        format: format.name(),
        netns: netns.path(),
        output: None,
        settings: "",
        verbose: false,
    }
    .start(|line| println!("{}", String::from_utf8_lossy(line)))?;
    let resident = analyzer.resident_kib()?;
    let ready_after = analyzer.ready_after();
    let backend = analyzer.backend().to_owned();

    let clients = Clients::new(&netns)?;
    let mut callers = Vec::new();
    for launch in [
        Clients::old_curl,
        Clients::new_curl,
        Clients::wget,
        Clients::inventory,
        Clients::nightly,
        Clients::agent,
        Clients::contained,
    ] {
        callers.extend(launch(&clients)?);
        std::thread::sleep(PACE);
        ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    }

    let entries = mock.log().since(0);
    analyzer.stdout().wait(0, PATIENCE, |lines| {
        lines
            .iter()
            .filter(|line| summary::is_request(line))
            .count()
            >= entries.len()
    });
    let lines = analyzer.stop()?.records;
    let summary = Summary::new(&entries, &callers, &lines);
    print!("\n{summary}");
    println!(
        "\nbackend {backend}; ready after {} ms; {} KiB resident when ready, \
         and {RING_KIB} KiB of ring buffer (4 MiB, mapped twice)",
        ready_after.as_millis(),
        resident.saturating_sub(RING_KIB)
    );
    if !summary.wrong.is_empty() {
        bail!(
            "what was shown is not what was sent:\n  {}",
            summary.wrong.join("\n  ")
        );
    }
    println!(
        "each of the {} requests was shown once, with the right version",
        entries.len()
    );
    Ok(())
}

/// Ctrl-C reaches the clients and the analyzer as well; this process lives on to
/// remove what it made.
fn catch_interrupts() -> Result<()> {
    let handler = interrupt as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores into an atomic.
        let previous = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        ensure!(
            previous != libc::SIG_ERR,
            "cannot catch signal {signal}: {}",
            io::Error::last_os_error()
        );
    }
    Ok(())
}

/// The programs that call, and the scripts they run.
struct Clients<'a> {
    netns: &'a Netns,
    curl: PathBuf,
    python: PathBuf,
    shell: PathBuf,
    scripts: TempDir,
    /// Of a unit that systemd does not know; `None` where there is no cgroup2.
    unit: Option<Cgroup>,
    /// As docker names them.
    container: Option<Cgroup>,
}

const IMDS: &str = "http://169.254.169.254/latest";

impl<'a> Clients<'a> {
    fn new(netns: &'a Netns) -> Result<Self> {
        let scripts = tempfile::tempdir().context("make a temporary directory")?;
        let curl = find_program("curl").context("the demo needs curl")?;
        let shell = find_program("sh").context("the demo needs sh")?;
        let backup = scripts.path().join("backup.sh");
        let role = format!("{IMDS}/meta-data/iam/security-credentials/imds-tests-role");
        let files = [
            ("inventory.py", include_str!("inventory.py").to_owned()),
            ("agent.py", include_str!("agent.py").to_owned()),
            (
                "backup.sh",
                format!(
                    "#!{}\n{} -q -s --noproxy '*' -o /dev/null -H 'X-Case: backup.sh/1' {role}\n:\n",
                    shell.display(),
                    curl.display()
                ),
            ),
            (
                "nightly.sh",
                format!("#!{}\n{}\n:\n", shell.display(), backup.display()),
            ),
        ];
        for (name, content) in files {
            let path = scripts.path().join(name);
            std::fs::write(&path, content).with_context(|| format!("write {name}"))?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode)?;
        }
        Ok(Self {
            netns,
            curl,
            python: find_python()?,
            shell,
            scripts,
            unit: cgroup("demo-unit", "nightly-backup.service"),
            container: cgroup(
                "demo-container",
                &format!("docker-{}.scope", "0123456789abcdef".repeat(4)),
            ),
        })
    }

    fn old_curl(&self) -> Result<Vec<Caller>> {
        let url = format!("{IMDS}/meta-data/instance-id");
        let caller = self.curl("curl, old", &[&url])?;
        Ok(vec![caller.0])
    }

    fn new_curl(&self) -> Result<Vec<Caller>> {
        let (put, token) = self.curl(
            "curl, new",
            &[
                "-X",
                "PUT",
                "-H",
                "X-aws-ec2-metadata-token-ttl-seconds: 60",
                &format!("{IMDS}/api/token"),
            ],
        )?;
        let header = format!("X-aws-ec2-metadata-token: {}", String::from_utf8(token)?);
        let url = format!("{IMDS}/meta-data/local-ipv4");
        let (get, _) = self.curl("curl, new", &["-H", &header, &url])?;
        Ok(vec![put, get])
    }

    fn wget(&self) -> Result<Vec<Caller>> {
        let Some(wget) = find_program("wget") else {
            return Ok(Vec::new());
        };
        let mut command = self.netns.command(wget);
        command.args([
            "-q",
            "-O",
            "-",
            "--header=X-Case: wget/1",
            &format!("{IMDS}/user-data"),
        ]);
        Ok(vec![finish("wget", command)?.0])
    }

    fn inventory(&self) -> Result<Vec<Caller>> {
        self.python("inventory.py")
    }

    fn agent(&self) -> Result<Vec<Caller>> {
        self.python("agent.py")
    }

    fn nightly(&self) -> Result<Vec<Caller>> {
        let mut command = self.netns.command(&self.shell);
        command.arg(self.scripts.path().join("nightly.sh"));
        if let Some(unit) = &self.unit {
            unit.run(&mut command)?;
        }
        finish("backup.sh", command)?;
        // The curl below it has a PID that only the scripts know.
        Ok(vec![Caller {
            label: "backup.sh",
            pid: None,
        }])
    }

    fn contained(&self) -> Result<Vec<Caller>> {
        let url = format!("{IMDS}/meta-data/instance-id");
        let mut command = self.curl_command("curl, in docker", &[&url]);
        if let Some(container) = &self.container {
            container.run(&mut command)?;
        }
        Ok(vec![finish("curl, in docker", command)?.0])
    }

    fn curl(&self, label: &'static str, arguments: &[&str]) -> Result<(Caller, Vec<u8>)> {
        finish(label, self.curl_command(label, arguments))
    }

    fn curl_command(&self, label: &str, arguments: &[&str]) -> Command {
        let mut command = self.netns.command(&self.curl);
        command
            .args(["-q", "-s", "--noproxy", "*", "-H"])
            .arg(format!("X-Case: {label}/1"))
            .args(arguments);
        command
    }

    fn python(&self, script: &'static str) -> Result<Vec<Caller>> {
        let mut command = self.netns.command(&self.python);
        command.arg(self.scripts.path().join(script));
        Ok(vec![finish(script, command)?.0])
    }
}

/// A cgroup as another program would have made it, for as long as the demo runs.
fn cgroup(slice: &str, name: &str) -> Option<Cgroup> {
    Cgroup::new(&format!("{slice}-{}.slice/{name}", std::process::id())).ok()
}

fn finish(label: &'static str, mut command: Command) -> Result<(Caller, Vec<u8>)> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .env_remove("http_proxy")
        .env_remove("all_proxy")
        .spawn()
        .with_context(|| format!("cannot start {label}"))?;
    let pid = Some(child.id());
    let output = child.wait_with_output()?;
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    ensure!(
        output.status.success(),
        "{label} ended with {}",
        output.status
    );
    Ok((Caller { label, pid }, output.stdout))
}
