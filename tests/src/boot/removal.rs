//! Installing and removing the package.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{LOGS, PACKAGE, UNIT, systemd};

/// Installing it enables and starts the service.
pub(super) fn install() -> Result<()> {
    systemd::run("dpkg", &["--install", PACKAGE])?;
    let state = systemd::state(UNIT)?;
    ensure!(
        state == ("enabled".into(), "active".into()),
        "after its installation the unit is {state:?}"
    );
    Ok(())
}

/// Removing it stops the service and leaves configuration and logs.
pub(super) fn remove() -> Result<()> {
    systemd::run("systemctl", &["enable", "--now", UNIT])?;
    systemd::run("dpkg", &["--remove", "imds-analyzer"])?;
    let (_, active) = systemd::state(UNIT)?;
    ensure!(active == "inactive", "the unit is {active}");
    for (path, stays) in [
        ("/usr/bin/imds-analyzer", false),
        ("/etc/imds-analyzer/imds-analyzer.toml", true),
        (LOGS, true),
    ] {
        let is_there = Path::new(path).exists();
        ensure!(is_there == stays, "after removing, {path}: {is_there}");
    }
    ensure!(
        Path::new(LOGS).join("imds-analyzer.log").metadata()?.len() > 0,
        "the log is empty"
    );
    Ok(())
}

/// Purging it leaves nothing, not even its group.
pub(super) fn purge() -> Result<()> {
    systemd::run("dpkg", &["--purge", "imds-analyzer"])?;
    // Ours are named after the test.
    let found = systemd::run(
        "find",
        &[
            "/etc",
            "/run",
            "/usr",
            "/var",
            "-xdev",
            "-name",
            "*imds-analyzer*",
        ],
    )?;
    ensure!(
        found.is_empty(),
        "left behind: {}",
        found.replace('\n', " ")
    );
    let group = systemd::output("getent", &["group", "imds-analyzer"])?;
    ensure!(!group.status.success(), "its group is left");
    let known = systemd::run("systemctl", &["list-unit-files", "--no-legend", "imds-*"]);
    ensure!(
        known.as_deref().unwrap_or_default().trim().is_empty(),
        "systemd still knows {known:?}"
    );
    Ok(())
}
