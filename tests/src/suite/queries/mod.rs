//! The queries of `docs/cloudwatch.md`, run on records and held against answers that are
//! counted here without them.
//!
//! The records are those of a real run, and copies of them that were given what no
//! ordinary machine has: instance ids, units, containers, times of the boot, losses.

mod answers;
mod insights;

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::{
    Entry, cases,
    client::RunningSender,
    find_program, schema,
    session::{PATIENCE, Setup},
};
use crate::{
    analyzer::Launch,
    mock::Mock,
    netns::{IMDS_V4, Netns},
};

const DOCUMENT: &str = include_str!("../../../../docs/cloudwatch.md");
const SCHEMA: &str = include_str!("../../../../docs/record.schema.json");
const PROGRAM: &str = include_str!("../clients/duckdb_query.py");

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone: documented_queries_give_the_answers_that_were_counted]
}

/// Each question of the document with its query.
fn questions() -> Vec<(&'static str, &'static str)> {
    DOCUMENT
        .split("\n### ")
        .skip(1)
        .filter_map(|section| {
            let (title, text) = section.split_once('\n')?;
            let query = text.split_once("```\n")?.1.split_once("```")?.0;
            Some((title, query))
        })
        .collect()
}

fn documented_queries_give_the_answers_that_were_counted(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let records = real_records(setup, name)?;
    let mut all = variants(&records);
    all.extend(records);
    for record in &all {
        let violations = schema::violations(record);
        ensure!(violations.is_empty(), "{violations:?} in {record}");
    }
    let fields = insights::fields(&serde_json::from_str(SCHEMA)?)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("records.jsonl");
    let mut file = File::create(&path)?;
    for record in &all {
        writeln!(file, "{}", Value::Object(flat(record)))?;
    }
    let mut queries = Vec::new();
    for (title, query) in questions() {
        queries.push(insights::to_sql(query, &fields).with_context(|| title.to_owned())?);
    }
    let request = json!({"records": path, "columns": fields, "queries": queries});
    let found = ask_duckdb(setup, directory.path(), &request)?;
    for ((title, _), rows) in questions().iter().zip(&found) {
        let mut rows: Vec<Vec<String>> = rows
            .as_array()
            .context("rows")?
            .iter()
            .map(|row| row.as_array().into_iter().flatten().map(cell).collect())
            .collect();
        rows.sort();
        let expected = answers::to(title, &all).with_context(|| format!("no answer to {title}"))?;
        ensure!(!expected.is_empty(), "{title}: nothing to be found");
        ensure!(
            rows == expected,
            "{title}\n  gives    {rows:?}\n  and not  {expected:?}"
        );
    }
    Ok(())
}

/// The records of requests with and without a token, of two programs, as many as the
/// mock served.
fn real_records(setup: &Setup, name: &'static str) -> Result<Vec<Value>> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let analyzer = Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output: None,
        settings: "heartbeat_interval_s = 1\n[cloud]\ninstance_id = 'i-0123456789abcdef0'\n",
        verbose: false,
    }
    .start(|_| {})?;
    for scenario in ["plain_v1", "plain_v1", "empty_token"] {
        let mut sender = RunningSender::start(&netns, scenario, name, (IMDS_V4, 80).into())?;
        sender.await_line("done")?;
        sender.finish()?;
    }
    let came = analyzer.stdout().wait(0, PATIENCE, |lines| {
        let is_heartbeat = |line: &Vec<u8>| String::from_utf8_lossy(line).contains("\"heartbeat\"");
        lines.iter().any(is_heartbeat)
    });
    ensure!(came, "no heartbeat");
    let mut records: Vec<Value> = Vec::new();
    for line in &analyzer.stop()?.records {
        records.push(serde_json::from_slice(line)?);
    }
    let served = mock.log().of_case(name);
    for (version, had_token) in [("v1", false), ("v2", true)] {
        let wanted = served
            .iter()
            .filter(|entry| entry.had_token == had_token)
            .count();
        let found = records
            .iter()
            .filter(|it| it["imds"]["version"] == version)
            .count();
        ensure!(
            wanted == found && found > 0,
            "{found} records of {wanted} {version} requests"
        );
    }
    Ok(records)
}

/// Copies with what a fleet has.
fn variants(records: &[Value]) -> Vec<Value> {
    let mut variants = Vec::new();
    for (number, record) in records.iter().cycle().take(records.len() * 12).enumerate() {
        let mut copy = record.clone();
        let instance = number % 3;
        copy["cloud"] = json!({"instance_id": format!("i-0000000{instance}")});
        copy["boottime_us"] = json!([1, 299_999_999, 300_000_000, 7_000_000_000_u64][number % 4]);
        copy["timestamp"] = json!(format!("2026-11-22T04:32:{:02}.000000Z", number % 60));
        if copy["event"] == "imds_request" {
            let process = &mut copy["process"];
            if number % 2 == 0 {
                process["systemd_unit"] = json!(["a.service", "b.service"][number / 2 % 2]);
            }
            if number % 5 < 2 {
                let id = format!("{:064x}", number % 7);
                process["container"] = json!({"id": id, "name": format!("web-{}", number % 2)});
            }
            // The first instance alone is not clean.
            if copy["imds"]["version"] == "v1" && instance > 0 {
                copy["imds"]["version"] = json!("v2");
            }
        }
        if copy["event"] == "heartbeat" && instance == 2 {
            copy["counters"]["requests"]["unknown"] = json!(number);
        }
        if copy["event"] == "heartbeat" && instance == 0 {
            let (cause, count) = (["ring_full", "unreadable"][number % 2], number + 1);
            for key in ["heartbeat_interval_s", "counters"] {
                copy.as_object_mut().map(|copy| copy.remove(key));
            }
            copy["event"] = json!("capture_loss");
            copy["cause"] = json!(cause);
            copy["count"] = json!(count);
            copy["total"] = json!(count);
        }
        if copy["event"] == "analyzer_started" {
            copy["previous_end"] = json!(["abrupt", "stopped", "torn"][number / 3 % 3]);
        }
        variants.push(copy);
    }
    variants
}

/// A record as Logs Insights shows it: dotted names of what stands inside.
fn flat(record: &Value) -> Map<String, Value> {
    fn walk(value: &Value, name: &str, into: &mut Map<String, Value>) {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    walk(value, &format!("{name}.{key}"), into);
                }
            }
            Value::Array(_) => {}
            value => _ = into.insert(name.trim_start_matches('.').to_owned(), value.clone()),
        }
    }
    let mut fields = Map::new();
    walk(record, "", &mut fields);
    fields.insert("@timestamp".to_owned(), record["timestamp"].clone());
    fields
}

/// A cell of an answer as text; one that is empty is absent.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn ask_duckdb(setup: &Setup, directory: &Path, request: &Value) -> Result<Vec<Value>> {
    let python = find_program("python3").context("this case needs python3")?;
    let packages = setup.clients.join("duckdb");
    ensure!(
        packages.join("duckdb").is_dir(),
        "this case needs DuckDB in {}: run `cargo xtask setup`",
        packages.display()
    );
    let program = directory.join("query.py");
    std::fs::write(&program, PROGRAM)?;
    let mut child = Command::new(python)
        .arg(&program)
        .env("PYTHONPATH", &packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("is piped")?;
    stdin.write_all(request.to_string().as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "DuckDB: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_query_is_understood_and_names_fields_of_the_schema() {
        let fields = insights::fields(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
        assert!(fields.contains_key("process.container.image"), "{fields:?}");
        let questions = questions();
        assert_eq!(questions.len(), DOCUMENT.matches("\n### ").count());
        assert_eq!(questions.len(), 8);
        for (title, query) in questions {
            insights::to_sql(query, &fields).unwrap_or_else(|error| panic!("{title} {error:#}"));
            assert!(
                answers::to(title, &[]).is_some(),
                "no answer is counted to: {title}"
            );
        }
    }
}
