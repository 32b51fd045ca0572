//! Tests of files, FIFOs and full disks that are appended to.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tempfile::TempDir;

use super::*;

fn open_path(path: &Path) -> io::Result<Appender> {
    Appender::new(OpenOptions::new().read(true).append(true).open(path)?)
}

/// A directory, and a file in it with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, text).unwrap();
    (directory, path)
}

/// An output that stopped after `progress` bytes, when the file ended at `end`.
fn stopped(path: &Path, progress: usize, end: u64) -> Appender {
    let mut output = open_path(path).unwrap();
    (output.progress, output.end, output.torn) = (progress, end, false);
    output
}

#[test]
fn file_is_appended_to() {
    let (_directory, path) = file("{\"a\":1}\n");
    open_path(&path).unwrap().write_line(b"{}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{}\n");
}

#[test]
fn half_a_line_left_by_a_crash_is_ended_first() {
    let (_directory, path) = file("{\"a\":1}\n{\"b\"");
    let mut output = open_path(&path).unwrap();
    output.write_line(b"{}\n").unwrap();
    output.write_line(b"{}\n").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"a\":1}\n{\"b\"\n{}\n{}\n"
    );
}

#[test]
fn rest_of_a_line_follows_once_there_is_space() {
    let (_directory, path) = file("{}\n{\"b");
    stopped(&path, 3, 6).write_line(b"{\"b\":1}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{\"b\":1}\n");
}

#[test]
fn line_is_repeated_whole_if_somebody_appended_meanwhile() {
    let (_directory, path) = file("{\"bother");
    stopped(&path, 3, 3).write_line(b"{\"b\":1}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"bother\n{\"b\":1}\n");
}

#[test]
fn line_is_repeated_whole_if_the_file_was_truncated_meanwhile() {
    let (_directory, path) = file("");
    stopped(&path, 3, 600).write_line(b"{\"b\":1}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"b\":1}\n");
}

#[test]
fn full_disk_is_an_error_and_the_line_is_kept_for_later() {
    let mut output = open_path(Path::new("/dev/full")).unwrap();
    for _ in 0..2 {
        let error = output.write_line(b"{}\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn full_pipe_set_non_blocking_takes_the_rest_of_a_line_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut output = open_path(&path).unwrap();
    let flags = rustix::fs::fcntl_getfl(&output.file).unwrap();
    rustix::fs::fcntl_setfl(&output.file, flags | OFlags::NONBLOCK).unwrap();
    // More than any pipe holds by default, so it takes several writes.
    let line = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
    let expected = line.clone();
    let writer = std::thread::spawn(move || while output.write_line(&line).is_err() {});
    let mut received = vec![0; expected.len()];
    io::Read::read_exact(&mut File::open(&path).unwrap(), &mut received).unwrap();
    writer.join().unwrap();
    assert!(
        received == expected,
        "the line did not arrive as it was sent"
    );
}
