//! Which files are read: those named, those of a directory, standard input, or the
//! log that the configuration names with what was rotated away from it.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::config::Output;

/// Most files that are read.
const MAX_FILES: usize = 100_000;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Its size as it lies there, bytes; 0 of a pipe.
        bytes: u64,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path can't be looked at.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration has no log.
    #[error(
        "the configuration writes records to standard output and no log: name files, a directory, or `-`"
    )]
    NoLog,
    /// There is no file.
    #[error("there is no log at {}", .0.display())]
    Nothing(PathBuf),
    /// There are too many.
    #[error("more than {MAX_FILES} files: name fewer")]
    TooMany,
}

/// What is to be read for these arguments, the oldest file first. Without arguments,
/// the log in `configured` and what was rotated away from it: the files of its directory
/// that its name begins the names of. A file that is named twice is read once.
///
/// # Errors
/// A path can't be read, or there is nothing at it.
pub fn find(named: &[PathBuf], configured: &Output) -> Result<Vec<Source>, SourceError> {
    let mut found = Found::default();
    if named.is_empty() {
        let Output::File(log) = configured else {
            return Err(SourceError::NoLog);
        };
        let name = log.file_name().unwrap_or(log.as_os_str());
        let directory = log.parent().filter(|path| !path.as_os_str().is_empty());
        let is_wanted = |file: &OsStr| file.as_encoded_bytes().starts_with(name.as_encoded_bytes());
        if found.add_directory(directory.unwrap_or(Path::new(".")), is_wanted)? == 0 {
            return Err(SourceError::Nothing(log.clone()));
        }
    }
    for path in named {
        if path == Path::new("-") {
            found.stdin = true;
            continue;
        }
        let metadata = fs::metadata(path).map_err(|source| SourceError::Read {
            path: path.clone(),
            source,
        })?;
        if metadata.is_dir() {
            let is_wanted = |name: &OsStr| !name.as_encoded_bytes().starts_with(b".");
            if found.add_directory(path, is_wanted)? == 0 {
                return Err(SourceError::Nothing(path.clone()));
            }
        } else {
            found.add(path.clone(), &metadata)?;
        }
    }
    Ok(found.in_order())
}

#[derive(Default)]
struct Found {
    stdin: bool,
    files: Vec<(SystemTime, PathBuf, u64)>,
    seen: HashSet<(u64, u64)>,
}

impl Found {
    fn add(&mut self, path: PathBuf, metadata: &fs::Metadata) -> Result<(), SourceError> {
        if self.seen.insert((metadata.dev(), metadata.ino())) {
            let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let bytes = if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
            self.files.push((written, path, bytes));
        }
        if self.files.len() > MAX_FILES {
            return Err(SourceError::TooMany);
        }
        Ok(())
    }

    /// Adds the regular files of a directory whose names are `wanted`; how many there are.
    fn add_directory(
        &mut self,
        directory: &Path,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Result<usize, SourceError> {
        let mut found = 0;
        let failed = |source| SourceError::Read {
            path: directory.to_owned(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !wanted(&entry.file_name()) {
                continue;
            }
            // Rotated away between the two: it has another name by now, and comes up again.
            let Ok(metadata) = fs::metadata(entry.path()) else {
                continue;
            };
            if metadata.is_file() {
                found += 1;
                self.add(entry.path(), &metadata)?;
            }
        }
        Ok(found)
    }

    fn in_order(mut self) -> Vec<Source> {
        self.files.sort();
        let stdin = self.stdin.then_some(Source::Stdin);
        let files = self.files.into_iter();
        files
            .map(|(_, path, bytes)| Source::File { path, bytes })
            .chain(stdin)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn directory(files: &[(&str, u64)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, age_s) in files {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_s))
                .unwrap();
        }
        directory
    }

    fn names(sources: &[Source]) -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        sources
            .iter()
            .map(|source| match source {
                Source::Stdin => "-".to_owned(),
                Source::File { path, .. } => name(path),
            })
            .collect()
    }

    #[test]
    fn configured_log_is_read_with_what_was_rotated_away_oldest_first() {
        let dir = directory(&[
            ("a.log", 0),
            ("a.log.20261121T000000Z.gz", 20),
            ("a.log-20261120.gz", 30),
            ("a.log.1", 10),
            ("b.log", 5),
        ]);
        let log = Output::File(dir.path().join("a.log"));
        assert_eq!(
            names(&find(&[], &log).unwrap()),
            [
                "a.log-20261120.gz",
                "a.log.20261121T000000Z.gz",
                "a.log.1",
                "a.log"
            ]
        );
        assert!(matches!(
            find(&[], &Output::Stdout),
            Err(SourceError::NoLog)
        ));
        let none = Output::File(dir.path().join("c.log"));
        assert!(matches!(find(&[], &none), Err(SourceError::Nothing(_))));
    }

    #[test]
    fn directory_is_read_without_hidden_files_and_what_is_below_it() {
        let dir = directory(&[("x", 2), ("y", 1), (".z", 3)]);
        fs::create_dir(dir.path().join("below")).unwrap();
        let named = [dir.path().to_owned()];
        assert_eq!(names(&find(&named, &Output::Stdout).unwrap()), ["x", "y"]);
    }

    #[test]
    fn file_that_is_named_twice_is_read_once() {
        let dir = directory(&[("x", 2)]);
        let file = dir.path().join("x");
        std::os::unix::fs::symlink(&file, dir.path().join("y")).unwrap();
        let named = [file, dir.path().to_owned(), "-".into(), "-".into()];
        assert_eq!(names(&find(&named, &Output::Stdout).unwrap()), ["x", "-"]);
    }

    #[test]
    fn file_that_is_missing_is_an_error() {
        let named = ["/none/such".into()];
        let error = find(&named, &Output::Stdout).unwrap_err();
        assert!(error.to_string().contains("/none/such"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let named = [empty.path().to_owned()];
        assert!(matches!(
            find(&named, &Output::Stdout),
            Err(SourceError::Nothing(_))
        ));
    }
}
