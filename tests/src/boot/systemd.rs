//! What systemd says of units, and other programs that the guest runs.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

/// Runs a program and returns what it wrote to standard output.
///
/// # Errors
///
/// If it fails; with what it said.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = output(program, arguments)?;
    ensure!(
        output.status.success(),
        "`{program} {}` failed ({}): {}",
        arguments.join(" "),
        output.status,
        said(&output)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program that may fail.
///
/// # Errors
///
/// If it can't be started.
pub(super) fn output(program: &str, arguments: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("start {program}"))
}

/// What a program wrote, in one line.
pub(super) fn said(output: &Output) -> String {
    let text = [&*output.stderr, &*output.stdout].concat();
    String::from_utf8_lossy(&text).trim().replace('\n', " | ")
}

/// A property of a unit, as `systemctl show` has it; empty if it has none.
pub(super) fn property(unit: &str, name: &str) -> Result<String> {
    let value = run("systemctl", &["show", "--value", "--property", name, unit])?;
    Ok(value.trim().to_owned())
}

/// A moment of this boot, µs, when something happened to a unit.
///
/// # Errors
///
/// If it did not.
pub(super) fn moment(unit: &str, name: &str) -> Result<u64> {
    let value = property(unit, name)?;
    let moment = value.parse().unwrap_or(0);
    ensure!(moment > 0, "{unit} has no {name} in this boot: {value:?}");
    Ok(moment)
}

/// `enabled`, `disabled`, … of a unit, and `active`, `inactive`, ….
pub(super) fn state(unit: &str) -> Result<(String, String)> {
    Ok((
        property(unit, "UnitFileState")?,
        property(unit, "ActiveState")?,
    ))
}
