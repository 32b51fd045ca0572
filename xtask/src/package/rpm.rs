//! The rpm package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::template::fill_file;
use super::tree::{CONFIG, Places, Tree, sorted};
use super::{Product, directory, release};
use crate::command::CommandExt as _;
use crate::workspace;

const PLACES: Places = Places {
    prefix: "usr/",
    config: CONFIG,
    zsh: "usr/share/zsh/site-functions",
    units: "usr/lib/systemd/system",
    sysusers: "usr/lib/sysusers.d",
};

/// Writes it into `out`: `imds-analyzer-0.1.0-1.x86_64.rpm`.
pub(super) fn pack(product: &Product<'_>, out: &Path) -> Result<PathBuf> {
    let release = product.release;
    let repository = workspace::root();
    let tree = Tree::new(product.stage("rpm"))?;
    tree.put_common(product, PLACES)?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let path = format!("usr/share/licenses/imds-analyzer/{name}");
        tree.put_file(&path, &repository.join(name), 0o644)?;
    }
    tree.put_file(
        "usr/share/doc/imds-analyzer/CHANGELOG.md",
        &repository.join("CHANGELOG.md"),
        0o644,
    )?;
    let spec = fill_file(
        "rpm/imds-analyzer.spec.in",
        &[
            ("VERSION", &release.version),
            ("REVISION", &release.revision.to_string()),
            ("DATE_RPM", &release.date("%a %b %d %Y")?),
        ],
    )?;
    // Its own directory of sources, builds and results.
    let top = directory().join(format!("rpmbuild-{}", product.machine.arch));
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    fs::create_dir_all(&top)?;
    let spec_file = top.join("imds-analyzer.spec");
    fs::write(&spec_file, spec)?;
    let target = format!("{}-linux", product.machine.arch);
    let mut build = Command::new("rpmbuild");
    build
        .args(["-bb", "--target", &target])
        .env(release::EPOCH, release.epoch.to_string());
    for (name, value) in [
        ("_topdir", &*top),
        // Debian's rpm would make a database in the home directory.
        ("_dbpath", &top.join("database")),
        ("stage", tree.root()),
    ] {
        build
            .arg("--define")
            .arg(format!("{name} {}", value.display()));
    }
    build.arg(&spec_file).read()?;
    let built = sorted(&top.join("RPMS").join(product.machine.arch))?;
    let built = built.first().context("rpmbuild made no package")?;
    let package = out.join(built.file_name().context("a package has a name")?);
    fs::copy(built, &package).with_context(|| format!("cannot write {}", package.display()))?;
    Ok(package)
}
