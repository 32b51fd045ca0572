//! Tests of compression, what crashes leave, and the bound.

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
