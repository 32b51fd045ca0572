//! Tests of rotation, ours and others'.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;
use std::time::Instant;

use super::*;

fn limits(rotate_bytes: u32, rotate_after_s: u32, keep_bytes: u64) -> config::Log {
    config::Log {
        rotate_bytes,
        rotate_after_s,
        keep_bytes,
    }
}

/// Large enough that only the size that a test names matters.
const KEEP: u64 = 1 << 30;
const NEVER: config::Log = config::Log {
    rotate_bytes: 0,
    rotate_after_s: 0,
    keep_bytes: KEEP,
};

fn open(directory: &Path, limits: &config::Log) -> LogFile {
    let path = directory.join("log");
    LogFile::open(Directory::of(&path).unwrap(), &path, limits).unwrap()
}

fn line(number: usize) -> Vec<u8> {
    format!("{{\"event\":\"heartbeat\",\"n\":{number}}}\n").into_bytes()
}

/// The text of each file in the directory by its name, unpacked; of a file that is
/// there twice, once.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') {
            continue;
        }
        // It may be compressed and removed at this moment.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        let text = match name.strip_suffix(".gz") {
            Some(_) => io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap(),
            None => io::read_to_string(file).unwrap(),
        };
        files.insert(name.trim_end_matches(".gz").to_owned(), text);
    }
    files
}

/// Waits until nothing is left to compress.
fn await_compressed(directory: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_plain = |name: &str| name.starts_with("log.") && !name.ends_with(".gz");
    while fs::read_dir(directory)
        .unwrap()
        .any(|entry| is_plain(entry.unwrap().file_name().to_str().unwrap()))
    {
        assert!(Instant::now() < deadline, "something stays uncompressed");
        thread::yield_now();
    }
}

#[test]
fn no_line_is_lost_split_or_doubled_by_rotations() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &limits(100, 0, KEEP));
    let lines: Vec<Vec<u8>> = (0..500).map(line).collect();
    for line in &lines {
        log.write_line(line).unwrap();
    }
    await_compressed(directory.path());
    let files = files(directory.path());
    assert!(files.len() > 100, "{} files", files.len());
    let mut found: Vec<&str> = files
        .values()
        .flat_map(|text| text.split_inclusive('\n'))
        .collect();
    let number = |line: &&str| -> usize {
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    found.sort_by_key(number);
    let numbers: Vec<usize> = found.iter().map(number).collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    let expected: Vec<&str> = lines
        .iter()
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    assert!(found == expected, "lines were changed");
}

#[test]
fn file_never_grows_beyond_its_size_but_by_one_long_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &limits(100, 0, KEEP));
    for number in 0..100 {
        log.write_line(&line(number)).unwrap();
    }
    log.write_line(&[&[b'x'; 500][..], b"\n"].concat()).unwrap();
    log.write_line(&line(100)).unwrap();
    for text in files(directory.path()).values() {
        assert!(text.len() <= 100 || text.lines().count() == 1, "{text}");
    }
}

#[test]
fn old_logs_and_the_log_stay_within_their_bound() {
    let directory = tempfile::tempdir().unwrap();
    let keep = 8_000;
    let mut log = open(directory.path(), &limits(1_000, 0, keep));
    for number in 0..1_000 {
        log.write_line(&line(number)).unwrap();
        await_compressed(directory.path());
    }
    let total: u64 = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(total <= keep, "{total} bytes");
    assert!(
        total > keep / 2,
        "{total} bytes: more was removed than had to be"
    );
}

#[test]
fn file_is_ended_at_its_age() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &limits(0, 60, KEEP));
    log.write_line(&line(1)).unwrap();
    assert!(!log.is_due(1));
    log.current.age = Duration::from_secs(60);
    log.write_line(&line(2)).unwrap();
    let files = files(directory.path());
    assert_eq!(files.len(), 2);
    assert_eq!(files["log"].as_bytes(), line(2));
    assert!(!log.is_due(1), "the next file is new");
}

#[test]
fn file_made_by_a_clock_that_was_set_back_since_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &limits(0, 60, KEEP));
    assert!(log.current.age < Duration::from_secs(60));
    // What the wall clock says does not matter once the file is open.
    let later = log.current.opened_ns + 59_000_000_000 - log.current.age.as_nanos() as u64;
    assert!(log.current.age_at(later) < Duration::from_secs(60));
    assert_eq!(log.current.age_at(0), log.current.age);
}

#[test]
fn nothing_is_rotated_compressed_or_removed_if_that_is_somebody_else_s() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("log.20261122T045301Z");
    fs::write(&old, "{}\n").unwrap();
    let mut log = open(directory.path(), &NEVER);
    for number in 0..1_000 {
        log.write_line(&line(number)).unwrap();
    }
    assert!(log.keeper.is_none());
    assert_eq!(files(directory.path()).len(), 2);
}

#[test]
fn what_an_earlier_run_left_is_compressed_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("log.20261122T045301Z");
    fs::write(&old, "{}\n").unwrap();
    let _log = open(directory.path(), &limits(1_000, 0, KEEP));
    await_compressed(directory.path());
    assert_eq!(files(directory.path())["log.20261122T045301Z"], "{}\n");
}

#[test]
fn log_renamed_by_another_program_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &NEVER);
    log.write_line(&line(1)).unwrap();
    fs::rename(directory.path().join("log"), directory.path().join("log.1")).unwrap();
    log.look().unwrap();
    log.write_line(&line(2)).unwrap();
    let files = files(directory.path());
    assert_eq!(files["log.1"].as_bytes(), line(1));
    assert_eq!(files["log"].as_bytes(), line(2));
}

#[test]
fn log_removed_by_another_program_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &NEVER);
    fs::remove_file(directory.path().join("log")).unwrap();
    log.look().unwrap();
    log.write_line(&line(2)).unwrap();
    assert_eq!(files(directory.path())["log"].as_bytes(), line(2));
}

#[test]
fn log_truncated_by_another_program_goes_on_at_its_new_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &limits(100, 0, KEEP));
    log.write_line(&line(1)).unwrap();
    log.write_line(&line(2)).unwrap();
    let path = directory.path().join("log");
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .unwrap();
    log.look().unwrap();
    log.write_line(&line(3)).unwrap();
    log.write_line(&line(4)).unwrap();
    let files = files(directory.path());
    assert_eq!(files.len(), 1);
    assert_eq!(files["log"].as_bytes(), [line(3), line(4)].concat());
}

#[test]
fn link_put_in_the_log_s_place_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut log = open(directory.path(), &NEVER);
    fs::write(at("target"), "").unwrap();
    fs::rename(at("log"), at("old")).unwrap();
    symlink("target", at("log")).unwrap();
    log.look().unwrap();
    log.write_line(&line(1)).unwrap();
    assert_eq!(fs::read(at("target")).unwrap(), b"");
    assert_eq!(
        fs::read(at("old")).unwrap(),
        line(1),
        "it went on to what it had"
    );
    fs::remove_file(at("old")).unwrap();
    log.look().expect_err("that is gone, too");
}

#[test]
fn old_log_has_the_mode_of_a_log_and_ends_in_a_whole_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, "{\"half").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut log = open(directory.path(), &limits(10, 0, KEEP));
    assert_eq!(log.previous_end(), Some(PreviousEnd::Torn));
    log.write_line(&line(1)).unwrap();
    await_compressed(directory.path());
    for entry in fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o640, "{mode:o}");
    }
    let files = files(directory.path());
    assert_eq!(files.len(), 2);
    assert!(files.values().any(|text| text == "{\"half\n"), "{files:?}");
    assert_eq!(files["log"].as_bytes(), line(1));
}

#[test]
fn file_that_another_analyzer_writes_to_does_not_tell_how_the_last_run_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = open(directory.path(), &NEVER);
    first.write_line(&line(1)).unwrap();
    assert_eq!(open(directory.path(), &NEVER).previous_end(), None);
    drop(first);
    let second = open(directory.path(), &NEVER);
    assert_eq!(second.previous_end(), Some(PreviousEnd::Abrupt));
}

#[test]
fn run_killed_in_the_middle_of_a_rotation_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let stopped = "{\"event\":\"analyzer_stopped\"}\n";
    fs::write(at("log.20261122T045301Z"), stopped).unwrap();
    assert_eq!(
        open(directory.path(), &NEVER).previous_end(),
        Some(PreviousEnd::Stopped)
    );
    fs::write(at("log.20261122T045302Z"), line(1)).unwrap();
    fs::write(at(".log.next"), "").unwrap();
    assert_eq!(
        open(directory.path(), &NEVER).previous_end(),
        Some(PreviousEnd::Abrupt)
    );
}

#[test]
fn sizes_are_never_more_than_a_quarter_of_what_is_kept() {
    let limits = |rotate, after, keep| Limits::from(&limits(rotate, after, keep));
    assert_eq!(limits(1 << 20, 0, 1 << 20).size, Some(1 << 18));
    assert_eq!(limits(0, 60, 1 << 20).size, Some(1 << 18));
    assert_eq!(limits(1 << 16, 60, 1 << 20).size, Some(1 << 16));
    assert_eq!(limits(0, 0, 1 << 20).size, None);
}
