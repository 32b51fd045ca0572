//! The log file: rotated under load, renamed by others, left by a killed run, on a full
//! disk. What the mock served is what all of a log's files together must hold.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Entry, cases, find_program,
    private_mounts::{mount_tmpfs, with_private_mounts},
    schema,
    session::{PATIENCE, Setup},
};
use crate::{
    analyzer::{Analyzer, Launch},
    mock::{Mock, access_log::id_in_target},
    netns::{IMDS_V4, Netns},
};

/// The snippet that is shipped.
const LOGROTATE: &str = include_str!("../../../systemd/imds-analyzer.logrotate");

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        rotations_under_load_lose_and_split_nothing,
        log_renamed_by_others_is_reopened,
        killed_run_is_told_by_the_next,
        full_disk_is_waited_for,
    ]
}

pub(super) fn cases_with_clients() -> impl IntoIterator<Item = Entry> {
    cases![Alone: logrotate_with_the_shipped_snippet_loses_nothing]
}

/// A mock, and a directory for logs.
struct World<'s> {
    setup: &'s Setup,
    case: &'static str,
    netns: Netns,
    mock: Mock,
    directory: PathBuf,
    sent: u64,
}

impl<'s> World<'s> {
    fn new(setup: &'s Setup, case: &'static str, directory: &Path) -> Result<Self> {
        let netns = Netns::new()?;
        let mock = Mock::start(&netns)?;
        Ok(Self {
            setup,
            case,
            netns,
            mock,
            directory: directory.to_owned(),
            sent: 0,
        })
    }

    fn log(&self) -> PathBuf {
        self.directory.join("imds.log")
    }

    fn start(&self, settings: &str) -> Result<Analyzer> {
        Launch {
            program: &self.setup.analyzer,
            backend: &self.setup.backend,
            format: "json",
            netns: self.netns.path(),
            output: Some(&self.log()),
            settings,
            verbose: false,
        }
        .start(|_| {})
    }

    /// Sends requests without a token, one after the other.
    fn send(&mut self, count: u64) -> Result<()> {
        let (case, first) = (self.case, self.sent + 1);
        self.sent += count;
        self.netns.enter(|| {
            for number in first..first + count {
                let mut stream = TcpStream::connect((IMDS_V4, 80))?;
                let head = format!(
                    "GET /latest/meta-data/?case={case}&n={number} HTTP/1.1\r\n\
                     Connection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes())?;
                stream.read_to_end(&mut Vec::new())?;
                stream.shutdown(Shutdown::Both).ok();
            }
            Ok(())
        })
    }

    /// The lines of all files of the log, without one that is being written.
    fn lines(&self) -> Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        for text in files_of(&self.log())?.into_values() {
            lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            // What stands behind the last newline.
            lines.pop();
        }
        Ok(lines)
    }

    /// Waits until the record of the last request is written.
    fn await_last(&self) -> Result<()> {
        self.await_lines(&format!("case={}&n={}\"", self.case, self.sent), 1)
    }

    /// Waits until so many runs have written that they began.
    fn await_starts(&self, count: usize) -> Result<()> {
        self.await_lines("\"event\":\"analyzer_started\"", count)
    }

    fn await_lines(&self, marker: &str, count: usize) -> Result<()> {
        await_that(&format!("no {count} records with {marker}"), || {
            let holds =
                |line: &&Vec<u8>| line.windows(marker.len()).any(|it| it == marker.as_bytes());
            Ok(self.lines()?.iter().filter(holds).count() >= count)
        })
    }

    /// Holds the records of all files against what the mock served: each once, each line
    /// whole.
    fn verify(&self) -> Result<Vec<Value>> {
        let served = self.mock.log().of_case(self.case);
        ensure!(
            served.len() as u64 == self.sent,
            "the mock served {}",
            served.len()
        );
        let mut wanted: BTreeMap<u64, i64> = served
            .iter()
            .filter_map(|entry| Some((entry.id.as_ref()?.number, 1)))
            .collect();
        for (name, text) in files_of(&self.log())? {
            let is_whole = text.is_empty() || text.ends_with(b"\n");
            ensure!(is_whole, "{} does not end with a line", name.display());
        }
        let mut records = Vec::new();
        for line in self.lines()? {
            let text = String::from_utf8_lossy(&line).into_owned();
            let record: Value = serde_json::from_slice(&line).with_context(|| text.clone())?;
            let violations = schema::violations(&record);
            ensure!(violations.is_empty(), "{violations:?} in {text}");
            if record["event"] == "imds_request" {
                let path = record["http"]["path"].as_str().unwrap_or_default();
                let id = id_in_target(path.as_bytes()).context(text)?;
                *wanted.entry(id.number).or_default() -= 1;
            }
            records.push(record);
        }
        wanted.retain(|_, left| *left != 0);
        ensure!(
            wanted.is_empty(),
            "missing (1) or too many (-1): {wanted:?}"
        );
        Ok(records)
    }
}

/// All files of a log by name, unpacked, as `docs/logs.md` tells readers to find them.
fn files_of(log: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let directory = log.parent().context("a log is in a directory")?;
    let begin = log.file_name().context("a log has a name")?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        if !name
            .as_encoded_bytes()
            .starts_with(begin.as_encoded_bytes())
        {
            continue;
        }
        // One that is compressed at this moment is there by its other name.
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        let mut text = Vec::new();
        match path.extension() {
            Some(gz) if gz == "gz" => {
                flate2::read::MultiGzDecoder::new(file).read_to_end(&mut text)?;
                files.insert(
                    path.with_extension("")
                        .file_name()
                        .unwrap_or_default()
                        .to_owned(),
                    text,
                );
            }
            _ => {
                file.read_to_end(&mut text)?;
                files.entry(name).or_insert(text);
            }
        }
    }
    Ok(files)
}

fn await_that(failure: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "{failure}");
        thread::yield_now();
    }
    Ok(())
}

fn numbers_have_no_hole(records: &[Value]) -> Result<()> {
    let mut numbers: Vec<u64> = records.iter().filter_map(|it| it["seq"].as_u64()).collect();
    numbers.sort_unstable();
    let last = numbers.len() as u64;
    ensure!(numbers.into_iter().eq(1..=last), "the numbers have holes");
    Ok(())
}

fn rotations_under_load_lose_and_split_nothing(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut world = World::new(setup, name, directory.path())?;
    let analyzer = world.start("[log]\nrotate_bytes = 65536\nkeep_bytes = 1073741824\n")?;
    world.send(250)?;
    await_that("nothing is compressed", || {
        let mut names = fs::read_dir(directory.path())?.flatten();
        Ok(names.any(|entry| entry.file_name().as_encoded_bytes().ends_with(b".gz")))
    })?;
    world.send(250)?;
    analyzer.terminate()?;
    numbers_have_no_hole(&world.verify()?)?;
    let files = files_of(&world.log())?;
    ensure!(files.len() > 3, "only {} files", files.len());
    for (name, text) in &files {
        ensure!(
            text.len() <= 65_536,
            "{} has {} bytes",
            name.display(),
            text.len()
        );
    }
    Ok(())
}

fn log_renamed_by_others_is_reopened(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut world = World::new(setup, name, directory.path())?;
    let (log, never) = (world.log(), "[log]\nrotate_bytes = 0\nrotate_after_s = 0\n");
    let analyzer = world.start(never)?;
    world.send(10)?;
    fs::rename(&log, directory.path().join("imds.log.2"))?;
    analyzer.signal(libc::SIGHUP)?;
    await_that("it is not opened again at SIGHUP", || Ok(log.exists()))?;
    world.send(10)?;
    world.await_last()?;
    // Nobody says so this time.
    fs::rename(&log, directory.path().join("imds.log.1"))?;
    world.send(10)?;
    world.await_last()?;
    ensure!(log.exists(), "it is not opened again without SIGHUP");
    analyzer.terminate()?;
    numbers_have_no_hole(&world.verify()?)
}

fn killed_run_is_told_by_the_next(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut world = World::new(setup, name, directory.path())?;
    let log = world.log();
    let analyzer = world.start("")?;
    world.send(20)?;
    world.await_last()?;
    analyzer.kill()?;
    world.start("")?.terminate()?;
    let analyzer = world.start("")?;
    world.await_starts(3)?;
    analyzer.kill()?;
    write!(
        OpenOptions::new().append(true).open(&log)?,
        "{{\"timestamp\":\"20"
    )?;
    world.start("")?.terminate()?;

    let text = fs::read_to_string(&log)?;
    let torn = text.matches("\n{\"timestamp\":\"20\n").count();
    ensure!(torn == 1, "half a line does not stand alone");
    fs::write(&log, text.replace("\n{\"timestamp\":\"20\n", "\n"))?;
    let records = world.verify()?;
    let starts = records
        .iter()
        .filter(|record| record["event"] == "analyzer_started");
    let ends: Vec<&Value> = starts.map(|started| &started["previous_end"]).collect();
    ensure!(
        ends == [
            &Value::Null,
            &"abrupt".into(),
            &"stopped".into(),
            &"torn".into()
        ],
        "the runs say that those before ended {ends:?}"
    );
    Ok(())
}

fn full_disk_is_waited_for(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let disk = directory.path();
    with_private_mounts(|| {
        mount_tmpfs(disk, "size=256k,mode=0755")?;
        let mut world = World::new(setup, name, disk)?;
        let analyzer = world.start("")?;
        world.send(1)?;
        world.await_last()?;
        let filler = disk.join("filler");
        let mut file = File::create(&filler)?;
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        ensure!(full.kind() == std::io::ErrorKind::StorageFull, "{full}");
        world.send(40)?;
        analyzer.await_word("records are held")?;
        fs::remove_file(&filler)?;
        drop(file);
        world.await_last()?;
        analyzer.await_word("takes records again")?;
        analyzer.terminate()?;
        let records = world.verify()?;
        let lost = records
            .iter()
            .filter(|it| it["event"] == "capture_loss")
            .count();
        ensure!(lost == 0, "{lost} losses");
        numbers_have_no_hole(&records)
    })
}

fn logrotate_with_the_shipped_snippet_loses_nothing(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let logrotate = find_program("logrotate").context("this case needs logrotate")?;
    let directory = tempfile::tempdir()?;
    let mut world = World::new(setup, name, directory.path())?;
    let log = world.log();
    let analyzer = world.start("[log]\nrotate_bytes = 0\nrotate_after_s = 0\n")?;
    let mut snippet = LOGROTATE.to_owned();
    for (shipped, here) in [
        (
            "/var/log/imds-analyzer/imds-analyzer.log",
            log.display().to_string(),
        ),
        (
            "systemctl kill --kill-who=main --signal=HUP imds-analyzer.service",
            format!("kill -HUP {}", analyzer.pid()),
        ),
    ] {
        ensure!(
            snippet.matches(shipped).count() == 1,
            "{shipped} in the snippet"
        );
        snippet = snippet.replace(shipped, &here);
    }
    let configuration = directory.path().join("logrotate.conf");
    fs::write(&configuration, snippet)?;
    for round in 1..=4 {
        world.send(25)?;
        world.await_last()?;
        let output = Command::new(&logrotate)
            .args(["--force", "--state"])
            .arg(directory.path().join("state"))
            .arg(&configuration)
            .output()?;
        ensure!(
            output.status.success(),
            "logrotate: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        await_that(&format!("no new log after round {round}"), || {
            Ok(log.exists())
        })?;
    }
    analyzer.terminate()?;
    numbers_have_no_hole(&world.verify()?)?;
    let files = files_of(&log)?;
    ensure!(files.len() == 5, "{} files", files.len());
    let is_packed = |number: u32| {
        directory
            .path()
            .join(format!("imds.log.{number}.gz"))
            .exists()
    };
    ensure!(
        !is_packed(1) && is_packed(2),
        "delaycompress is not in force"
    );
    Ok(())
}
