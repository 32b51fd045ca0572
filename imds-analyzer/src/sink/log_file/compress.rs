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
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::path::Path;

    use flate2::read::GzDecoder;

    use super::*;

    const OLD: &str = "log.20261122T045301Z";

    fn tidy(directory: &Path) -> Tidy {
        Tidy {
            directory: Arc::new(Directory::of(&directory.join("log")).unwrap()),
            log: "log".into(),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn unpacked(path: &Path) -> String {
        let mut text = String::new();
        let mut decoder = GzDecoder::new(File::open(path).unwrap());
        decoder.read_to_string(&mut text).unwrap();
        text
    }

    const ENOUGH: Room = Room(1 << 30);

    #[test]
    fn old_logs_are_compressed_and_nothing_else_is_touched() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let text = "{\"a\":1}\n".repeat(50_000);
        for name in [OLD, "log", "log.1", "other.20261122T045301Z"] {
            fs::write(at(name), &text).unwrap();
        }
        assert!(tidy(directory.path()).once(ENOUGH));
        let gz = format!("{OLD}.gz");
        assert_eq!(
            names(directory.path()),
            ["log", "log.1", &gz, "other.20261122T045301Z"]
        );
        assert_eq!(unpacked(&at(&gz)), text);
        assert!(fs::metadata(at(&gz)).unwrap().len() < 10_000);
    }

    #[test]
    fn crash_before_the_rename_leaves_nothing_that_looks_whole() {
        let directory = tempfile::tempdir().unwrap();
        let part = hidden(OsStr::new(OLD), PART);
        fs::write(directory.path().join(&part), "half").unwrap();
        fs::write(directory.path().join(OLD), "{}\n").unwrap();
        let tidy = tidy(directory.path());
        tidy.remove_parts();
        assert_eq!(names(directory.path()), [OLD]);
        assert!(tidy.once(ENOUGH));
        assert_eq!(
            unpacked(&directory.path().join(format!("{OLD}.gz"))),
            "{}\n"
        );
    }

    #[test]
    fn crash_before_the_removal_is_made_good() {
        let directory = tempfile::tempdir().unwrap();
        let gz = format!("{OLD}.gz");
        fs::write(directory.path().join(OLD), "{}\n").unwrap();
        assert!(tidy(directory.path()).once(ENOUGH));
        fs::write(directory.path().join(OLD), "{}\n").unwrap();
        assert!(tidy(directory.path()).once(ENOUGH));
        assert_eq!(names(directory.path()), [gz.as_str()]);
        assert_eq!(unpacked(&directory.path().join(gz)), "{}\n");
    }

    #[test]
    fn another_file_of_the_same_name_is_never_taken_for_one_that_is_compressed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at(OLD), "{}\n").unwrap();
        let tidy = tidy(directory.path());
        assert!(tidy.once(ENOUGH));
        fs::write(at(OLD), "[]\n").unwrap();
        assert!(!tidy.once(ENOUGH), "it gets another name first");
        assert!(tidy.once(ENOUGH));
        assert_eq!(unpacked(&at(&format!("{OLD}.gz"))), "{}\n");
        assert_eq!(unpacked(&at(&format!("{OLD}-1.gz"))), "[]\n");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn file_that_somebody_still_writes_to_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(OLD);
        fs::write(&path, "{}\n").unwrap();
        let writer = File::open(&path).unwrap();
        flock(&writer, FlockOperation::NonBlockingLockShared).unwrap();
        assert!(!tidy(directory.path()).once(ENOUGH));
        assert_eq!(names(directory.path()), [OLD]);
        drop(writer);
        assert!(tidy(directory.path()).once(ENOUGH));
    }

    #[test]
    fn oldest_go_when_there_is_no_room() {
        let directory = tempfile::tempdir().unwrap();
        for day in 1..=5 {
            let name = format!("log.2026110{day}T000000Z.gz");
            fs::write(directory.path().join(name), [0; 100]).unwrap();
        }
        fs::write(directory.path().join("log.1"), [0; 100]).unwrap();
        assert!(tidy(directory.path()).once(Room(250)));
        assert_eq!(
            names(directory.path()),
            [
                "log.1",
                "log.20261104T000000Z.gz",
                "log.20261105T000000Z.gz"
            ]
        );
    }
}
