//! What IMDS was asked against what was recorded, boot by boot.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use super::{access::Access, records::Run};
use crate::{
    compare::{Expected, Sender, Sight, compare, settle},
    mock::access_log::Entry,
    record::{Request, defects},
    suite::schema,
};

/// The units whose scripts call v1: while it boots, when it is up, and as it goes down.
const BOOT_SCRIPTS: [&str; 2] = ["register-host.service", "warm-cache.service"];
const SHUTDOWN_SCRIPT: &str = "deregister-host.service";

/// Every line is valid, and none is missing between two.
pub(super) fn lines_are_sound(runs: &[Run]) -> Result<()> {
    ensure!(!runs.is_empty(), "the log has no run");
    let found: Vec<String> = runs
        .iter()
        .flat_map(|run| defects(&run.lines, schema::violations))
        .collect();
    ensure!(
        found.is_empty(),
        "{} defects, such as {}",
        found.len(),
        found[0]
    );
    Ok(())
}

/// Each request has one record, of the process that waited for its answer, and each
/// record a request. The number of requests.
pub(super) fn all_are_recorded(asked: &[Access], runs: &[Run]) -> Result<usize> {
    let mut boots: BTreeMap<&str, (Vec<Expected>, Vec<Request>)> = BTreeMap::new();
    let mut logs: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for access in asked {
        let holder = access.sender()?;
        let sender = Sender {
            pid: holder.pid,
            name: holder.name.clone(),
            uid: holder.uid,
            ..Sender::default()
        };
        let log = logs.entry(&access.boot_id).or_default();
        let entry = Entry {
            seq: log.len(),
            ..access.entry.clone()
        };
        let expected = Expected::from_entry(&entry, sender);
        log.push(entry);
        boots.entry(&access.boot_id).or_default().0.push(expected);
    }
    for (boot, log) in logs {
        let expected = &mut boots.entry(boot).or_default().0;
        settle(expected, &log.into_iter().collect(), Sight::Arriving);
    }
    for (number, request) in requests(runs)? {
        let run = &runs[number];
        boots.entry(&run.boot_id).or_default().1.push(request);
    }
    let mut differences = Vec::new();
    for (boot, (expected, records)) in &boots {
        let found = compare(expected, records);
        differences.extend(found.iter().map(|one| format!("boot {boot}: {one}")));
    }
    ensure!(
        differences.is_empty(),
        "{} differences, such as {}",
        differences.len(),
        differences
            .iter()
            .take(5)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    );
    ensure!(!asked.is_empty(), "IMDS was never asked");
    Ok(asked.len())
}

/// All requests that were recorded, with the number of their run. What is numbered in each
/// run from 1 is made to differ between runs.
fn requests(runs: &[Run]) -> Result<Vec<(usize, Request)>> {
    let mut requests = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        for line in &run.lines {
            if let Some(mut request) = line.request().map_err(anyhow::Error::msg)? {
                request.seq += (number as u64) << 32;
                requests.push((number, request));
            }
        }
    }
    Ok(requests)
}

/// The first to ask in each of `boots` was cloud-init, and it was not the only one.
pub(super) fn begin_with_cloud_init(asked: &[Access], boots: &[&str]) -> Result<()> {
    for boot in boots {
        let of_boot = || asked.iter().filter(|access| access.boot_id == *boot);
        let first = of_boot().next().context("nobody asked")?.sender()?;
        ensure!(
            first.name == "cloud-init",
            "the first to ask in boot {boot} was {first:?}"
        );
        let names: BTreeSet<&str> = of_boot()
            .filter_map(|access| access.sender().ok())
            .map(|holder| holder.name.as_str())
            .collect();
        ensure!(
            names.contains("curl"),
            "in boot {boot} only {names:?} asked"
        );
    }
    Ok(())
}

/// The scripts' v1 calls are recorded with their units: those of the boot in each of
/// `boots`, that of the shutdown in each of `shutdowns`.
pub(super) fn scripts_are_named(runs: &[Run], boots: &[&str], shutdowns: &[&str]) -> Result<()> {
    let mut expected: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for boot in boots {
        expected.extend(BOOT_SCRIPTS.map(|unit| ((*boot, unit), 1)));
    }
    expected.extend(shutdowns.iter().map(|boot| ((*boot, SHUTDOWN_SCRIPT), 1)));
    let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for run in runs {
        for value in run.lines.iter().filter_map(|line| line.value.as_ref().ok()) {
            if value["imds"]["version"] == "v1" {
                let unit = value["process"]["systemd_unit"].as_str().unwrap_or("?");
                *found.entry((&run.boot_id, unit)).or_default() += 1;
            }
        }
    }
    ensure!(found == expected, "expected {expected:?}, found {found:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{boot::holders::Holder, record::Line, suite::schema::violations};

    fn asked(boot: &str, target: &str, pid: u32) -> Access {
        let entry = Entry {
            seq: 0,
            connection: 0,
            peer: "127.0.0.1:40000".parse().unwrap(),
            local: [169, 254, 169, 254].into(),
            method: "GET".into(),
            target: target.into(),
            had_token: false,
            empty_token: false,
            head_bytes: 0,
            status: Some(200),
            id: None,
        };
        let name = if pid < 100 { "cloud-init" } else { "curl" };
        let holder = Holder {
            pid,
            name: name.into(),
            uid: 0,
        };
        Access::new(boot, &entry, vec![holder])
    }

    fn recorded(seq: u64, target: &str, pid: u32, unit: &str) -> Value {
        let name = if pid < 100 { "cloud-init" } else { "curl" };
        json!({
            "event": "imds_request", "seq": seq, "lineage": format!("{name} < systemd"),
            "imds": {"version": "v1", "operation": "metadata", "cause": "never_asked_for_token"},
            "http": {"method": "GET", "path": target, "status": 200},
            "process": {"pid": pid, "tid": pid, "name": name, "args": [name], "exited": false,
                "user": {"id": 0}, "systemd_unit": unit},
            "ancestors": [{"pid": 1, "name": "systemd", "command_line": "init"}],
            "destination": {"ip": "169.254.169.254", "port": 80},
            "capture": {"backend": "fentry", "netns": 1},
        })
    }

    fn run(boot: &str, records: &[Value]) -> Run {
        let lines = records
            .iter()
            .map(|record| Line::new(record.to_string().into_bytes()));
        Run {
            boot_id: boot.into(),
            lines: lines.collect(),
        }
    }

    #[test]
    fn what_is_missing_invented_or_of_another_is_told() {
        let all = [asked("a", "/x", 7), asked("a", "/y", 200)];
        let (x, y) = (recorded(2, "/x", 7, "u"), recorded(3, "/y", 200, "u"));
        let told = |records: &[Value]| match all_are_recorded(&all, &[run("a", records)]) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(told(&[x.clone(), y.clone()]), "");
        assert!(told(std::slice::from_ref(&x)).contains("missing: GET /y"));
        let third = recorded(4, "/z", 7, "u");
        assert!(told(&[x.clone(), y, third]).contains("invented"));
        assert!(told(&[x, recorded(3, "/y", 201, "u")]).contains("wrong pid"));
    }

    #[test]
    fn request_of_one_boot_is_not_made_up_for_by_a_record_of_another() {
        let record = recorded(2, "/x", 7, "u");
        let runs = [run("b", std::slice::from_ref(&record))];
        assert!(all_are_recorded(&[asked("a", "/x", 7)], &runs).is_err());
        // Each run of a boot numbers from 1.
        let twice = [
            run("a", std::slice::from_ref(&record)),
            run("a", std::slice::from_ref(&record)),
        ];
        let all = [asked("a", "/x", 7), asked("a", "/x", 7)];
        assert_eq!(all_are_recorded(&all, &twice).unwrap(), 2);
        assert!(all_are_recorded(&[], &[]).is_err());
    }

    #[test]
    fn boot_that_cloud_init_does_not_begin_or_begins_alone_is_told() {
        let good = [asked("a", "/x", 7), asked("a", "/y", 200)];
        assert!(begin_with_cloud_init(&good, &["a"]).is_ok());
        assert!(begin_with_cloud_init(&good[1..], &["a"]).is_err());
        assert!(begin_with_cloud_init(&good[..1], &["a"]).is_err());
        assert!(begin_with_cloud_init(&good, &["a", "b"]).is_err());
    }

    #[test]
    fn every_script_has_to_be_named_once_in_each_boot() {
        let boot = BOOT_SCRIPTS.map(|unit| recorded(2, "/x", 200, unit));
        let shutdown = recorded(4, "/x", 201, SHUTDOWN_SCRIPT);
        let whole = [boot.as_slice(), std::slice::from_ref(&shutdown)].concat();
        assert!(scripts_are_named(&[run("a", &whole)], &["a"], &["a"]).is_ok());
        assert!(scripts_are_named(&[run("a", &whole)], &["a"], &[]).is_err());
        assert!(scripts_are_named(&[run("a", &boot)], &["a"], &["a"]).is_err());
        assert!(scripts_are_named(&[run("a", &[shutdown])], &["a"], &["a"]).is_err());
    }

    #[test]
    fn line_that_is_no_record_is_a_defect() {
        let record = recorded(1, "/x", 7, "u");
        assert!(!violations(&record).is_empty());
        assert!(lines_are_sound(&[run("a", &[record])]).is_err());
        assert!(lines_are_sound(&[]).is_err());
    }
}
