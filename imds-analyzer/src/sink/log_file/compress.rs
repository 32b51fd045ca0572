//! Compresses what a log was rotated into, and removes the oldest of it beyond the
//! bound.
//!
//! It is done by a thread of its own that takes a fifth of a processor at most, started
//! when there is something to do. What is compressed appears under its name at once and
//! whole: it is written under a hidden one, brought to the disk and renamed, and the
//! file that it was made of removed last. After a crash in between both are there; the
//! next start removes the second.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use flate2::{Compression, Crc, write::GzEncoder};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::setpriority_process;

use super::archive::{Archived, hidden, numbered, surplus};
use super::directory::Directory;

/// What is read at a time, bytes.
const CHUNK: usize = 64 << 10;

/// So many times as long as a chunk took, the thread rests.
const REST: u32 = 4;

/// When what could not be done is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// The lowest priority (getpriority(2)).
const NICEST: i32 = 19;

/// Stack of the thread, bytes: a build without optimisation makes the compressor's
/// tables there before it moves them to the heap.
const STACK: usize = 1 << 20;

/// End of the name of something that is being compressed.
const PART: &str = ".gz.part";

/// Asks the thread to tidy up.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: SyncSender<Room>,
}

/// How much the files that a log was rotated into may take together, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room(pub(super) u64);

impl Keeper {
    /// Starts the thread for the log of this name.
    ///
    /// # Errors
    /// No thread could be started.
    pub(super) fn start(directory: Arc<Directory>, log: OsString) -> io::Result<Self> {
        // One order that waits says as much as several.
        let (orders, ordered) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("archive".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // Refused under the unit's filter; resting does as well.
                let _ = setpriority_process(None, NICEST);
                tidy_all(&Tidy { directory, log }, &ordered);
            })?;
        Ok(Self { orders })
    }

    /// Has everything compressed, and what is too much removed.
    pub(super) fn tidy(&self, room: Room) {
        let _ = self.orders.try_send(room);
    }
}

fn tidy_all(tidy: &Tidy, ordered: &Receiver<Room>) {
    tidy.remove_parts();
    let Ok(mut room) = ordered.recv() else { return };
    loop {
        let is_done = tidy.once(room);
        room = match ordered.recv_timeout(if is_done { Duration::MAX } else { RETRY }) {
            Ok(room) => room,
            Err(RecvTimeoutError::Timeout) => room,
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}

/// The files of one log.
struct Tidy {
    directory: Arc<Directory>,
    log: OsString,
}

impl Tidy {
    /// Whether nothing is left to do.
    fn once(&self, room: Room) -> bool {
        match self.try_once(room) {
            Ok(is_done) => is_done,
            Err(error) => {
                let directory = self.directory.path().display();
                tracing::warn!(%error, "old logs in {directory} cannot be tidied up; tried again");
                false
            }
        }
    }

    fn try_once(&self, Room(room): Room) -> io::Result<bool> {
        let mut plain = self.plain()?;
        // A file and what is made of it are there at the same time.
        let most = plain.iter().map(|file| file.size).max().unwrap_or(0);
        self.remove_surplus(room.saturating_sub(most))?;
        plain.sort_by_key(|file| Reverse(file.clone()));
        let mut is_done = true;
        while let Some(file) = plain.pop() {
            match self.compress(&file) {
                Ok(did) => is_done &= did,
                // Removed as surplus.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.remove_surplus(room)?;
        Ok(is_done)
    }

    fn archived(&self) -> io::Result<Vec<Archived>> {
        let files = self.directory.files()?;
        let parse = |(name, size): (OsString, u64)| Archived::parse(&self.log, &name, size);
        Ok(files.into_iter().filter_map(parse).collect())
    }

    fn plain(&self) -> io::Result<Vec<Archived>> {
        let mut files = self.archived()?;
        files.retain(|file| !file.compressed);
        Ok(files)
    }

    fn remove_surplus(&self, room: u64) -> io::Result<()> {
        for file in surplus(self.archived()?, room) {
            self.directory.remove(&file.name)?;
            tracing::info!(
                "{} is removed: the old logs take more than log.keep_bytes",
                file.name.display()
            );
        }
        Ok(())
    }

    /// What a crash has left in the middle.
    fn remove_parts(&self) {
        let begin = hidden(&self.log, ".");
        let is_part = |name: &OsString| {
            let name = name.as_encoded_bytes();
            name.starts_with(begin.as_encoded_bytes()) && name.ends_with(PART.as_bytes())
        };
        for (name, _) in self.directory.files().unwrap_or_default() {
            if is_part(&name) {
                // One that stays is in nobody's way.
                let _ = self.directory.remove(&name);
            }
        }
    }

    /// Whether it was done: not while somebody may still write to the file.
    fn compress(&self, file: &Archived) -> io::Result<bool> {
        let done = file.compressed_name();
        let source = self.directory.open(&file.name, OFlags::empty())?;
        if flock(&source, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(false);
        }
        if self.directory.stat(&done).is_ok() {
            let made = self.directory.open(&done, OFlags::empty())?;
            if is_made_of(&made, &source)? {
                // Only the removal was missing.
                self.directory.remove(&file.name)?;
                return Ok(true);
            }
            let (stamped, number) = file.next(&self.log);
            let names = (number..).map(|number| numbered(&stamped, number));
            self.directory.rename_to_first_free(&file.name, names)?;
            return Ok(false);
        }
        let part = hidden(&file.name, PART);
        self.directory.remove(&part)?;
        let into = self.directory.create(&part)?;
        let made = write_compressed(&source, into).and_then(|()| {
            self.directory.rename_to_free(&part, &done)?;
            Ok(self.directory.sync()?)
        });
        if made.is_err() {
            let _ = self.directory.remove(&part);
        }
        made?;
        self.directory.remove(&file.name)?;
        Ok(true)
    }
}

/// Compresses one file into another and brings that to the disk.
fn write_compressed(mut source: &File, into: File) -> io::Result<()> {
    let of = source.metadata()?;
    keep_group(&of, &into);
    let mut encoder = GzEncoder::new(into, Compression::default());
    let mut chunk = vec![0; CHUNK];
    loop {
        let began = Instant::now();
        let read = source.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        encoder.write_all(&chunk[..read])?;
        thread::sleep(began.elapsed() * REST);
    }
    let into = encoder.finish()?;
    if let Ok(modified) = of.modified() {
        // For people who sort by it.
        let _ = into.set_modified(modified);
    }
    into.sync_all()
}

/// Whether what ends a compressed file, checksum and length (RFC 1952), is of that file.
fn is_made_of(compressed: &File, mut source: &File) -> io::Result<bool> {
    let mut trailer = [0; 8];
    let Some(at) = compressed.metadata()?.len().checked_sub(8) else {
        return Ok(false);
    };
    compressed.read_exact_at(&mut trailer, at)?;
    let mut sum = Crc::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk)? {
            0 => break,
            read => sum.update(&chunk[..read]),
        }
    }
    Ok(trailer[..4] == sum.sum().to_le_bytes() && trailer[4..] == sum.amount().to_le_bytes())
}

/// Gives a file the group of another, if this process is in it.
pub(super) fn keep_group(of: &std::fs::Metadata, file: &File) {
    use std::os::unix::fs::MetadataExt as _;

    let differs = file.metadata().is_ok_and(|own| own.gid() != of.gid());
    if differs {
        // It was given by hand then, and is kept if that is possible.
        let group = rustix::fs::Gid::from_raw(of.gid());
        let _ = rustix::fs::fchown(file, None, Some(group));
    }
}

#[cfg(test)]
mod tests;
