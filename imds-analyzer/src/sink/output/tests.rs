//! Tests of what may be an output.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;

fn open_path(path: &Path) -> Result<LineOutput, OpenError> {
    LineOutput::open(&Output::File(path.to_owned()), &config::Log::default())
}

/// A directory, and a file in it with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, text).unwrap();
    (directory, path)
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

#[test]
fn log_in_a_directory_that_everybody_may_write_to_is_not_even_made() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let error = open_path(&directory.path().join("log")).unwrap_err();
    assert!(matches!(error, OpenError::OpenDirectory(_)), "{error}");
    assert!(error.to_string().contains("chmod o-w"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn read_only_file_system_is_told_with_what_to_do_under_systemd() {
    let error = OpenError::of_errno(Path::new("/mnt/log"), rustix::io::Errno::ROFS).to_string();
    assert!(
        error.starts_with("/mnt/log is on a file system that is read-only"),
        "{error}"
    );
    assert!(error.contains("ReadWritePaths="), "{error}");
}

#[test]
fn device_needs_no_directory_of_its_own() {
    open_path(Path::new("/dev/null"))
        .unwrap()
        .write_line(b"{}\n")
        .unwrap();
}
