//! A Debian system in a directory: debootstrap, from this machine's own mirrors.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{CommandExt as _, privileged, required};
use crate::kernel;
use crate::progress::note;

/// What nobody reads in a guest: a third of an image.
pub(super) const UNREAD: &[&str] = &[
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];

/// As [`bootstrap`], without `left_out`, and from an archive below `dir` if that was made
/// of the same packages before: unpacking takes seconds.
pub(super) fn bootstrap_once(
    dir: &Path,
    suite: &str,
    packages: &[&str],
    left_out: &[&str],
    tree: &Path,
) -> Result<()> {
    let (archive, manifest_file) = (dir.join("debian.tar"), dir.join("debian.manifest"));
    let manifest = format!(
        "{suite} {}\nwithout {}\n",
        packages.join(" "),
        left_out.join(" ")
    );
    let is_same = fs::read_to_string(&manifest_file).is_ok_and(|old| old == manifest);
    if !is_same || !archive.is_file() {
        remove_if_there(&manifest_file)?;
        remove_if_there(&archive)?;
        bootstrap(suite, packages, tree)?;
        let mut remove = privileged("rm")?;
        remove.args(["-rf", "--"]);
        remove.args(left_out.iter().map(|directory| tree.join(directory)));
        remove.run()?;
        // Ours, though root fills it.
        fs::File::create(&archive)?;
        privileged("tar")?
            .args(["--numeric-owner", "--xattrs", "-C"])
            .arg(tree)
            .arg("-cf")
            .args([&archive, &PathBuf::from(".")])
            .run()?;
        return fs::write(&manifest_file, manifest).context("cannot write the manifest");
    }
    privileged("mkdir")?.arg("-p").arg(tree).run()?;
    privileged("tar")?
        .args(["--numeric-owner", "--xattrs", "-C"])
        .arg(tree)
        .arg("-xpf")
        .arg(&archive)
        .run()
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

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
