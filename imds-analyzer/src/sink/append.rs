//! Appends whole lines to an open file, pipe or terminal.
//!
//! A line is one `write(2)` on a file opened with `O_APPEND`, so that whoever
//! else appends never lands inside a line. When the disk fills up in the
//! middle of one, the rest is written once there is space; a file that ends in
//! half a line (a crash) gets a newline before the first of ours.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long one wait for a full pipe takes that was set non-blocking by
/// whoever shares it.
const WAIT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// An open file, and where its last line stopped.
#[derive(Debug)]
pub(super) struct Appender {
    file: File,
    /// The last line stopped after this many bytes.
    progress: usize,
    /// Where the file ended then.
    end: u64,
    /// Something that is not ours ends without a newline.
    torn: bool,
}

impl Appender {
    /// Of something that was opened for appending.
    ///
    /// # Errors
    /// A file can't be read.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let torn = file.metadata()?.is_file() && ends_torn(&file)?;
        Ok(Self {
            file,
            progress: 0,
            end: 0,
            torn,
        })
    }

    /// What is appended to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the last line was written whole.
    pub(super) fn is_between_lines(&self) -> bool {
        self.progress == 0
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
    ///
    /// # Errors
    /// What `write(2)` says.
    pub(super) fn mend(&mut self) -> io::Result<()> {
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
pub(super) fn ends_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    let read = file.read_at(&mut byte, last)?;
    Ok(read == 1 && byte != *b"\n")
}

#[cfg(test)]
mod tests;
