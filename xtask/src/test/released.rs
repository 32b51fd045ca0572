//! That the released binary is one file which runs on any distribution: in an old one.
//! The core of the matrix has it in a VM where there is nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command::{CommandExt as _, privileged};
use crate::cross::HOST_TARGET;
use crate::dist;
use crate::kernel::{self, KEYRING};
use crate::progress::note;
use crate::workspace;

/// Debian 11: the oldest Debian whose kernel can be watched. Its C library, 2.31, is older
/// than the one that is linked in.
const OLD_SUITE: &str = "bullseye";
/// Written when the tree is complete.
const COMPLETE: &str = "complete";
/// Mounts what `check` reads, then runs the program, `$2`, in the tree `$1`.
const IN_TREE: &str = "mount -t proc proc \"$1/proc\" && mount --rbind /sys \"$1/sys\" \
                       && exec chroot \"$1\" /imds-analyzer \"$2\"";

/// Builds the binary as it is released and runs it in a tree of Debian 11.
pub(super) fn verify() -> Result<()> {
    let machine = kernel::of_target(HOST_TARGET).context("there is no release for this machine")?;
    let program = dist::build(machine)?;
    let tree = old_distribution()?;
    privileged("cp")?
        .arg(&program)
        .arg(tree.join("imds-analyzer"))
        .run()?;
    let version = run_in(&tree, "--version")?;
    ensure!(
        version.starts_with("imds-analyzer "),
        "--version says: {version}"
    );
    let check = run_in(&tree, "check")?;
    ensure!(
        check.contains("This host can be watched"),
        "check says: {check}"
    );
    Ok(())
}

/// The standard output of the program in `tree`, which has to succeed.
fn run_in(tree: &Path, argument: &str) -> Result<String> {
    privileged("unshare")?
        .args(["--mount", "--propagation", "private"])
        .args(["--", "sh", "-c", IN_TREE, "sh"])
        .arg(tree)
        .arg(argument)
        .read()
        .with_context(|| format!("imds-analyzer {argument} in {OLD_SUITE}"))
}

/// The tree, from the cache or made by debootstrap.
fn old_distribution() -> Result<PathBuf> {
    let dir = workspace::target_dir().join("distributions");
    fs::create_dir_all(&dir)?;
    let tree = dir.join(OLD_SUITE);
    if tree.join(COMPLETE).is_file() {
        return Ok(tree);
    }
    let mut failures = Vec::new();
    for mirror in kernel::mirrors(OLD_SUITE)? {
        note(format_args!(
            "installing {OLD_SUITE} into {}",
            tree.display()
        ));
        // What an interrupted run has left would only confuse the next.
        privileged("rm")?.arg("-rf").arg(&tree).run()?;
        match debootstrap(&tree, &mirror) {
            Ok(()) => {
                privileged("touch")?.arg(tree.join(COMPLETE)).run()?;
                return Ok(tree);
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    bail!(
        "no mirror of this machine gives Debian's {OLD_SUITE}: {}",
        failures.join("; ")
    )
}

fn debootstrap(tree: &Path, mirror: &str) -> Result<()> {
    let mut command: Command = privileged("debootstrap")?;
    command.arg("--variant=minbase");
    if Path::new(KEYRING).exists() {
        command.arg(format!("--keyring={KEYRING}"));
    }
    command.arg(OLD_SUITE).arg(tree).arg(mirror).read()?;
    Ok(())
}
