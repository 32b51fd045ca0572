//! A Debian system in a directory: debootstrap, from this machine's own mirrors.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::command::{CommandExt as _, privileged, required};
use crate::kernel;
use crate::progress::note;

/// Installs `packages` of `suite`, and what is essential, into `tree`, from the first mirror
/// of this machine that serves it.
pub(super) fn bootstrap(suite: &str, packages: &[&str], tree: &Path) -> Result<()> {
    let mut failures = Vec::new();
    for mirror in kernel::mirrors(suite)? {
        note(format_args!("debootstrap {suite}: some minutes"));
        let mut command = privileged(required("debootstrap")?)?;
        command
            .args(["--variant=minbase", "--arch=amd64"])
            .arg(format!("--include={}", packages.join(",")));
        if Path::new(kernel::KEYRING).exists() {
            command.arg(format!("--keyring={}", kernel::KEYRING));
        }
        match command.arg(suite).arg(tree).arg(&mirror).read() {
            Ok(_) => return Ok(()),
            // What it said is the tree's own log, and the reason its last line.
            Err(error) => failures.push(last_words(tree, &error)),
        }
        privileged("rm")?.args(["-rf", "--"]).arg(tree).run()?;
    }
    bail!(
        "debootstrap could not make a {suite} system: {}",
        if failures.is_empty() {
            "this machine's apt sources name no Debian mirror".to_owned()
        } else {
            failures.join("; ")
        }
    )
}

fn last_words(tree: &Path, error: &anyhow::Error) -> String {
    let log = fs::read_to_string(tree.join("debootstrap/debootstrap.log")).unwrap_or_default();
    match log.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.to_owned(),
        None => error.to_string(),
    }
}
