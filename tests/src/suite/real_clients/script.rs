//! Scripts that live as long as a case.

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};

/// A script in a directory of its own, removed when dropped.
#[derive(Debug)]
pub(in crate::suite) struct ScriptFile {
    /// Where it is.
    pub(in crate::suite) path: PathBuf,
    _directory: tempfile::TempDir,
}

/// Writes a script.
pub(in crate::suite) fn script_file(name: &str, content: &str) -> Result<ScriptFile> {
    let directory = tempfile::tempdir().context("make a temporary directory")?;
    let path = directory.path().join(name);
    std::fs::File::create(&path)?.write_all(content.as_bytes())?;
    Ok(ScriptFile {
        path,
        _directory: directory,
    })
}
