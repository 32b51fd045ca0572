//! The version that is packed, and its date: that of the last commit, so that the same
//! commit gives the same packages.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::CommandExt as _;
use crate::workspace;

/// Tells a time to whoever builds (reproducible-builds.org/specs/source-date-epoch):
/// seconds since 1970.
pub(super) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A version of the packages.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// Of the program.
    pub(super) version: String,
    /// Of the packages: the same program may be packed again.
    pub(super) revision: u32,
    /// Seconds since 1970.
    pub(super) epoch: u64,
}

impl Release {
    /// This workspace's version, of the time of its last commit or `SOURCE_DATE_EPOCH`.
    pub(crate) fn of_workspace() -> Result<Self> {
        let epoch = match env::var(EPOCH) {
            Ok(epoch) => epoch,
            Err(_) => Command::new("git")
                .current_dir(workspace::root())
                .args(["log", "-1", "--format=%ct"])
                .read()
                .with_context(|| format!("no commit says of what time this is: set {EPOCH}"))?,
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 1,
            epoch: epoch
                .trim()
                .parse()
                .with_context(|| format!("not seconds since 1970: {epoch}"))?,
        })
    }

    /// The same program, packed as a newer version.
    pub(crate) fn next(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    /// Version and revision, as Debian writes them: `0.1.0-1`.
    pub(super) fn full(&self) -> String {
        format!("{}-{}", self.version, self.revision)
    }

    /// Its date in UTC, in a format of `date`.
    pub(super) fn date(&self, format: &str) -> Result<String> {
        let text = Command::new("date")
            .env("LC_ALL", "C")
            .args(["--utc", &format!("--date=@{}", self.epoch)])
            .arg(format!("+{format}"))
            .read()?;
        Ok(text.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_release_differs_in_the_revision_alone() {
        let release = Release {
            version: "1.2.3".into(),
            revision: 1,
            epoch: 1_000_000_000,
        };
        assert_eq!(release.full(), "1.2.3-1");
        assert_eq!(release.next().full(), "1.2.3-2");
        assert_eq!(release.next().date("%F %T").unwrap(), "2001-09-09 01:46:40");
    }
}
