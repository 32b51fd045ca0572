//! What an owner knows a caller by: container, client, package, and what a program of
//! the owner's says.

mod containers;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    Entry, cases,
    client::{HeldShell, RunningSender},
    find_program,
    real_clients::script_file,
    session::{PATIENCE, Setup, defects_of_run},
};
use crate::{
    analyzer::{Analyzer, Launch},
    cgroup::Cgroup,
    lines::Lines,
    mock::{Mock, imds::TokenAnswer},
    netns::{IMDS_V4, Netns},
};

/// Id of the containers that the cases make.
const ID: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// Calls after which a package must have been found.
const MOST_CALLS: usize = 50;

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        container_is_named_by_its_cgroup,
        cgroup_that_a_service_made_up_names_no_container,
        token_that_a_container_is_refused_is_the_cause_for_all_in_it,
        token_that_a_stranger_is_refused_is_nobody_elses_cause,
    ]
}

pub(super) fn cases_with_clients() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        client_and_package_are_named,
        owner_s_program_is_heard,
        owner_s_program_that_hangs_delays_no_capture,
        owner_s_program_that_is_missing_is_told_at_the_start,
    ]
    .into_iter()
    .chain(containers::cases())
}

/// A namespace with a mock and an analyzer.
struct World {
    netns: Netns,
    mock: Mock,
    analyzer: Analyzer,
}

impl World {
    fn start(setup: &Setup, settings: &str) -> Result<Self> {
        let netns = Netns::new()?;
        let mock = Mock::start(&netns)?;
        let analyzer = Launch {
            program: &setup.analyzer,
            backend: &setup.backend,
            format: "json",
            netns: netns.path(),
            output: None,
            settings,
            verbose: false,
        }
        .start(|_| {})?;
        Ok(Self {
            netns,
            mock,
            analyzer,
        })
    }

    fn sender(&self, scenario: &str, case: &str) -> Result<RunningSender> {
        RunningSender::start(&self.netns, scenario, case, (IMDS_V4, 80).into())
    }

    /// Waits for `count` records of requests.
    fn await_records(&self, count: usize) -> Result<()> {
        let came = self.analyzer.stdout().wait(0, PATIENCE, |lines| {
            let is_request = |line: &&Vec<u8>| {
                serde_json::from_slice::<Value>(line)
                    .is_ok_and(|record| record["event"] == "imds_request")
            };
            lines.iter().filter(is_request).count() >= count
        });
        ensure!(came, "no {count} records; {}", self.analyzer.last_words());
        Ok(())
    }

    /// Ends the run: the records of its requests, of which the mock has as many, and
    /// every line of which is sound.
    fn records(self, case: &str) -> Result<Vec<Value>> {
        let served = self.mock.log().of_case(case).len();
        let finished = self.analyzer.stop()?;
        let defects = defects_of_run(&finished);
        ensure!(defects.is_empty(), "{}", defects.join("\n    "));
        let mut records = Vec::new();
        for line in &finished.records {
            records.push(serde_json::from_slice::<Value>(line)?);
        }
        records.retain(|record| record["event"] == "imds_request");
        ensure!(
            records.len() == served && served > 0,
            "{} records of {served} requests",
            records.len()
        );
        Ok(records)
    }
}

/// The record of a process that was in this cgroup when it sent.
fn record_in(setup: &Setup, case: &'static str, path: &str) -> Result<Value> {
    let world = World::start(setup, "")?;
    let cgroup = Cgroup::new(path)?;
    let mut sender = world.sender("waits_first", case)?;
    sender.await_line("waiting")?;
    cgroup.take(sender.sender_of(1).pid.into())?;
    sender.proceed()?;
    sender.await_line("done")?;
    world.await_records(1)?;
    sender.finish()?;
    let mut records = world.records(case)?;
    records.pop().context("one record")
}

fn container_is_named_by_its_cgroup(setup: &Setup, name: &'static str) -> Result<()> {
    let path = format!("imds-tests-{}/docker-{ID}.scope", std::process::id());
    let process = &record_in(setup, name, &path)?["process"];
    ensure!(process["container"]["id"] == ID, "{process}");
    ensure!(process["container"]["runtime"] == "docker", "{process}");
    Ok(())
}

/// Two processes that have nothing in common but their container.
fn token_that_a_container_is_refused_is_the_cause_for_all_in_it(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let path = format!("imds-tests-{}/docker-{ID}.scope", std::process::id());
    let imds = &cause_behind_a_refusal(setup, name, Some(&path))?["imds"];
    ensure!(imds["cause"] == "token_refused", "{imds}");
    ensure!(imds["cause_status"] == 403, "{imds}");
    Ok(())
}

/// The same two without a container.
fn token_that_a_stranger_is_refused_is_nobody_elses_cause(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let imds = &cause_behind_a_refusal(setup, name, None)?["imds"];
    ensure!(imds["cause"] == "never_asked_for_token", "{imds}");
    Ok(())
}

/// The record of a v1 request behind another process's request for a token that was
/// refused, both in this cgroup.
fn cause_behind_a_refusal(setup: &Setup, case: &'static str, path: Option<&str>) -> Result<Value> {
    let world = World::start(setup, "")?;
    let mock = world.mock.clone();
    let _until_the_end = mock.imds().answer_tokens(TokenAnswer::Refuse(403));
    let cgroup = path.map(Cgroup::new).transpose()?;
    let mut sender = world.sender("orphan_behind_a_token_request", case)?;
    sender.await_line("waiting")?;
    if let Some(cgroup) = &cgroup {
        cgroup.take(sender.sender_of(1).pid.into())?;
    }
    sender.proceed()?;
    sender.await_line("done")?;
    world.await_records(2)?;
    sender.finish()?;
    let mut records = world.records(case)?;
    records.retain(|record| record["imds"]["version"] == "v1");
    ensure!(records.len() == 1, "{} v1 records", records.len());
    records.pop().context("one record")
}

fn cgroup_that_a_service_made_up_names_no_container(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let path = format!(
        "imds-tests-{}.service/docker-{ID}.scope",
        std::process::id()
    );
    let process = &record_in(setup, name, &path)?["process"];
    ensure!(process.get("container").is_none(), "{process}");
    // Its path is told as it is.
    let told = process["cgroup"].as_str().unwrap_or_default();
    ensure!(told.ends_with(&format!("/{path}")), "{process}");
    Ok(())
}

/// A shell that calls IMDS itself, and stays until it is dropped.
fn calling_shell(netns: &Netns, case: &str, count: usize) -> Result<HeldShell> {
    let bash = find_program("bash").context("this case needs bash")?;
    let script = script_file(
        "calls.bash",
        include_str!("../clients/calls_and_stays.bash"),
    )?;
    let mut command = netns.command(bash);
    command.arg(&script.path).arg(case).arg(count.to_string());
    HeldShell::start(command, 1)
}

fn client_and_package_are_named(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::start(setup, "")?;
    let bash = fs::canonicalize(find_program("bash").context("this case needs bash")?)?;
    let (package, version) = package_of(&bash)?;
    // A search that takes longer than a record waits is for the next one.
    let is_named = |line: &Vec<u8>| {
        let record = serde_json::from_slice::<Value>(line);
        record.is_ok_and(|record| record["process"].get("package").is_some())
    };
    for calls in 1..=MOST_CALLS {
        let shell = calling_shell(&world.netns, name, 1)?;
        world.await_records(calls)?;
        drop(shell);
        if world.analyzer.stdout().since(0).iter().any(is_named) {
            break;
        }
    }
    let records = world.records(name)?;
    let last = records.last().context("there are some")?;
    ensure!(last["process"].get("package").is_some(), "{last}");
    for record in &records {
        let client = &record["http"]["client"];
        ensure!(client["name"] == "aws-sdk-go", "{record}");
        ensure!(client["version"] == "1.37.19", "{record}");
        if let Some(found) = record["process"].get("package") {
            ensure!(found["name"] == *package, "not {package}: {record}");
            ensure!(found["version"] == *version, "not {version}: {record}");
        }
    }
    Ok(())
}

/// Name and version of the package that owns a file, as the system's own program says.
fn package_of(path: &Path) -> Result<(String, String)> {
    let path = path.to_str().context("is UTF-8")?;
    if find_program("dpkg-query").is_none() {
        let format = "%{NAME} %{VERSION}-%{RELEASE}\n";
        let said = output("rpm", &["-qf", "--qf", format, path])?;
        return first_two(&said);
    }
    // Lists may have the path from before `/usr` was merged.
    let short = path.strip_prefix("/usr").unwrap_or(path);
    let said = output("dpkg-query", &["--search", path])
        .or_else(|_| output("dpkg-query", &["--search", short]))?;
    let (package, _) = said.split_once(": ").context("package: path")?;
    let format = "--showformat=${Package} ${Version}";
    first_two(&output("dpkg-query", &["--show", format, package])?)
}

fn first_two(said: &str) -> Result<(String, String)> {
    let mut words = said.split_whitespace().map(str::to_owned);
    match (words.next(), words.next()) {
        (Some(first), Some(second)) => Ok((first, second)),
        _ => bail!("`{said}` has no two words"),
    }
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("this case needs dpkg-query or rpm; {program}"))?;
    ensure!(output.status.success(), "{program} {args:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// A program and the configuration that names it. Without packages, of which one may
/// come late: callers of one kind are known by their package too.
fn program(directory: &Path, script: &str, settings: &str) -> Result<String> {
    let path = directory.join("enrich");
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(format!(
        "package_lookup = false\n[enrich]\ncommand = [{:?}, \"an argument\"]\n{settings}",
        path.display().to_string()
    ))
}

fn owner_s_program_is_heard(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    // Each run leaves a line, so that how often it ran can be told.
    let script = format!(
        "read -r record; printf '%s\\n' \"$record\" >>{}/seen; printf '{{\"team\":\"web\",\"arg\":\"%s\",\"v\":null}}' \"$1\"",
        directory.path().display()
    );
    let settings = program(directory.path(), &script, "timeout_ms = 10000")?;
    let world = World::start(setup, &settings)?;
    let shell = calling_shell(&world.netns, name, 3)?;
    world.await_records(3)?;
    drop(shell);
    for record in world.records(name)? {
        let said = serde_json::json!({"team": "web", "arg": "an argument"});
        ensure!(record["enrichment"] == said, "{record}");
    }
    let seen = fs::read_to_string(directory.path().join("seen"))?;
    let lines: Vec<&str> = seen.lines().collect();
    ensure!(
        lines.len() == 1,
        "it ran {} times for one caller",
        lines.len()
    );
    let got: Value = serde_json::from_str(lines[0])?;
    ensure!(got["event"] == "imds_request", "it got {got}");
    ensure!(
        got["http"]["client"]["name"] == "aws-sdk-go",
        "it got {got}"
    );
    Ok(())
}

fn owner_s_program_that_hangs_delays_no_capture(setup: &Setup, name: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let settings = program(directory.path(), "exec sleep 1000", "timeout_ms = 200")?;
    let world = World::start(setup, &settings)?;
    let shell = calling_shell(&world.netns, name, 20)?;
    world.await_records(20)?;
    drop(shell);
    for record in world.records(name)? {
        let error = record["enrichment_error"].as_str().unwrap_or_default();
        ensure!(["late", "timed_out"].contains(&error), "{record}");
        ensure!(record.get("enrichment").is_none(), "{record}");
    }
    Ok(())
}

fn owner_s_program_that_is_missing_is_told_at_the_start(
    setup: &Setup,
    _name: &'static str,
) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let configuration = directory.path().join("config.toml");
    fs::write(&configuration, "[enrich]\ncommand = [\"/none/such\"]\n")?;
    let netns = Netns::new()?;
    let mut child = Command::new(&setup.analyzer)
        .args(["run", "--output", "-", "--config"])
        .arg(&configuration)
        .arg("--netns")
        .arg(netns.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .context("start the analyzer")?;
    let stderr = child.stderr.take().context("is piped")?;
    let said = Lines::read(stderr, |_| {});
    let ended = said.wait_for_end(Duration::from_secs(60));
    if !ended {
        child.kill()?;
    }
    let status = child.wait()?;
    let said = said.finish().concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(ended && status.code() == Some(1), "{status}: {said}");
    ensure!(
        said.contains("enrich.command") && said.contains("/none/such"),
        "{said}"
    );
    Ok(())
}
