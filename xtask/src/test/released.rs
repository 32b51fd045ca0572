//! That the released binary is one file which runs on any distribution: in an old one.
//! The core of the matrix has it in a VM where there is nothing else.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::command::{CommandExt as _, privileged};
use crate::dist;
use crate::distribution::{self, OLDEST};

/// Mounts what `check` reads, then runs the program, `$2`, in the tree `$1`.
const IN_TREE: &str = "mount -t proc proc \"$1/proc\" && mount --rbind /sys \"$1/sys\" \
                       && exec chroot \"$1\" /imds-analyzer \"$2\"";

/// Builds the binary as it is released and runs it in a tree of Debian 11.
pub(super) fn verify() -> Result<()> {
    let program = dist::build(dist::this_machine()?)?;
    let tree = distribution::tree(OLDEST)?;
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
        .with_context(|| format!("imds-analyzer {argument} in {OLDEST}"))
}
