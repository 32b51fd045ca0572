//! `report` on the logs of real runs, against what was launched and what the mock got.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    Entry, cases,
    client::RunningSender,
    real_clients::{find_program, find_python, script_file},
    session::{PATIENCE, Setup},
};
use crate::{
    analyzer::{Analyzer, Launch},
    cgroup::Cgroup,
    mock::{Mock, access_log},
    netns::{IMDS_V4, Netns},
};

/// Exit codes of `report` (`docs/report.md`).
const SAFE: i32 = 0;
const NOT_SAFE: i32 = 3;
const CANNOT_TELL: i32 = 4;

/// Lets a run of seconds be enough, so that only what was seen decides.
const NO_MINIMUM: [&str; 4] = ["--min-days", "0", "--min-boots", "0"];

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        report_of_callers_with_tokens_is_safe,
        report_of_a_caller_without_a_token_is_not_safe,
        report_of_a_short_watch_cannot_tell,
        report_of_an_analyzer_that_was_killed_cannot_tell,
        report_reads_what_was_rotated_away_and_compressed,
    ]
}

pub(super) fn cases_with_clients() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        report_of_a_mixed_workload_names_what_was_launched,
    ]
}

/// A namespace with a mock, and the log of whoever watches it.
struct World<'s> {
    setup: &'s Setup,
    netns: Netns,
    mock: Mock,
    directory: tempfile::TempDir,
}

impl<'s> World<'s> {
    fn new(setup: &'s Setup) -> Result<Self> {
        let netns = Netns::new()?;
        Ok(Self {
            setup,
            mock: Mock::start(&netns)?,
            netns,
            directory: tempfile::tempdir()?,
        })
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("imds.log")
    }

    fn watch(&self) -> Result<Analyzer> {
        Launch {
            program: &self.setup.analyzer,
            backend: &self.setup.backend,
            format: "json",
            netns: self.netns.path(),
            output: Some(&self.log()),
            settings: "",
            verbose: false,
        }
        .start(|_| {})
    }

    /// Runs a scenario to its end.
    fn send(&self, scenario: &str, case: &str) -> Result<()> {
        let mut sender = RunningSender::start(&self.netns, scenario, case, (IMDS_V4, 80).into())?;
        sender.await_line("done")?;
        sender.finish()
    }

    fn report(&self, args: &[&str]) -> Result<Output> {
        Command::new(&self.setup.analyzer)
            .arg("report")
            .args(args)
            .env("COLUMNS", "160")
            .stdin(Stdio::null())
            .output()
            .context("cannot run report")
    }

    /// The report on the log, as JSON, which must end with `code`.
    fn json(&self, args: &[&str], code: i32) -> Result<Value> {
        let log = self.log();
        let log = log.to_string_lossy();
        let output = self.report(&[args, &["--format", "json", &log]].concat())?;
        ensure!(
            output.status.code() == Some(code),
            "{args:?}: {} instead of {code}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("the report is no JSON")
    }

    /// The first line of the table.
    fn first_line(&self, args: &[&str]) -> Result<String> {
        let log = self.log();
        let output = self.report(&[args, &[&*log.to_string_lossy()]].concat())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// What the mock got: without a token, with one or for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Served {
    v1: u64,
    v2: u64,
}

fn served(entries: &[access_log::Entry]) -> Served {
    let mut served = Served::default();
    for entry in entries {
        let is_token_request =
            entry.method == "PUT" && entry.target.starts_with(b"/latest/api/token");
        if entry.had_token || is_token_request {
            served.v2 += 1;
        } else {
            served.v1 += 1;
        }
    }
    served
}

fn counted(counts: &Value) -> Result<Served> {
    let number = |name: &str| counts[name].as_u64().with_context(|| format!("no {name}"));
    ensure!(number("unknown")? == 0, "unknown requests in {counts}");
    Ok(Served {
        v1: number("v1")?,
        v2: number("v2")?,
    })
}

fn report_of_callers_with_tokens_is_safe(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::new(setup)?;
    let analyzer = world.watch()?;
    world.send("header_spellings", name)?;
    analyzer.stop()?;
    let served = served(&world.mock.log().of_case(name));
    ensure!(served.v1 == 0 && served.v2 > 0, "the mock got {served:?}");
    let json = world.json(&NO_MINIMUM, SAFE)?;
    ensure!(json["verdict"] == "safe", "{json}");
    ensure!(
        json["reasons"] == Value::Array(Vec::new()),
        "{}",
        json["reasons"]
    );
    ensure!(counted(&json["totals"])? == served, "{}", json["totals"]);
    let enforce = json["commands"][0]["enforce"].as_str().unwrap_or_default();
    ensure!(
        enforce.starts_with("aws ec2 modify-instance-metadata-options --instance-id ")
            && enforce.ends_with(" --http-tokens required --http-endpoint enabled"),
        "{enforce}"
    );
    let first = world.first_line(&NO_MINIMUM)?;
    ensure!(first.starts_with("SAFE to turn IMDSv1 off: "), "{first}");
    // CloudWatch knows of three that nobody here has seen.
    let against = [&NO_MINIMUM[..], &["--expect-no-token", "3"]].concat();
    let json = world.json(&against, CANNOT_TELL)?;
    ensure!(
        json["reconciliation"][0]["accounted_for"] == false,
        "{json}"
    );
    Ok(())
}

fn report_of_a_caller_without_a_token_is_not_safe(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::new(setup)?;
    let analyzer = world.watch()?;
    world.send("header_spellings", name)?;
    world.send("plain_v1", name)?;
    analyzer.stop()?;
    let served = served(&world.mock.log().of_case(name));
    ensure!(served.v1 == 1, "the mock got {served:?}");
    let json = world.json(&NO_MINIMUM, NOT_SAFE)?;
    ensure!(counted(&json["totals"])? == served, "{}", json["totals"]);
    ensure!(
        json["reasons"][0]["kind"] == "v1_callers",
        "{}",
        json["reasons"]
    );
    let first = world.first_line(&NO_MINIMUM)?;
    ensure!(
        first.starts_with("NOT SAFE to turn IMDSv1 off: 1 call without a token by 1 caller: "),
        "{first}"
    );
    Ok(())
}

fn report_of_a_short_watch_cannot_tell(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::new(setup)?;
    let analyzer = world.watch()?;
    world.send("header_spellings", name)?;
    analyzer.stop()?;
    let json = world.json(&[], CANNOT_TELL)?;
    let kinds: Vec<_> = json["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|reason| reason["kind"].as_str())
        .collect();
    ensure!(kinds == ["days", "boots"], "{kinds:?}");
    let first = world.first_line(&[])?;
    ensure!(
        first.starts_with("CANNOT TELL whether IMDSv1 can be turned off: "),
        "{first}"
    );
    Ok(())
}

/// Its run has no end, and the next one follows in the same log.
fn report_of_an_analyzer_that_was_killed_cannot_tell(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let world = World::new(setup)?;
    let first = world.watch()?;
    world.send("header_spellings", name)?;
    let served = world.mock.log().of_case(name).len();
    await_lines(&world.log(), served + 1)?;
    drop(first);
    world.watch()?.stop()?;
    let strict = [&NO_MINIMUM[..], &["--max-gap", "0s"]].concat();
    let json = world.json(&strict, CANNOT_TELL)?;
    let boot = &json["hosts"][0]["boots"][0];
    ensure!(boot["runs"] == 2, "{boot}");
    ensure!(boot["gaps"][0]["kind"] == "ended_untold", "{boot}");
    // What an upgrade takes is forgiven.
    world.json(&NO_MINIMUM, SAFE)?;
    Ok(())
}

/// Waits until a file that is written has so many lines.
fn await_lines(path: &Path, count: usize) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let text = fs::read(path)?;
        if text.iter().filter(|byte| **byte == b'\n').count() >= count {
            return Ok(());
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "{} never had {count} lines",
            path.display()
        );
        std::thread::yield_now();
    }
}

fn report_reads_what_was_rotated_away_and_compressed(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let world = World::new(setup)?;
    let analyzer = world.watch()?;
    world.send("header_spellings", name)?;
    world.send("plain_v1", name)?;
    analyzer.stop()?;
    let log = world.log();
    let text = fs::read(&log)?;
    let middle = text.len() / 2
        + text[text.len() / 2..]
            .iter()
            .position(|b| *b == b'\n')
            .context("has lines")?
        + 1;
    let rotated = world.directory.path().join("imds.log.20261122T045301Z");
    fs::write(&rotated, &text[..middle])?;
    fs::write(&log, &text[middle..])?;
    let gzip = find_program("gzip");
    if let Some(gzip) = gzip {
        let done = Command::new(gzip).arg(&rotated).status()?;
        ensure!(done.success(), "gzip ended with {done}");
    }
    let configuration = world.directory.path().join("analyzer.toml");
    fs::write(&configuration, format!("output = '{}'\n", log.display()))?;
    let configuration = configuration.to_string_lossy();
    let args = [
        &NO_MINIMUM[..],
        &["--config", &configuration, "--format", "json"],
    ]
    .concat();
    let output = world.report(&args)?;
    ensure!(output.status.code() == Some(NOT_SAFE), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(json["input"]["files"] == 2, "{}", json["input"]);
    ensure!(
        json["hosts"][0]["boots"][0]["records_lost"] == 0,
        "{}",
        json["hosts"]
    );
    let served = served(&world.mock.log().of_case(name));
    ensure!(
        counted(&json["totals"])? == served,
        "{} and {served:?}",
        json["totals"]
    );
    Ok(())
}

/// A cgroup that belongs to no unit and no container, whatever this program runs in, for
/// those whose callers are to be told by their programs.
fn no_unit() -> Result<Cgroup> {
    Cgroup::new(&format!("imds-tests-report-{}", std::process::id()))
}

/// Runs a command in a cgroup, to its end.
fn run_in(cgroup: &Cgroup, mut command: Command) -> Result<()> {
    let output = cgroup
        .run(&mut command)?
        .stdin(Stdio::null())
        .output()
        .context("cannot start a client")?;
    if !output.status.success() {
        bail!("{command:?}: {output:?}");
    }
    Ok(())
}

/// Three kinds of callers, and who each of them is to an owner: curl by hand, a shell
/// script that runs curl, and a Python script that does both.
fn report_of_a_mixed_workload_names_what_was_launched(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let world = World::new(setup)?;
    let curl = find_program("curl")
        .context("this case needs curl")?
        .canonicalize()?;
    let shell = find_program("sh").context("this case needs sh")?;
    let case = |caller: &str| format!("{name}_{caller}");
    let url = |caller: &str, number: u32| {
        format!(
            "http://169.254.169.254/latest/meta-data/ami-id?case={}&n={number}",
            case(caller)
        )
    };
    let quiet = "-q -s --noproxy '*' -o /dev/null";
    let nightly = script_file(
        "nightly.sh",
        &format!(
            "{curl} {quiet} '{}'\n{curl} {quiet} '{}'\n:\n",
            url("nightly", 1),
            url("nightly", 2),
            curl = curl.display()
        ),
    )?;
    let agent = script_file("agent.py", include_str!("clients/urllib_client.py"))?;

    let no_unit = no_unit()?;
    let analyzer = world.watch()?;
    for number in 1..=3 {
        let mut command = world.netns.command(&curl);
        command.args(["-q", "-s", "--noproxy", "*", "-o", "/dev/null"]);
        command.arg(url("by_hand", number));
        run_in(&no_unit, command)?;
    }
    let mut command = world.netns.command(&shell);
    command.arg(&nightly.path);
    run_in(&no_unit, command)?;
    let mut command = world.netns.command(find_python()?);
    command.arg("-S").arg(&agent.path).arg(case("agent"));
    run_in(&no_unit, command)?;
    analyzer.stop()?;

    let of = |caller: &str| served(&world.mock.log().of_case(&case(caller)));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let expected = BTreeMap::from([
        (format!("program {}", path(&curl)), of("by_hand")),
        (format!("script {}", path(&nightly.path)), of("nightly")),
        (format!("script {}", path(&agent.path)), of("agent")),
    ]);
    let answers: Vec<Served> = expected.values().copied().collect();
    ensure!(
        of("by_hand") == (Served { v1: 3, v2: 0 })
            && of("nightly") == (Served { v1: 2, v2: 0 })
            && of("agent") == (Served { v1: 1, v2: 2 }),
        "the mock got {answers:?}"
    );
    let json = world.json(&NO_MINIMUM, NOT_SAFE)?;
    let mut found = BTreeMap::new();
    for caller in json["callers"].as_array().context("no callers")? {
        let title = caller["title"].as_str().context("no title")?;
        found.insert(title.to_owned(), counted(caller)?);
        ensure!(
            caller["next_steps"]
                .as_array()
                .is_some_and(|steps| !steps.is_empty()),
            "nothing to do about {caller}"
        );
    }
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    ensure!(
        counted(&json["totals"])? == Served { v1: 6, v2: 2 },
        "{}",
        json["totals"]
    );

    let log = world.log();
    let table = world.report(&[&NO_MINIMUM[..], &[&*log.to_string_lossy()]].concat())?;
    let table = String::from_utf8(table.stdout)?;
    for (title, served) in &expected {
        let row: Vec<&str> = table
            .lines()
            .find(|line| line.trim_start().starts_with(title.as_str()))
            .with_context(|| format!("no row of {title} in {table}"))?
            .trim_start()[title.len()..]
            .split_whitespace()
            .collect();
        let numbers = [
            served.v1.to_string(),
            "0".to_owned(),
            served.v2.to_string(),
            "0".to_owned(),
        ];
        ensure!(row.len() == 5 && row[..4] == numbers, "{row:?} for {title}");
    }
    for format in ["markdown", "html"] {
        let page = world.report(&["--format", format, &log.to_string_lossy()])?;
        let page = String::from_utf8(page.stdout)?;
        let has = |what: &str| page.contains(what) || page.contains(&what.replace('_', "\\_"));
        ensure!(
            has(&path(&nightly.path)) && has(&path(&agent.path)),
            "{format} lacks a caller: {page}"
        );
    }
    Ok(())
}
