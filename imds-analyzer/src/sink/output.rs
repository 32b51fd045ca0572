//! Where lines go: standard output, a log file, another file, or the journal.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::append::Appender;
use super::journal::Journal;
use super::log_file::{Directory, LogFile};
use crate::config::{self, Output};
use crate::record::PreviousEnd;

/// Why an output could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The last part of the path is a symbolic link.
    #[error(
        "{} is a symbolic link, which a log opened by root must not follow: name its target \
         (or `-` for standard output)", .0.display()
    )]
    SymbolicLink(PathBuf),
    /// The directory of a log is one.
    #[error(
        "{} is a symbolic link, and whoever can change it can send the log elsewhere: name the \
         directory that it leads to", .0.display()
    )]
    LinkedDirectory(PathBuf),
    /// Everybody can make and remove files where the log is to be.
    #[error(
        "everybody may write to {}, and so put another file in the log's place: name a directory \
         of its own, or `chmod o-w` this one", .0.display()
    )]
    OpenDirectory(PathBuf),
    /// The directory of a log is somebody else's.
    #[error(
        "{} belongs to user {owner}, who can put another file in the log's place: name a \
         directory of its own, or `chown` this one", path.display()
    )]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
    },
    /// The log's file system, or the service's view of it, can't be written.
    #[error(
        "{} is on a file system that is read-only here: name another file, or under systemd add \
         its directory to ReadWritePaths= (`systemctl edit imds-analyzer`)", .0.display()
    )]
    ReadOnly(PathBuf),
    /// It is a directory.
    #[error("{} is a directory: name a file in it", .0.display())]
    Directory(PathBuf),
    /// Its directory does not exist.
    #[error("{} can't be created: its directory does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// It is a disk or a socket.
    #[error("{} is neither a file, a FIFO nor a character device", .0.display())]
    Kind(PathBuf),
    /// The journal is not there.
    #[error("the journal's socket can't be reached: {0}; is systemd-journald running here?")]
    NoJournal(io::Error),
    /// The system refused.
    #[error("cannot open {} for appending: {source}", path.display())]
    System {
        /// The output.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open output.
#[derive(Debug)]
pub struct LineOutput {
    sink: Sink,
    name: String,
}

#[derive(Debug)]
enum Sink {
    /// Standard output, a FIFO, a device.
    Stream(Appender),
    Log(Box<LogFile>),
    Journal(Journal),
}

impl LineOutput {
    /// Opens the output. A file is created with mode 0640 if it is missing.
    ///
    /// A FIFO is opened for reading as well: that neither waits for a reader
    /// nor fails when the reader is restarted.
    ///
    /// # Errors
    /// It is a symbolic link, a directory or not writable, or a file in a
    /// directory where others can replace it.
    pub fn open(output: &Output, log: &config::Log) -> Result<Self, OpenError> {
        match output {
            Output::Stdout => {
                let system = |source| OpenError::System {
                    path: "-".into(),
                    source,
                };
                let file = io::stdout().as_fd().try_clone_to_owned().map_err(system)?;
                Self::from_file(file.into(), "standard output").map_err(system)
            }
            Output::Journal => Ok(Self {
                sink: Sink::Journal(Journal::open().map_err(OpenError::NoJournal)?),
                name: "the journal".to_owned(),
            }),
            Output::File(path) => Self::open_path(path, log),
        }
    }

    fn open_path(path: &Path, log: &config::Log) -> Result<Self, OpenError> {
        let Some(name) = path.file_name() else {
            return Err(OpenError::Directory(path.to_owned()));
        };
        let directory = Directory::of(path)?;
        if directory.has_none_or_file(name) {
            let log = LogFile::open(directory, path, log)?;
            return Ok(Self {
                sink: Sink::Log(Box::new(log)),
                name: path.display().to_string(),
            });
        }
        let file = directory
            .open(name, OFlags::empty())
            .map_err(|errno| OpenError::of_errno(path, errno))?;
        let system = |source| OpenError::System {
            path: path.to_owned(),
            source,
        };
        let kind = file.metadata().map_err(system)?.file_type();
        if !(kind.is_fifo() || kind.is_char_device()) {
            return Err(OpenError::Kind(path.to_owned()));
        }
        Self::from_file(file, &path.display().to_string()).map_err(system)
    }

    pub(super) fn from_file(file: File, name: &str) -> io::Result<Self> {
        Ok(Self {
            sink: Sink::Stream(Appender::new(file)?),
            name: name.to_owned(),
        })
    }

    /// For messages: the path, `standard output` or `the journal`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether somebody may be looking at it.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.sink, Sink::Stream(stream) if stream.file().is_terminal())
    }

    /// Whether it takes entries of the journal instead of lines.
    pub fn is_journal(&self) -> bool {
        matches!(&self.sink, Sink::Journal(_))
    }

    /// How the run before this one ended, as its log file tells.
    pub fn previous_end(&self) -> Option<PreviousEnd> {
        match &self.sink {
            Sink::Log(log) => log.previous_end(),
            Sink::Stream(_) | Sink::Journal(_) => None,
        }
    }

    /// When log files end from now on.
    pub(super) fn set_limits(&mut self, limits: &config::Log) {
        if let Sink::Log(log) = &mut self.sink {
            log.set_limits(limits);
        }
    }

    /// Looks whether the log file is still the one of its name, before lines are
    /// written and when somebody says that it is not.
    ///
    /// # Errors
    /// It is gone, and another could not be opened.
    pub(super) fn look(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Log(log) => log.look(),
            Sink::Stream(_) | Sink::Journal(_) => Ok(()),
        }
    }

    /// Appends one line, given with its newline, or one entry of the journal.
    ///
    /// # Errors
    /// What the system says. The same line has to be given again then; it goes on
    /// where it stopped.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stream(stream) => stream.write_line(line),
            Sink::Log(log) => log.write_line(line),
            Sink::Journal(journal) => journal.send(line),
        }
    }
}

impl OpenError {
    /// What `open(2)` of a log says, in words that help.
    pub(super) fn of_errno(path: &Path, errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;

        let path = path.to_owned();
        match errno {
            Errno::LOOP => Self::SymbolicLink(path),
            Errno::ISDIR => Self::Directory(path),
            Errno::NOENT => Self::NoDirectory(path),
            Errno::NXIO => Self::Kind(path),
            Errno::ROFS => Self::ReadOnly(path),
            errno => Self::System {
                path,
                source: errno.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
