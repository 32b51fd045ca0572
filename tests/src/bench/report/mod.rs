//! What `report` takes for a million records, beside jq and DuckDB doing the same
//! grouping. The time is only told; that the memory stays flat is checked.

mod log;

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::median;
use crate::suite::find_program;

/// Records of the log, about 1 GB.
const RECORDS: u64 = 1_000_000;

/// Rounds of each but jq, by turns; the median of them is told.
const ROUNDS: usize = 3;

/// Most memory that `report` may take, KiB, however long the log is.
const MOST_KIB: i64 = 64 << 10;

/// Where `cargo xtask setup` puts DuckDB for Python.
const DUCKDB: &str = "target/clients/duckdb";

/// Requests by version, of what an owner fixes, as far as three programs can say the same.
/// jq copies a whole object when one of its numbers grows, so the counting is left to
/// sort and uniq, as people do it.
const JQ: &str = r#"
    "$1" -r 'select(.event == "imds_request")
        | [(.process.package.name // .process.systemd_unit // .process.container.image
            // .process.executable // "unknown"), .imds.version] | @tsv' "$2" \
        | sort | uniq -c \
        | awk '{ n[$NF] += $1 }
            END { printf "{\"v1\":%d,\"v2\":%d,\"unknown\":%d}", n["v1"], n["v2"], n["unknown"] }'
"#;

const PYTHON: &str = r#"
import json, sys, duckdb
columns = {
    "event": "VARCHAR", "timestamp": "VARCHAR", "imds": "STRUCT(version VARCHAR)",
    "process": "STRUCT(executable VARCHAR, systemd_unit VARCHAR, package STRUCT(name VARCHAR), container STRUCT(image VARCHAR))",
}
groups = duckdb.sql(f"""
    SELECT coalesce(process.package.name, process.systemd_unit, process.container.image,
                    process.executable, 'unknown') AS who,
           imds.version AS version, count(*) AS n, min(timestamp), max(timestamp)
    FROM read_json('{sys.argv[1]}', format = 'newline_delimited', columns = {columns})
    WHERE event = 'imds_request' GROUP BY ALL""").fetchall()
sums = {"v1": 0, "v2": 0, "unknown": 0}
for _, version, n, _, _ in groups:
    sums[version] += n
print(json.dumps(sums))
"#;

/// One of those who read the log.
struct Reader {
    name: &'static str,
    command: Box<dyn Fn(&Path) -> Command>,
    times: Vec<Duration>,
    peak_kib: i64,
}

/// Measures `analyzer report`.
///
/// # Errors
///
/// If a program is missing, the three do not agree, or the memory is not flat.
pub(super) fn run(analyzer: &Path) -> Result<()> {
    let mut readers = readers(analyzer)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("records.jsonl");
    eprintln!("writing {RECORDS} records");
    let written = log::write(&path, RECORDS)?;
    let bytes = fs::metadata(&path)?.len();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for reader in &mut readers {
            // It takes longer than all others together.
            if reader.name == "jq" && round > 1 {
                continue;
            }
            let (json, took, peak_kib) =
                measure((reader.command)(&path)).with_context(|| reader.name.to_owned())?;
            reader.times.push(took);
            reader.peak_kib = reader.peak_kib.max(peak_kib);
            let found = versions(&json);
            ensure!(
                found == Some(written),
                "{} counts {found:?} (v1, v2, unknown), and {written:?} were written",
                reader.name
            );
        }
    }
    println!(
        "{} records, {:.2} GB; v1, v2 and unknown as written by each of the three",
        RECORDS,
        bytes as f64 / 1e9
    );
    let mut first = None;
    for reader in &mut readers {
        let time = median(&mut reader.times).as_secs_f64();
        let first = *first.get_or_insert(time);
        println!(
            "{:<10} {time:>7.2} s   {:>5.0} MB/s   peak {:>5} MB   x {:.2}",
            reader.name,
            bytes as f64 / 1e6 / time,
            reader.peak_kib / 1024,
            time / first,
        );
    }
    let peak = readers[0].peak_kib;
    ensure!(
        peak < MOST_KIB,
        "report took {peak} KiB at its peak, and may take {MOST_KIB}"
    );
    Ok(())
}

fn readers(analyzer: &Path) -> Result<[Reader; 3]> {
    let jq = find_program("jq").context("there is no jq: run `cargo xtask setup`")?;
    let python = find_program("python3").context("there is no python3")?;
    let has_duckdb = Command::new(&python)
        .args(["-c", "import duckdb"])
        .env("PYTHONPATH", DUCKDB)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    ensure!(
        has_duckdb,
        "there is no DuckDB in {DUCKDB}: run `cargo xtask setup`"
    );
    let analyzer = analyzer.to_owned();
    let reader = |name, command| Reader {
        name,
        command,
        times: Vec::new(),
        peak_kib: 0,
    };
    Ok([
        reader(
            "report",
            Box::new(move |log| {
                let mut command = Command::new(&analyzer);
                command.args(["report", "--format", "json"]).arg(log);
                command
            }),
        ),
        reader(
            "jq",
            Box::new(move |log| {
                let mut command = Command::new("sh");
                command.args(["-c", JQ, "sh"]).arg(&jq).arg(log);
                command
            }),
        ),
        reader(
            "DuckDB",
            Box::new(move |log| {
                let mut command = Command::new(&python);
                command
                    .args(["-c", PYTHON])
                    .arg(log)
                    .env("PYTHONPATH", DUCKDB);
                command
            }),
        ),
    ])
}

/// What it prints, the time it takes, and its peak of resident memory, KiB.
fn measure(mut command: Command) -> Result<(Value, Duration, i64)> {
    let output = tempfile::NamedTempFile::new()?;
    let began = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(output.reopen()?)
        .spawn()
        .context("cannot be started")?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: zeroes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals; nobody else waits for the child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let took = began.elapsed();
    ensure!(waited == pid, "wait4: {}", std::io::Error::last_os_error());
    let status = ExitStatus::from_raw(status);
    // A report says with its exit code what it says.
    ensure!(
        status.code().is_some_and(|code| matches!(code, 0 | 3 | 4)),
        "ended with {status}"
    );
    let json = serde_json::from_slice(&fs::read(output.path())?).context("its output")?;
    Ok((json, took, usage.ru_maxrss))
}

/// v1, v2 and unknown.
fn versions(json: &Value) -> Option<[u64; 3]> {
    let sums = json.get("totals").unwrap_or(json);
    let sum = |name: &str| sums.get(name)?.as_u64();
    Some([sum("v1")?, sum("v2")?, sum("unknown")?])
}
