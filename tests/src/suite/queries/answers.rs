//! The answers to the documented questions, counted record by record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Groups of records by what they are grouped by.
type Groups<'r> = BTreeMap<Vec<String>, Vec<&'r Value>>;

/// The rows of the answer to a question, sorted; `None` if nobody has counted one.
pub(super) fn to(question: &str, records: &[Value]) -> Option<Vec<Vec<String>>> {
    let v1: Vec<&Value> = records
        .iter()
        .filter(|it| text(it, "/imds/version") == "v1")
        .collect();
    let early = |it: &&&Value| it["boottime_us"].as_u64() < Some(300_000_000);
    let boot_groups = ["/process/executable", "/process/systemd_unit", "/lineage"];
    Some(match question {
        "Who calls v1?" => rows(
            groups(
                &v1,
                &["/process/executable", "/process/user/name", "/lineage"],
            ),
            |of| {
                vec![
                    number(of.len()),
                    distinct(of, "/cloud/instance_id"),
                    last(of),
                ]
            },
        ),
        "Which systemd units call v1?" => rows(
            groups(
                &having(&v1, "/process/systemd_unit"),
                &["/process/systemd_unit", "/process/executable"],
            ),
            |of| {
                vec![
                    number(of.len()),
                    distinct(of, "/cloud/instance_id"),
                    last(of),
                ]
            },
        ),
        "Which containers call v1?" => rows(
            groups(
                &having(&v1, "/process/container/id"),
                &[
                    "/process/container/image",
                    "/process/container/name",
                    "/process/kubernetes/namespace",
                    "/process/kubernetes/pod_name",
                    "/process/ecs/task_definition",
                    "/process/executable",
                ],
            ),
            |of| {
                vec![
                    number(of.len()),
                    distinct(of, "/process/container/id"),
                    last(of),
                ]
            },
        ),
        "Who calls v1 in the first five minutes of a boot?" => {
            let early: Vec<&Value> = v1.iter().filter(early).copied().collect();
            rows(groups(&early, &boot_groups), |of| {
                vec![number(of.len()), distinct(of, "/boot_id")]
            })
        }
        "Who calls v1 later?" => {
            let late: Vec<&Value> = v1.iter().filter(|it| !early(it)).copied().collect();
            rows(groups(&late, &boot_groups), |of| {
                vec![number(of.len()), distinct(of, "/boot_id")]
            })
        }
        "Which hosts had no v1?" => hosts_without_v1(records),
        "What was lost?" => {
            let losses = of_event(records, "capture_loss");
            rows(groups(&losses, &["/cloud/instance_id", "/cause"]), |of| {
                let lost: u64 = of.iter().filter_map(|it| it["count"].as_u64()).sum();
                vec![lost.to_string(), number(of.len()), last(of)]
            })
        }
        "Which runs ended without notice?" => {
            let mut starts = of_event(records, "analyzer_started");
            starts.retain(|it| it["previous_end"] == "abrupt" || it["previous_end"] == "torn");
            rows(
                groups(&starts, &["/cloud/instance_id", "/host/name"]),
                |of| vec![number(of.len()), last(of)],
            )
        }
        _ => return None,
    })
}

fn hosts_without_v1(records: &[Value]) -> Vec<Vec<String>> {
    let is_sign = |it: &Value| it["event"] == "heartbeat" || it["event"] == "analyzer_stopped";
    let all: Vec<&Value> = records.iter().collect();
    let mut rows = Vec::new();
    for (mut row, of) in groups(&all, &["/cloud/instance_id", "/host/name"]) {
        let signs: Vec<&Value> = of.iter().copied().filter(|it| is_sign(it)).collect();
        if signs.is_empty() || of.iter().any(|it| it["imds"]["version"] == "v1") {
            continue;
        }
        let unread = signs
            .iter()
            .map(|it| it["counters"]["requests"]["unknown"].as_u64());
        let first = signs.iter().map(|it| text(it, "/timestamp")).min();
        row.extend([number(signs.len()), number(0)]);
        row.push(unread.max().flatten().unwrap_or_default().to_string());
        row.extend([first.unwrap_or_default(), last(&signs)]);
        rows.push(row);
    }
    rows.sort();
    rows
}

fn text(record: &Value, pointer: &str) -> String {
    let value = record.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn of_event<'r>(records: &'r [Value], event: &str) -> Vec<&'r Value> {
    records.iter().filter(|it| it["event"] == event).collect()
}

fn having<'r>(records: &[&'r Value], pointer: &str) -> Vec<&'r Value> {
    records
        .iter()
        .copied()
        .filter(|it| it.pointer(pointer).is_some())
        .collect()
}

fn groups<'r>(records: &[&'r Value], by: &[&str]) -> Groups<'r> {
    let mut groups = Groups::new();
    for record in records {
        let key = by.iter().map(|pointer| text(record, pointer)).collect();
        groups.entry(key).or_default().push(record);
    }
    groups
}

fn rows(groups: Groups<'_>, results: impl Fn(&[&Value]) -> Vec<String>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = groups
        .into_iter()
        .map(|(mut key, of)| {
            key.extend(results(&of));
            key
        })
        .collect();
    rows.sort();
    rows
}

fn number(count: usize) -> String {
    count.to_string()
}

fn distinct(of: &[&Value], pointer: &str) -> String {
    let values: BTreeSet<String> = of.iter().map(|it| text(it, pointer)).collect();
    number(values.iter().filter(|value| !value.is_empty()).count())
}

fn last(of: &[&Value]) -> String {
    of.iter()
        .map(|it| text(it, "/timestamp"))
        .max()
        .unwrap_or_default()
}
