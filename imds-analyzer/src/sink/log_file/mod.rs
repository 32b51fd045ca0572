//! A log file: appended to, ended at a size or an age, and found again when another
//! program has renamed, removed or truncated it.
//!
//! * [`Directory`] is where it is, opened once and held against those who could put
//!   another file in its place.
//! * `archive` names what it is rotated into, `compress` keeps that small.
//! * `ending` reads how the run before this one ended.
//!
//! A rotation happens between two lines: the file gets its new name and one that was
//! made before takes its place, so whatever fails, lines go on to a file that is there.

mod archive;
mod compress;
mod directory;
mod ending;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::append::Appender;
use super::output::OpenError;
use crate::{clock, config, record::PreviousEnd};

pub use directory::Directory;

use compress::{Keeper, Room};

/// How long after a rotation that failed the next one is tried.
const RETRY: Duration = Duration::from_secs(60);

/// A log file that is written to.
#[derive(Debug)]
pub struct LogFile {
    directory: Arc<Directory>,
    name: OsString,
    path: PathBuf,
    current: Current,
    limits: Limits,
    /// Started when there is something to do.
    keeper: Option<Keeper>,
    /// The last name given to an old file, and its number.
    given: Option<(OsString, u32)>,
    /// Boot-time clock before which no rotation is tried, nanoseconds.
    not_before_ns: u64,
    /// Whether it was said that the file can't be opened again.
    said: bool,
    previous_end: Option<PreviousEnd>,
}

/// The file that has the log's name.
#[derive(Debug)]
struct Current {
    appender: Appender,
    /// Device and inode.
    identity: (u64, u64),
    size: u64,
    /// Boot-time clock when it was opened, nanoseconds.
    opened_ns: u64,
    /// How old it was then.
    age: Duration,
}

/// When a file ends, and how much is kept of old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    size: Option<u64>,
    age: Option<Duration>,
    keep: u64,
}

impl From<&config::Log> for Limits {
    fn from(log: &config::Log) -> Self {
        let asked = Some(u64::from(log.rotate_bytes)).filter(|bytes| *bytes > 0);
        let age = Some(log.rotate_after_s).filter(|seconds| *seconds > 0);
        // So the file, one being compressed, and what comes of it always find room.
        let most = log.keep_bytes / 4;
        let rotates = asked.is_some() || age.is_some();
        Self {
            size: rotates.then(|| asked.map_or(most, |bytes| bytes.min(most))),
            age: age.map(|seconds| Duration::from_secs(seconds.into())),
            keep: log.keep_bytes,
        }
    }
}

impl LogFile {
    /// Opens a log, or makes it.
    ///
    /// # Errors
    /// Its directory is not ours, or the system refuses.
    pub fn open(
        directory: Directory,
        path: &Path,
        limits: &config::Log,
    ) -> Result<Self, OpenError> {
        directory.require_ours()?;
        let name = path.file_name().unwrap_or(OsStr::new("")).to_owned();
        let system = |source| OpenError::System {
            path: path.to_owned(),
            source,
        };
        let file = directory
            .open_or_create(&name)
            .map_err(|errno| OpenError::of_errno(path, errno))?;
        // Another analyzer may be writing to it, and has not ended at all then.
        let is_only =
            flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK);
        let previous_end = match is_only {
            true if file.metadata().is_ok_and(|file| file.len() == 0) => {
                // The run before may have been killed in the middle of a rotation.
                ending_of_last(&directory, &name)
            }
            true => ending::of_log(&file).map_err(system)?,
            false => None,
        };
        let mut log = Self {
            directory: Arc::new(directory),
            name,
            path: path.to_owned(),
            current: Current::new(file).map_err(system)?,
            limits: limits.into(),
            keeper: None,
            given: None,
            not_before_ns: 0,
            said: false,
            previous_end,
        };
        if log.has_old() {
            log.tidy();
        }
        Ok(log)
    }

    /// How the run before this one ended.
    pub fn previous_end(&self) -> Option<PreviousEnd> {
        self.previous_end
    }

    /// When files end from now on.
    pub fn set_limits(&mut self, limits: &config::Log) {
        self.limits = limits.into();
        if self.has_old() {
            self.tidy();
        }
    }

    /// Looks whether the file is still the one of its name, and opens that if not.
    ///
    /// # Errors
    /// The file was removed, and no other could be opened. One that was only renamed is
    /// written to until one can.
    pub fn look(&mut self) -> io::Result<()> {
        let now = self.current.appender.file().metadata()?;
        self.current.size = now.len();
        let there = self.directory.stat(&self.name);
        if there.is_ok_and(|there| (there.st_dev, there.st_ino) == self.current.identity) {
            return Ok(());
        }
        match self.open_again() {
            Ok(()) => {
                self.said = false;
                tracing::info!("{} was replaced, and is opened again", self.path.display());
                Ok(())
            }
            Err(error) if now.nlink() == 0 => Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(
                        "{} was replaced by something that can't be opened: {error}; the records \
                         go on to the file that had its name",
                        self.path.display()
                    );
                }
                Ok(())
            }
        }
    }

    fn open_again(&mut self) -> io::Result<()> {
        self.directory
            .require_ours()
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        let file = self.directory.open_or_create(&self.name)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        self.current = Current::new(file)?;
        Ok(())
    }

    /// Appends one line, given with its newline, to this file or the next.
    ///
    /// # Errors
    /// As [`Appender::write_line`].
    pub fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_due(line.len() as u64)
            && let Err(error) = self.rotate()
        {
            self.not_before_ns = clock::boottime_ns() + RETRY.as_nanos() as u64;
            tracing::warn!(%error, "{} can't be rotated now, and grows on", self.path.display());
        }
        self.current.appender.write_line(line)?;
        self.current.size += line.len() as u64;
        Ok(())
    }

    fn is_due(&self, more: u64) -> bool {
        let Current { size, appender, .. } = &self.current;
        if *size == 0 || !appender.is_between_lines() {
            return false;
        }
        let now = clock::boottime_ns();
        let too_large = self.limits.size.is_some_and(|limit| size + more > limit);
        let too_old = || {
            let limit = self.limits.age?;
            (self.current.age_at(now) >= limit).then_some(())
        };
        now >= self.not_before_ns && (too_large || too_old().is_some())
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Whoever reads files one after the other must find whole lines at their ends.
        self.current.appender.mend()?;
        let next_name = archive::hidden(&self.name, ".next");
        self.directory.remove(&next_name)?;
        let next = self.directory.create(&next_name)?;
        if let Ok(of) = self.current.appender.file().metadata() {
            compress::keep_group(&of, &next);
        }
        let next = Current::new(next)?;
        let old_name = self.give_name().inspect_err(|_| {
            let _ = self.directory.remove(&next_name);
        })?;
        match self.directory.rename_to_free(&next_name, &self.name) {
            Ok(()) => self.current = next,
            Err(Errno::EXIST) => {
                // Another analyzer was faster; its file will do.
                let _ = self.directory.remove(&next_name);
                self.open_again()?;
            }
            Err(errno) => {
                let _ = self.directory.remove(&next_name);
                // The file gets its name back; without it, `look` makes another.
                let _ = self.directory.rename_to_free(&old_name, &self.name);
                return Err(errno.into());
            }
        }
        self.tidy();
        // Another analyzer may have put its own there in between.
        self.look()
    }

    /// Gives the file the name of an old one, and none that this run has given before:
    /// that file may be compressed at this moment, and its name seem free.
    fn give_name(&mut self) -> io::Result<OsString> {
        let stamped = archive::stamped(&self.name, jiff::Timestamp::now());
        let first = match &self.given {
            Some((given, number)) if *given == stamped => number + 1,
            _ => 0,
        };
        let mut last = first;
        let names = (first..).map(|number| {
            last = number;
            archive::numbered(&stamped, number)
        });
        let name = self.directory.rename_to_first_free(&self.name, names)?;
        self.given = Some((stamped, last));
        Ok(name)
    }

    /// Whether there are files that this log was rotated into.
    fn has_old(&self) -> bool {
        let files = self.directory.files().unwrap_or_default();
        files
            .iter()
            .any(|(name, size)| archive::Archived::parse(&self.name, name, *size).is_some())
    }

    /// Has old files compressed and removed, unless that is somebody else's.
    fn tidy(&mut self) {
        let Some(size) = self.limits.size else { return };
        if self.keeper.is_none() {
            match Keeper::start(Arc::clone(&self.directory), self.name.clone()) {
                Ok(keeper) => self.keeper = Some(keeper),
                Err(error) => tracing::warn!(%error, "old logs are not compressed"),
            }
        }
        if let Some(keeper) = &self.keeper {
            keeper.tidy(Room(self.limits.keep.saturating_sub(size)));
        }
    }
}

/// How the last file of a log ends that has none of its name, if it is not compressed.
fn ending_of_last(directory: &Directory, name: &OsStr) -> Option<PreviousEnd> {
    let files = directory.files().ok()?;
    let parse = |(file, size): &(OsString, u64)| archive::Archived::parse(name, file, *size);
    let last = files.iter().filter_map(parse).max()?;
    let file = directory.open(&last.name, OFlags::empty()).ok()?;
    ending::of_log(&file).ok()?
}

impl Current {
    fn new(file: File) -> io::Result<Self> {
        // Nobody compresses it while this lives; see `compress`.
        let _ = flock(&file, FlockOperation::NonBlockingLockShared);
        let metadata = file.metadata()?;
        // A clock that was set since, or a file system that does not tell, makes it new.
        let age = metadata
            .created()
            .ok()
            .and_then(|made| SystemTime::now().duration_since(made).ok())
            .unwrap_or_default();
        Ok(Self {
            appender: Appender::new(file)?,
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            opened_ns: clock::boottime_ns(),
            age,
        })
    }

    /// How old it is; the wall clock does not matter once it is open.
    fn age_at(&self, now_ns: u64) -> Duration {
        self.age + Duration::from_nanos(now_ns.saturating_sub(self.opened_ns))
    }
}

#[cfg(test)]
mod tests;
