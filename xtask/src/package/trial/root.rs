//! A copy of a distribution's root, in which packages may do what they like.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{CommandExt as _, privileged};
use crate::distribution;
use crate::package::directory;

/// Runs the script `$2` in the root `$1`, in which `/proc` is. The network namespace is
/// one of its own: nothing that is tried reaches anybody.
const IN_ROOT: &str = "mount -t proc proc \"$1/proc\" && exec chroot \"$1\" \
    /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
    DEBIAN_FRONTEND=noninteractive DPKG_MAINTSCRIPT_PACKAGE=imds-analyzer sh -exc \"$2\"";
/// Notes its arguments. For whoever asks it something the answer is yes, and Debian's
/// preset, which deb-systemd-helper leaves to it, enables what is installed.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >>/systemctl.calls
case "$*" in
*is-enabled*) echo enabled ;;
*--preset-mode=enable-only*)
    mkdir -p /etc/systemd/system/sysinit.target.wants
    ln -s /usr/lib/systemd/system/imds-analyzer.service /etc/systemd/system/sysinit.target.wants/
    ;;
esac
"#;
/// Where packages are put for scripts.
const PACKAGES: &str = "packages";
/// What package managers write about themselves, groupdel's copies of what it changes, and
/// what this puts there.
const ITS_OWN: [&str; 11] = [
    "etc/group-",
    "etc/gshadow-",
    "packages",
    "systemctl.calls",
    "usr/bin/systemctl",
    "run/systemd",
    "var/cache/",
    "var/lib/dpkg/",
    "var/lib/rpm",
    "var/log/alternatives.log",
    "var/log/dpkg.log",
];

/// The copy.
#[derive(Debug)]
pub(super) struct Root {
    dir: PathBuf,
}

impl Root {
    /// Copies the root of `suite`, for what `name` says.
    pub(super) fn copy(suite: &str, name: &str) -> Result<Self> {
        let tree = distribution::tree(suite)?;
        let roots = directory().join("roots");
        fs::create_dir_all(&roots)?;
        let dir = roots.join(format!("{suite}-{name}"));
        // Of an earlier run that failed.
        privileged("rm")?.arg("-rf").arg(&dir).run()?;
        privileged("cp")?
            .args(["-a", "--reflink=auto"])
            .args([&tree, &dir])
            .run()?;
        Ok(Self { dir })
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Copies `file` into it; scripts find it at the path that is returned.
    pub(super) fn bring(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("a package has a name")?;
        let inside = Path::new(PACKAGES).join(name);
        let place = self.dir.join(&inside);
        privileged("install")?
            .arg("-D")
            .arg(file)
            .arg(place)
            .run()?;
        Ok(format!("/{}", inside.display()))
    }

    /// Makes it look as if systemd ran in it.
    pub(super) fn pretend_systemd(&self) -> Result<()> {
        let mut script = tempfile::NamedTempFile::new()?;
        std::io::Write::write_all(&mut script, SYSTEMCTL.as_bytes())?;
        privileged("install")?
            .args(["-D", "-m", "0755"])
            .arg(script.path())
            .arg(self.dir.join("usr/bin/systemctl"))
            .run()?;
        self.run("mkdir -p /run/systemd/system").map(drop)
    }

    /// How `systemctl` was called since it was asked for last.
    pub(super) fn systemctl_calls(&self) -> Result<Vec<String>> {
        let calls =
            self.run("touch /systemctl.calls; cat /systemctl.calls; : >/systemctl.calls")?;
        Ok(calls.lines().map(str::to_owned).collect())
    }

    /// The standard output of `script`, each of whose commands has to succeed.
    ///
    /// # Errors
    ///
    /// With every command up to the one that failed.
    pub(super) fn run(&self, script: &str) -> Result<String> {
        privileged("unshare")?
            .args(["--mount", "--propagation", "private", "--net"])
            .args(["--", "sh", "-c", IN_ROOT, "sh"])
            .arg(&self.dir)
            .arg(script)
            .read()
    }

    /// Every path in it with its kind and where it points to, and the groups; without what
    /// package managers write about themselves.
    pub(super) fn listing(&self) -> Result<BTreeSet<String>> {
        let paths = privileged("find")?
            .arg(&self.dir)
            .args(["-xdev", "-mindepth", "1", "-printf", "%P %y %l\\n"])
            .read()?;
        let groups = privileged("cat")?.arg(self.dir.join("etc/group")).read()?;
        Ok(paths
            .lines()
            .filter(|path| !ITS_OWN.iter().any(|own| path.starts_with(own)))
            .map(|path| path.trim_end().to_owned())
            .chain(groups.lines().map(|group| format!("group {group}")))
            .collect())
    }

    /// What is in one of the listings alone: `+` now, `-` `before`.
    pub(super) fn changes_since(&self, before: &BTreeSet<String>) -> Result<Vec<String>> {
        let now = self.listing()?;
        let gone = before.difference(&now).map(|path| format!("- {path}"));
        let new = now.difference(before).map(|path| format!("+ {path}"));
        Ok(gone.chain(new).collect())
    }

    /// Removes it; a failure leaves it for whoever looks for the reason.
    pub(super) fn remove(self) -> Result<()> {
        let mut command: Command = privileged("rm")?;
        command.arg("-rf").arg(&self.dir).run()
    }
}
