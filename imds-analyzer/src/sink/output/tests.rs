//! Tests of files, FIFOs and full disks as outputs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::*;

fn open_path(path: &Path) -> Result<LineOutput, OpenError> {
    LineOutput::open(&Output::File(path.to_owned()))
}

/// A directory, and a file in it with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, text).unwrap();
    (directory, path)
}

/// An output that stopped after `progress` bytes, when the file ended at `end`.
fn stopped(path: &Path, progress: usize, end: u64) -> LineOutput {
    let mut output = open_path(path).unwrap();
    (output.progress, output.end, output.torn) = (progress, end, false);
    output
}

#[test]
fn file_is_created_for_its_owner_and_group_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    open_path(&path).unwrap().write_line(b"{}\n").unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    assert_eq!(fs::read(&path).unwrap(), b"{}\n");
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

#[test]
fn symbolic_link_is_refused_and_its_target_untouched() {
    let (directory, path) = file("target");
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    let error = open_path(&link).unwrap_err();
    assert!(matches!(error, OpenError::SymbolicLink(_)), "{error}");
    assert!(
        error.to_string().contains("link is a symbolic link"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "target");
}

#[test]
fn directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = open_path(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Directory(_)), "{error}");
}

#[test]
fn missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = open_path(&directory.path().join("none/log")).unwrap_err();
    assert!(matches!(error, OpenError::NoDirectory(_)), "{error}");
}

#[test]
fn socket_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = open_path(&path).unwrap_err();
    assert!(matches!(error, OpenError::Kind(_)), "{error}");
}

#[test]
fn file_is_no_terminal() {
    let (_directory, path) = file("");
    assert!(!open_path(&path).unwrap().is_terminal());
}
