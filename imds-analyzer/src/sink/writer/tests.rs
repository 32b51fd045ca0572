//! Tests of the writer: order, numbers, and outputs that are blocked.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::io::{Errno, write};
use serde_json::Value;

use super::*;
use crate::config::{self, Format, Output};
use crate::record::{Counters, Heartbeat, Loss, OUTPUT_BLOCKED, Stopped};
use crate::sink::fixture;

/// What a writer may hold in these tests, bytes.
const BOUND: usize = 64 << 10;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn writer(path: &Path, held_bytes: usize) -> WriterHandle {
    let output = LineOutput::open(&Output::File(path.to_owned()), &config::Log::default()).unwrap();
    let renderer = Renderer::new(Format::Json, &output);
    let clock = Arc::new(Clock::new());
    let queue = Queue::new(renderer, fixture::origin(), clock, held_bytes);
    Writer::spawn_with(output, queue).unwrap()
}

fn loss(total: u64) -> Event {
    Event::CaptureLoss(Loss {
        cause: "test".into(),
        count: 1,
        total,
    })
}

/// A FIFO that takes nothing until it is read, and the end that keeps what is in
/// it: empty lines.
fn full_fifo() -> (tempfile::TempDir, PathBuf, OwnedFd) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let filler = open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
    for chunk in [4_096, 1] {
        while write(&filler, &vec![b'\n'; chunk]) != Err(Errno::AGAIN) {}
    }
    (directory, path, filler)
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn records_are_written_in_order_and_numbered_from_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = writer(&path, HELD_BYTES);
    for total in 1..=1_000 {
        writer.send(total * 1_000, loss(total));
    }
    runtime().block_on(writer.finish()).unwrap();
    let records = records(&fs::read_to_string(path).unwrap());
    assert_eq!(records.len(), 1_000);
    for (record, expected) in records.iter().zip(1_u64..) {
        assert_eq!(record["seq"], expected);
        assert_eq!(record["total"], expected);
        assert_eq!(record["boottime_us"], expected);
        assert_eq!(record["host"]["name"], "ip-10-0-0-1");
    }
}

#[test]
fn idle_writer_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    runtime()
        .block_on(writer(&path, HELD_BYTES).finish())
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), b"");
}

/// Sends records into a FIFO that nobody reads until 100 were dropped, then
/// reads it; gives how many were sent, and what arrived.
fn through_a_blocked_fifo(last: impl FnOnce(&WriterHandle)) -> (u64, Vec<Value>) {
    let (_directory, path, filler) = full_fifo();
    let writer = writer(&path, BOUND);
    drop(filler);
    writer.send(1, loss(1));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !writer.shared.lock().queue.is_empty() {
        assert!(
            Instant::now() < deadline,
            "the writer does not take the first record"
        );
        thread::yield_now();
    }
    // From here on it is blocked with the first one, until the FIFO is read.
    let mut sent = 1;
    while writer.lost() < 100 {
        sent += 1;
        writer.send(sent, loss(sent));
    }
    // It ends when the writer does, which has the only other end.
    let reader = BufReader::new(File::open(&path).unwrap());
    let mut records = reader
        .lines()
        .map(Result::unwrap)
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let mut read = Vec::new();
    // The loss record is behind everything that was held.
    while read
        .last()
        .is_none_or(|record: &Value| record["cause"] != OUTPUT_BLOCKED)
    {
        read.push(records.next().unwrap());
    }
    last(&writer);
    runtime().block_on(writer.finish()).unwrap();
    read.extend(records);
    (sent, read)
}

#[test]
fn records_dropped_while_the_output_was_blocked_are_counted_where_they_are_missing() {
    let (sent, records) = through_a_blocked_fifo(|writer| writer.send(0, loss(0)));
    let (gap, rest) = records
        .split_last_chunk::<2>()
        .map(|(held, end)| (end, held))
        .unwrap();
    assert_eq!(gap[0]["cause"], OUTPUT_BLOCKED);
    assert_eq!(gap[0]["count"], 100);
    assert_eq!(gap[0]["total"], 100);
    assert_eq!(
        gap[1]["total"], 0,
        "what is sent afterwards is written again"
    );
    let held: Vec<u64> = rest
        .iter()
        .map(|record| record["total"].as_u64().unwrap())
        .collect();
    assert_eq!(held, (1..=sent - 100).collect::<Vec<_>>());
}

#[test]
fn dropped_records_leave_no_hole_in_the_numbers() {
    let (_, records) = through_a_blocked_fifo(|writer| writer.send(0, loss(0)));
    let numbers: Vec<u64> = records
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
}

#[test]
fn dropped_records_are_in_the_counters() {
    let (_, records) = through_a_blocked_fifo(|writer| {
        let counters = Counters {
            lost: [("ring_full".into(), 3)].into(),
            ..Counters::default()
        };
        let heartbeat = Heartbeat {
            heartbeat_interval_s: 60,
            counters: counters.clone(),
            blind_spots: None,
        };
        writer.send(0, Event::Heartbeat(heartbeat));
        writer.send(
            0,
            Event::AnalyzerStopped(Stopped {
                reason: None,
                counters,
            }),
        );
    });
    for record in &records[records.len() - 2..] {
        assert_eq!(record["counters"]["lost"]["ring_full"], 3, "{record}");
        assert_eq!(record["counters"]["lost"][OUTPUT_BLOCKED], 100, "{record}");
    }
}

#[test]
fn memory_for_a_blocked_output_is_bounded() {
    let (sent, records) = through_a_blocked_fifo(|_| {});
    let held: usize = records.iter().map(|record| record.to_string().len()).sum();
    assert!(held < BOUND, "{held} bytes of {sent} records");
    assert!(held > BOUND / 2, "{held} bytes of {sent} records");
}

#[test]
fn records_that_a_full_disk_refuses_to_the_end_are_an_error() {
    let writer = writer(Path::new("/dev/full"), HELD_BYTES);
    for total in 1..=3 {
        writer.send(0, loss(total));
    }
    let error = runtime().block_on(writer.finish()).unwrap_err().to_string();
    assert_eq!(
        error,
        "3 records could not be written to /dev/full: No space left on device (os error 28)"
    );
}

#[test]
fn reader_that_went_away_ends_the_run_without_failure() {
    let (reader, stdout) = io::pipe().unwrap();
    let output =
        LineOutput::from_file(File::from(OwnedFd::from(stdout)), "standard output").unwrap();
    let renderer = Renderer::new(Format::Json, &output);
    let writer =
        Writer::spawn(output, renderer, fixture::origin(), Arc::new(Clock::new())).unwrap();
    writer.send(0, loss(1));
    let mut first = [0];
    (&reader).read_exact(&mut first).unwrap();
    drop(reader);
    writer.send(0, loss(2));
    runtime().block_on(async {
        writer.closed().await;
        writer.finish().await.unwrap();
    });
}

#[test]
fn writer_that_waits_or_is_refused_is_not_stuck() {
    let directory = tempfile::tempdir().unwrap();
    let idle = writer(&directory.path().join("log"), HELD_BYTES);
    assert_eq!(idle.stuck_for(), Duration::ZERO);
    runtime().block_on(idle.finish()).unwrap();
}

#[test]
fn writer_in_a_write_that_does_not_end_is_stuck_until_it_does() {
    let (_directory, path, filler) = full_fifo();
    let writer = writer(&path, BOUND);
    writer.send(1, loss(1));
    let deadline = Instant::now() + Duration::from_secs(60);
    while writer.stuck_for() < Duration::from_millis(1) {
        assert!(Instant::now() < deadline, "the write is not seen");
        thread::yield_now();
    }
    let mut rest = vec![0; 1 << 20];
    while writer.stuck_for() > Duration::ZERO {
        assert!(
            Instant::now() < deadline,
            "the end of the write is not seen"
        );
        let _ = rustix::io::read(&filler, &mut rest);
    }
    runtime().block_on(writer.finish()).unwrap();
}

#[test]
fn writer_whose_thread_is_gone_is_stuck_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let writer = writer(&directory.path().join("log"), HELD_BYTES);
    runtime().block_on(writer.clone().finish()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while writer.stuck_for() != Duration::MAX {
        assert!(Instant::now() < deadline, "the thread is never gone");
        thread::yield_now();
    }
}

#[test]
fn records_have_the_origin_that_was_known_when_they_came() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = writer(&path, HELD_BYTES);
    writer.send(1, loss(1));
    writer.set_origin(Origin::default());
    writer.send(2, loss(2));
    runtime().block_on(writer.finish()).unwrap();
    let records = records(&fs::read_to_string(path).unwrap());
    assert_eq!(records[0]["host"]["name"], "ip-10-0-0-1");
    assert_eq!(records[1].get("host"), None);
}

#[test]
fn renamed_log_is_opened_again_without_a_record_to_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = writer(&path, HELD_BYTES);
    fs::rename(&path, directory.path().join("log.1")).unwrap();
    writer.reopen(&config::Log::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < deadline, "it is not made again");
        thread::yield_now();
    }
    runtime().block_on(writer.finish()).unwrap();
}
