//! Trees of Debian's releases, made once by debootstrap and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{CommandExt as _, privileged};
use crate::kernel::{self, KEYRING};
use crate::progress::note;
use crate::workspace;

/// Debian 11: the oldest Debian whose kernel can be watched. Its C library, 2.31, is older
/// than the one that is linked in.
pub(crate) const OLDEST: &str = "bullseye";
/// The releases that packages have to work on, from Debian 11 on. Ubuntu's are made of the
/// same.
pub(crate) const SUITES: [&str; 3] = [OLDEST, "bookworm", "trixie"];
/// Written when the tree is complete.
const COMPLETE: &str = "complete";

/// The root of `suite`, from the cache or made by debootstrap. What is put into it stays
/// there: whoever changes more than a file takes a copy.
pub(crate) fn tree(suite: &str) -> Result<PathBuf> {
    let dir = workspace::target_dir().join("distributions");
    fs::create_dir_all(&dir)?;
    let tree = dir.join(suite);
    if tree.join(COMPLETE).is_file() {
        return Ok(tree);
    }
    let mut failures = Vec::new();
    for mirror in kernel::mirrors(suite)? {
        note(format_args!("installing {suite} into {}", tree.display()));
        // What an interrupted run has left would only confuse the next.
        privileged("rm")?.arg("-rf").arg(&tree).run()?;
        match debootstrap(suite, &tree, &mirror) {
            Ok(()) => {
                privileged("touch")?.arg(tree.join(COMPLETE)).run()?;
                return Ok(tree);
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    bail!(
        "no mirror of this machine gives Debian's {suite}: {}",
        failures.join("; ")
    )
}

fn debootstrap(suite: &str, tree: &Path, mirror: &str) -> Result<()> {
    let mut command: Command = privileged("debootstrap")?;
    command.arg("--variant=minbase");
    if Path::new(KEYRING).exists() {
        command.arg(format!("--keyring={KEYRING}"));
    }
    command.arg(suite).arg(tree).arg(mirror).read()?;
    Ok(())
}
