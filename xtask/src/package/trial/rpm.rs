//! The life of the rpm package, with this machine's rpm. The root is Debian's: its own
//! packages are unknown to rpm, its shell and its tools are what the scripts run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::expect_left;
use super::root::Root;
use crate::command::{CommandExt as _, privileged};

const USE: &str = "
    imds-analyzer --version >&2
    getent group imds-analyzer >&2
    echo '# changed' >>/etc/imds-analyzer/imds-analyzer.toml
    install -d -m 0750 -g imds-analyzer /var/log/imds-analyzer
    echo record >/var/log/imds-analyzer/imds-analyzer.log";
/// There is no purge, so this is what an administrator has to remove.
const LEFT: [&str; 5] = [
    "+ etc/imds-analyzer d",
    "+ etc/imds-analyzer/imds-analyzer.toml.rpmsave f",
    "+ group imds-analyzer:x:",
    "+ var/log/imds-analyzer d",
    "+ var/log/imds-analyzer/imds-analyzer.log f",
];

/// Checks, installs, upgrades and erases it in `suite`.
pub(super) fn run(suite: &str, package: &Path, newer: &Path) -> Result<()> {
    Command::new("rpm").arg("-K").arg(package).read()?;
    let root = Root::copy(suite, "rpm")?;
    root.pretend_systemd()?;
    // Directories of packages that every such distribution has.
    root.run("mkdir -p /usr/share/licenses /usr/lib/sysusers.d")?;
    let before = root.listing()?;
    let rpm = |words: &[&str], package: &Path| -> Result<String> {
        privileged("rpm")?
            .arg("--root")
            .arg(root.dir())
            .args(["--dbpath", "/var/lib/rpm"])
            .args(words)
            .arg(package)
            .read()
    };
    // /bin/sh is there, and no package that rpm knows of provides it.
    rpm(&["-i", "--nodeps"], package).context("installing it")?;
    expect_calls(
        &root,
        &["daemon-reload", "--no-reload preset imds-analyzer.service"],
    )?;
    let name = Path::new("imds-analyzer");
    rpm(&["-V", "--nodeps"], name).context("verifying it")?;
    root.run(USE)?;
    rpm(&["-U", "--nodeps"], newer).context("upgrading it")?;
    expect_calls(
        &root,
        &[
            "daemon-reload",
            "daemon-reload",
            "try-restart imds-analyzer.service",
        ],
    )?;
    root.run("grep -x '# changed' /etc/imds-analyzer/imds-analyzer.toml")?;
    rpm(&["-e"], name).context("erasing it")?;
    expect_calls(
        &root,
        &[
            "stop imds-analyzer.service",
            "--no-reload disable imds-analyzer.service",
            "daemon-reload",
        ],
    )?;
    let left: Vec<String> = root
        .changes_since(&before)?
        .into_iter()
        // The number of the group is whatever was free.
        .map(
            |change| match change.rfind(|c: char| !c.is_ascii_digit() && c != ':') {
                Some(end) if change.starts_with("+ group ") => change[..=end].to_owned() + ":",
                _ => change,
            },
        )
        .collect();
    expect_left(&left, &LEFT, "after it was erased")?;
    root.remove()
}

fn expect_calls(root: &Root, expected: &[&str]) -> Result<()> {
    let calls = root.systemctl_calls()?;
    ensure!(
        calls == expected,
        "systemctl was called {calls:?}, not {expected:?}"
    );
    Ok(())
}
