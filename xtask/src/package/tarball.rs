//! The archive for hosts without dpkg and rpm: the files, and scripts that put them
//! where they belong and take them away again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::tree::{Places, Tree};
use super::{Product, source};
use crate::command::CommandExt as _;
use crate::workspace;

/// `install.sh` knows which of them go below its `PREFIX`.
const PLACES: Places = Places {
    prefix: "tree/",
    config: "tree/etc/imds-analyzer/imds-analyzer.toml",
    zsh: "tree/share/zsh/site-functions",
    units: "tree/lib/systemd/system",
    sysusers: "tree/lib/sysusers.d",
};

/// Writes it into `out`: `imds-analyzer-0.1.0-linux-x86_64.tar.gz`.
pub(super) fn pack(product: &Product<'_>, out: &Path) -> Result<PathBuf> {
    let release = product.release;
    let repository = workspace::root();
    let name = format!(
        "imds-analyzer-{}-linux-{}",
        release.version, product.machine.arch
    );
    let parent = product.stage("tar");
    let tree = Tree::new(parent.join(&name))?;
    tree.put_common(product, PLACES)?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "README.md"] {
        let path = format!("tree/share/doc/imds-analyzer/{name}");
        tree.put_file(&path, &repository.join(name), 0o644)?;
    }
    for script in ["install.sh", "uninstall.sh"] {
        tree.put_file(script, &source(&format!("tarball/{script}")), 0o755)?;
    }
    let archive = out.join(format!("{name}.tar"));
    Command::new("tar")
        .args(["--create", "--format=ustar", "--sort=name"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .arg(format!("--mtime=@{}", release.epoch))
        .arg("--directory")
        .arg(&parent)
        .arg("--file")
        .arg(&archive)
        .arg(&name)
        .read()?;
    let package = out.join(format!("{name}.tar.gz"));
    if package.exists() {
        fs::remove_file(&package)?;
    }
    Command::new("gzip")
        .args(["--best", "--no-name"])
        .arg(&archive)
        .read()?;
    Ok(package)
}
