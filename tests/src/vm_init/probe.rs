//! What the analyzer says about this kernel: which backends it has, which one `auto`
//! takes, and that asking for one that it lacks is an error that says so.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::ANALYZER;

const BACKENDS: [&str; 3] = ["fentry", "kprobe", "cgroup"];
/// Words before the name of the backend in the last line of `check`.
const AUTO_TAKES: &str = "--backend auto takes ";
/// An analyzer that cannot capture ends at once, which under emulation may take a while;
/// one that can would never end. A signal then ends it.
const ENDS_WITHIN_SECONDS: u32 = 90;

/// Runs `check` and prints what it says; then asks for each backend that it denies.
///
/// # Errors
///
/// If this kernel can't be watched, or a backend that `check` denies starts or fails
/// without naming a reason.
pub(super) fn run() -> Result<()> {
    let version = said(Command::new(ANALYZER).arg("--version"))?;
    println!("init: {}", version.trim());
    let check = said(Command::new(ANALYZER).arg("check"))?;
    for line in check.lines() {
        println!("check: {line}");
    }
    let findings = findings(&check)?;
    for (backend, reason) in &findings.refused {
        let error = refusal(backend)?;
        ensure!(
            error.contains(backend) && error.contains(reason.as_str()),
            "check says of {backend}: {reason}; run says: {error}"
        );
        println!("IMDS-REFUSED backend={backend} {error}");
    }
    println!("IMDS-AUTO backend={}", findings.auto);
    Ok(())
}

/// What `check` says about backends.
#[derive(Debug, PartialEq, Eq)]
struct Findings {
    auto: String,
    /// Those that the kernel lacks, with the reason.
    refused: Vec<(&'static str, String)>,
}

fn findings(check: &str) -> Result<Findings> {
    let mut refused = Vec::new();
    for backend in BACKENDS {
        let (fine, text) = check
            .lines()
            .find_map(|line| {
                let (mark, rest) = line.split_at_checked(4)?;
                let text = rest.strip_prefix(backend)?.strip_prefix(' ')?;
                Some((mark.trim_end() == "ok", text.trim()))
            })
            .with_context(|| format!("check says nothing of {backend}"))?;
        if !fine {
            ensure!(!text.is_empty(), "check has no reason against {backend}");
            refused.push((backend, text.to_owned()));
        }
    }
    let (_, auto) = check
        .rsplit_once(AUTO_TAKES)
        .context("check does not say what auto takes")?;
    Ok(Findings {
        auto: auto.trim().trim_end_matches('.').to_owned(),
        refused,
    })
}

/// What `run --backend` says when the kernel doesn't have it.
fn refusal(backend: &str) -> Result<String> {
    let mut command = Command::new(ANALYZER);
    command
        .args(["run", "--backend", backend, "--output", "-"])
        .args(["--netns", "/proc/self/ns/net"]);
    // SAFETY: between fork and exec only alarm(2), which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(ENDS_WITHIN_SECONDS);
            Ok(())
        });
    }
    let output = command.output().context("start the analyzer")?;
    ensure!(
        output.status.code() == Some(1),
        "check denies {backend}, but run --backend {backend} ended with {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The standard output of a command that succeeds.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &str = "ok  kernel        6.1.0-56-cloud-arm64\n\
                         no  fentry        tcp_sendmsg_fexit: error 524\n\
                         ok  kprobe        attaches to tcp_sendmsg\n\
                         ok  cgroup        attaches to the cgroup2 root\n\
                         This host can be watched: --backend auto takes kprobe.\n";

    #[test]
    fn denied_backend_and_the_one_that_auto_takes_are_found() {
        let found = findings(CHECK).unwrap();
        assert_eq!(found.auto, "kprobe");
        let reason = "tcp_sendmsg_fexit: error 524".to_owned();
        assert_eq!(found.refused, [("fentry", reason)]);
    }

    #[test]
    fn check_that_says_nothing_of_a_backend_is_an_error() {
        assert!(findings(&CHECK.replace("cgroup  ", "cgroups ")).is_err());
        assert!(findings(&CHECK.replace("takes", "likes")).is_err());
    }
}
