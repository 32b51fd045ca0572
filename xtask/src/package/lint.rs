//! The distributions' own checks of the packages: lintian and rpmlint.
//!
//! What they may say all the same is in `packaging/`, each with its reason.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Packages, source};
use crate::command::line;

/// Fails with what one of them complains about.
pub(crate) fn check(packages: &Packages) -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian
        // Without this it refuses to run as root, which CI is.
        .args(["--allow-root", "--fail-on", "error,warning"])
        .args(["--tag-display-limit", "0"])
        .arg(&packages.deb);
    clean(&mut lintian)?;

    let mut rpmlint = Command::new("rpmlint");
    rpmlint
        .arg("--config")
        .arg(source("rpm/rpmlint.toml"))
        .arg(&packages.rpm);
    let said = clean(&mut rpmlint)?;
    // It exits with 0 for warnings.
    let summary = said
        .lines()
        .find(|line| line.contains(" errors, "))
        .context("rpmlint did not say how it went")?;
    ensure!(
        summary.contains(" 0 errors, 0 warnings"),
        "`{}` says:\n{said}",
        line(&rpmlint)
    );
    Ok(())
}

/// What `command` says, if it is content.
fn clean(command: &mut Command) -> Result<String> {
    let output = command.env("LC_ALL", "C.UTF-8").output().with_context(|| {
        format!(
            "cannot start `{}`: `cargo xtask setup` installs it",
            line(command)
        )
    })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "`{}` says:\n{}{}",
            line(command),
            said,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(said)
}
