//! Man pages and completions, which the example `manual` of imds-analyzer writes.
//!
//! This program can't: it would have to link the analyzer, and so could not be built
//! before `cargo xtask setup` has brought what building that needs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Release;
use crate::command::{CommandExt as _, cargo};

/// Writes them into `dir`, and nothing else is in it then.
pub(super) fn write(dir: &Path, release: &Release) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    // The profile of the unit tests: whoever runs them has it built.
    cargo()
        .args(["run", "--quiet", "--package", "imds-analyzer"])
        .args(["--example", "manual", "--"])
        .arg(dir)
        .arg(release.date("%F")?)
        .run()
}
