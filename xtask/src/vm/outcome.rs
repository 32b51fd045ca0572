//! What came of a cell, and the file that lets a later run take it over.
//!
//! The file's key is a digest of everything that decides the outcome: kernel,
//! file system (both programs are in it) and the words for the init. Only a pass
//! is taken over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cell::Cell;
use crate::backend::Backend;

/// What came of a cell.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The cell.
    pub(crate) cell: Cell,
    /// Why it did not pass, if it did not.
    pub(crate) verdict: Result<(), String>,
    /// What was counted.
    pub(crate) facts: Facts,
    /// It passed in an earlier run, with the same inputs.
    pub(crate) earlier: bool,
    /// The VM's console, if it was booted.
    pub(crate) log: Option<PathBuf>,
}

/// What a cell's run has shown, as far as it got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The kernel's own word for its version.
    pub(crate) release: Option<String>,
    /// The backend that `auto` takes there, if this cell asked.
    pub(crate) auto: Option<Backend>,
    /// Cases that passed.
    pub(crate) passed: u64,
    /// Cases that failed.
    pub(crate) failed: u64,
    /// How long the VM lived.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// A cell that could not be run.
    pub(crate) fn not_run(cell: Cell, reason: String) -> Self {
        Self {
            cell,
            verdict: Err(reason),
            facts: Facts::default(),
            earlier: false,
            log: None,
        }
    }

    /// `ok`, `earlier` or `FAILED`.
    pub(crate) fn result(&self) -> &'static str {
        match (&self.verdict, self.earlier) {
            (Ok(()), false) => "ok",
            (Ok(()), true) => "passed earlier",
            (Err(_), _) => "FAILED",
        }
    }
}

/// The file of a cell's last pass.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    key: String,
}

impl Memory {
    /// The file `name` of a cell in `dir`; what it says counts if it was written with `key`.
    pub(super) fn new(dir: &Path, name: &str, key: String) -> Self {
        Self {
            file: dir.join(name),
            key,
        }
    }

    /// The facts of an earlier pass with the same key.
    pub(super) fn recall(&self) -> Option<Facts> {
        let text = fs::read_to_string(&self.file).ok()?;
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        if value("key")? != self.key {
            return None;
        }
        let facts = Facts {
            release: value("release").map(str::to_owned),
            auto: value("auto").and_then(Backend::of_name),
            passed: value("passed")?.parse().ok()?,
            failed: value("failed")?.parse().ok()?,
            elapsed: Duration::from_millis(value("milliseconds")?.parse().ok()?),
        };
        (facts.passed > 0 && facts.failed == 0).then_some(facts)
    }

    /// Forgets an earlier pass: what runs now decides.
    pub(super) fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Writes down a pass, whole or not at all.
    pub(super) fn keep(&self, facts: &Facts) -> Result<()> {
        let mut text = format!(
            "key={}\npassed={}\nfailed={}\nmilliseconds={}\n",
            self.key,
            facts.passed,
            facts.failed,
            facts.elapsed.as_millis()
        );
        if let Some(release) = &facts.release {
            text.push_str(&format!("release={release}\n"));
        }
        if let Some(auto) = facts.auto {
            text.push_str(&format!("auto={auto}\n"));
        }
        let new = self.file.with_added_extension("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.file))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::cell::matrix;

    fn facts() -> Facts {
        Facts {
            release: Some("6.1.0-56-cloud-amd64".into()),
            auto: Some(Backend::Fentry),
            passed: 53,
            failed: 0,
            elapsed: Duration::from_millis(31_250),
        }
    }

    #[test]
    fn pass_is_recalled_with_the_same_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let cell = matrix()[0];
        let memory = |key: &str| Memory::new(dir.path(), &cell.file_name(), key.into());
        assert_eq!(memory("a").recall(), None);
        memory("a").keep(&facts()).unwrap();
        assert_eq!(memory("a").recall(), Some(facts()));
        assert_eq!(memory("b").recall(), None);
        memory("b").forget().unwrap();
        assert_eq!(memory("a").recall(), None);
        memory("b").forget().unwrap();
    }

    #[test]
    fn damaged_file_or_one_of_a_failure_is_no_pass() {
        let dir = tempfile::tempdir().unwrap();
        let cell = matrix()[0];
        let memory = Memory::new(dir.path(), &cell.file_name(), "a".into());
        fs::write(dir.path().join(cell.file_name()), "key=a\npassed=").unwrap();
        assert_eq!(memory.recall(), None);
        for (passed, failed) in [(52, 1), (0, 0)] {
            let facts = Facts {
                passed,
                failed,
                ..facts()
            };
            memory.keep(&facts).unwrap();
            assert_eq!(memory.recall(), None);
        }
    }

    #[test]
    fn cells_do_not_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let cells = matrix();
        Memory::new(dir.path(), &cells[0].file_name(), "a".into())
            .keep(&facts())
            .unwrap();
        let other = Memory::new(dir.path(), &cells[1].file_name(), "a".into());
        assert_eq!(other.recall(), None);
    }
}
