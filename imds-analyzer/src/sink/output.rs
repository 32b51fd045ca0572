//! Where lines go: standard output or a file that is appended to.
//!
//! A line is one `write(2)` on a file opened with `O_APPEND`, so that whoever
//! else appends never lands inside a line. When the disk fills up in the
//! middle of one, the rest is written once there is space; a file that ends in
//! half a line (a crash) gets a newline before the first of ours.

use std::fs::File;
use std::io::{self, IsTerminal, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::config::Output;

/// How long one wait for a full pipe takes that was set non-blocking by
/// whoever shares it.
const WAIT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Why an output could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The last part of the path is a symbolic link.
    #[error(
        "{} is a symbolic link, which a log opened by root must not follow: name its target \
         (or `-` for standard output)", .0.display()
    )]
    SymbolicLink(PathBuf),
    /// It is a directory.
    #[error("{} is a directory: name a file in it", .0.display())]
    Directory(PathBuf),
    /// Its directory does not exist.
    #[error("{} can't be created: its directory does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// It is a disk or a socket.
    #[error("{} is neither a file, a FIFO nor a character device", .0.display())]
    Kind(PathBuf),
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
    file: File,
    name: String,
    /// The last line stopped after this many bytes.
    progress: usize,
    /// Where the file ended then.
    end: u64,
    /// Something that is not ours ends without a newline.
    torn: bool,
}

impl LineOutput {
    /// Opens the output. A file is created with mode 0640 if it is missing.
    ///
    /// A FIFO is opened for reading as well: that neither waits for a reader
    /// nor fails when the reader is restarted.
    ///
    /// # Errors
    /// It is a symbolic link, a directory or not writable.
    pub fn open(output: &Output) -> Result<Self, OpenError> {
        match output {
            Output::Stdout => {
                let system = |source| OpenError::System {
                    path: "-".into(),
                    source,
                };
                let file = io::stdout().as_fd().try_clone_to_owned().map_err(system)?;
                Ok(Self::from_file(file.into(), "standard output"))
            }
            Output::File(path) => Self::open_file(path),
        }
    }

    fn open_file(path: &Path) -> Result<Self, OpenError> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let system = |source| OpenError::System {
            path: path.to_owned(),
            source,
        };
        let fd = open(path, flags, Mode::from_raw_mode(0o640)).map_err(|errno| match errno {
            Errno::LOOP => OpenError::SymbolicLink(path.to_owned()),
            Errno::ISDIR => OpenError::Directory(path.to_owned()),
            Errno::NOENT => OpenError::NoDirectory(path.to_owned()),
            Errno::NXIO => OpenError::Kind(path.to_owned()),
            errno => system(errno.into()),
        })?;
        let file = File::from(fd);
        let kind = file.metadata().map_err(system)?.file_type();
        if !(kind.is_file() || kind.is_fifo() || kind.is_char_device()) {
            return Err(OpenError::Kind(path.to_owned()));
        }
        let torn = kind.is_file() && ends_torn(&file).map_err(system)?;
        Ok(Self {
            torn,
            ..Self::from_file(file, &path.display().to_string())
        })
    }

    pub(super) fn from_file(file: File, name: &str) -> Self {
        Self {
            file,
            name: name.to_owned(),
            progress: 0,
            end: 0,
            torn: false,
        }
    }

    /// For messages: the path, or `standard output`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether somebody may be looking at it.
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Appends one line, given with its newline.
    ///
    /// # Errors
    /// What `write(2)` says. The same line has to be given again then; it goes
    /// on where it stopped.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.mend()?;
        while self.progress < line.len() {
            match self.write(&line[self.progress..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.progress += written,
                Err(error) => {
                    self.end = self.file.stream_position().unwrap_or(0);
                    return Err(error);
                }
            }
        }
        self.progress = 0;
        Ok(())
    }

    /// Makes the output ready for what comes next: the rest of a line if its
    /// beginning is still the end of the file, else a new line.
    fn mend(&mut self) -> io::Result<()> {
        if self.progress > 0 {
            let now = self.file.metadata()?;
            // Truncated by a log rotation, or somebody else appended.
            if now.is_file() && now.len() != self.end {
                self.torn = ends_torn(&self.file).unwrap_or(false);
                self.progress = 0;
            }
        }
        if self.torn {
            self.write(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut wanted = [PollFd::new(&self.file, PollFlags::OUT)];
                    match poll(&mut wanted, Some(&WAIT)) {
                        Ok(0) => return Err(error),
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                result => return result,
            }
        }
    }
}

/// Whether the file is not empty and its last byte is not a newline.
fn ends_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    let read = file.read_at(&mut byte, last)?;
    Ok(read == 1 && byte != *b"\n")
}

#[cfg(test)]
mod tests;
