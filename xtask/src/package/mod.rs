//! The packages around the static binary: .deb, .rpm and a tarball with a script.
//!
//! What is in them and what their scripts do are files in `packaging/`; this fills in
//! versions and dates and runs the distributions' own tools. The same commit gives the
//! same bytes: every time is the commit's, every owner root, every list sorted.
//!
//! [`lint`] and [`trial`] hold the packages against the tools and the distributions that
//! will read them.

mod deb;
pub(crate) mod lint;
mod notices;
mod pages;
mod release;
mod rpm;
mod tarball;
mod template;
mod tree;
pub(crate) mod trial;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::kernel::Machine;
use crate::progress::step;
use crate::workspace;

pub(crate) use release::Release;

/// What is the same in every package of one commit.
#[derive(Debug)]
pub(crate) struct Common {
    /// Directory of man pages and completions.
    pages: PathBuf,
    /// The licences of what is linked in.
    notices: String,
}

impl Common {
    /// Makes man pages, completions and notices below `target/package`.
    pub(crate) fn make(release: &Release) -> Result<Self> {
        let pages = directory().join("manual");
        step("man pages and completions", || {
            pages::write(&pages, release)
        })?;
        Ok(Self {
            pages,
            notices: step("licences of others", || notices::collect(release))?,
        })
    }
}

/// One program, and the version as which it is packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    /// What it runs on.
    pub(crate) machine: &'a Machine,
    /// The static binary.
    pub(crate) program: &'a Path,
    /// Version and date.
    pub(crate) release: &'a Release,
    /// What is not of one machine.
    pub(crate) common: &'a Common,
}

/// The packages of one [`Product`].
#[derive(Debug)]
pub(crate) struct Packages {
    /// For Debian and Ubuntu.
    pub(crate) deb: PathBuf,
    /// For Amazon Linux, Fedora, RHEL.
    pub(crate) rpm: PathBuf,
    /// For the others.
    pub(crate) tarball: PathBuf,
}

impl Packages {
    /// Their paths, in the order in which they are listed.
    pub(crate) fn paths(&self) -> [&Path; 3] {
        [&self.deb, &self.rpm, &self.tarball]
    }
}

impl Product<'_> {
    /// Writes all three into `out`.
    pub(crate) fn pack(&self, out: &Path) -> Result<Packages> {
        Ok(Packages {
            deb: self.deb(out)?,
            rpm: rpm::pack(self, out)?,
            tarball: tarball::pack(self, out)?,
        })
    }

    /// Writes the .deb alone into `out`: what the boot test installs.
    pub(crate) fn deb(&self, out: &Path) -> Result<PathBuf> {
        deb::pack(self, out)
    }

    /// A directory of its own for what is packed as `kind`.
    fn stage(&self, kind: &str) -> PathBuf {
        directory().join(format!(
            "{kind}-{}-{}",
            self.machine.arch,
            self.release.full()
        ))
    }
}

/// Where everything that is made on the way is; below `target`.
fn directory() -> PathBuf {
    workspace::target_dir().join("package")
}

/// The file `name` of `packaging/`.
fn source(name: &str) -> PathBuf {
    workspace::root().join("packaging").join(name)
}
