//! `imds-analyzer reboot-cycle` around a real reboot.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{
    UNIT,
    systemd::{output, run, said, state},
};

const ANALYZER: &str = "/usr/bin/imds-analyzer";
const STATE: &str = "/var/lib/imds-analyzer/reboot-cycle.json";
/// `report` says that something uses v1.
const NOT_SAFE: i32 = 3;

/// Asks for a step, which must end with `code`; returns what was said.
fn step(step: &str, code: i32) -> Result<String> {
    let output = output(ANALYZER, &["reboot-cycle", step])?;
    ensure!(
        output.status.code() == Some(code),
        "{step}: {} instead of {code}: {}",
        output.status,
        said(&output)
    );
    Ok(said(&output))
}

/// Without a cycle there is nothing to finish, and without root none to start.
pub(super) fn needs_root_and_a_beginning() -> Result<()> {
    let told = step("finish", 1)?;
    ensure!(told.contains("reboot-cycle start"), "{told}");
    let told = step("status", 0)?;
    ensure!(told.contains("reboot-cycle start"), "{told}");
    let unprivileged = output(
        "setpriv",
        &[
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            ANALYZER,
            "reboot-cycle",
            "start",
        ],
    )?;
    ensure!(
        unprivileged.status.code() == Some(1) && said(&unprivileged).contains("root"),
        "{}",
        said(&unprivileged)
    );
    ensure!(!Path::new(STATE).exists(), "it left {STATE}");
    Ok(())
}

/// Begins one on a host where the service is switched off. Twice is as good as once, and
/// before a reboot there is nothing to finish.
pub(super) fn begin() -> Result<()> {
    run("systemctl", &["disable", "--now", UNIT])?;
    for _ in 0..2 {
        step("start", 0)?;
        let is = state(UNIT)?;
        ensure!(
            is == ("enabled".into(), "active".into()),
            "the unit is {is:?}"
        );
    }
    let told = step("finish", 1)?;
    ensure!(told.contains("reboot"), "{told}");
    step("status", 0)?;
    Ok(())
}

/// Says what was watched: this boot, and the one before with its shutdown.
pub(super) fn tell() -> Result<()> {
    let told = step("status", 0)?;
    println!("{}", told.replace(" | ", "\n  "));
    for words in [
        "this boot: watched",
        "the boot before, with its shutdown",
        "v1",
    ] {
        ensure!(told.contains(words), "no {words:?} in {told}");
    }
    Ok(())
}

/// Finishes it: the report names cloud-init and every script that called v1 in between, and
/// the service is as it was before.
pub(super) fn finish() -> Result<()> {
    let told = step("finish", NOT_SAFE)?;
    println!("{}", told.replace(" | ", "\n  "));
    for caller in [
        "cloud-init",
        "register-host",
        "warm-cache",
        "deregister-host",
    ] {
        ensure!(told.contains(caller), "the report does not name {caller}");
    }
    let is = state(UNIT)?;
    ensure!(
        is == ("disabled".into(), "inactive".into()),
        "the unit is {is:?}"
    );
    ensure!(!Path::new(STATE).exists(), "there is still {STATE}");
    step("finish", 1)?;
    Ok(())
}
