//! What was shown against what the mock IMDS got, by caller.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Caller;
use crate::mock::access_log::Entry;

/// Calls of one caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    v1: usize,
    v2: usize,
    unknown: usize,
}

/// The table, and what is wrong with the lines.
#[derive(Debug)]
pub(super) struct Summary {
    rows: BTreeMap<String, Row>,
    /// Differences between the lines and the mock's log.
    pub(super) wrong: Vec<String>,
}

/// Whether a line shows a request.
pub(super) fn is_request(line: &[u8]) -> bool {
    Shown::new(line).is_some()
}

/// One line, as far as the demo reads it.
struct Shown {
    version: &'static str,
    method: String,
    target: String,
    pid: Option<u32>,
}

impl Shown {
    fn new(line: &[u8]) -> Option<Self> {
        match serde_json::from_slice(line) {
            Ok(record) => Self::of_record(&record),
            Err(_) => Self::of_text(line),
        }
    }

    fn of_record(record: &serde_json::Value) -> Option<Self> {
        let version = match record["imds"]["version"].as_str()? {
            "v1" => "IMDSv1",
            "v2" => "IMDSv2",
            _ => "IMDS?",
        };
        let text = |field: &str| Some(record["http"][field].as_str()?.to_owned());
        Some(Self {
            version,
            method: text("method").unwrap_or_default(),
            target: text("path").unwrap_or_default(),
            pid: record["process"]["pid"]
                .as_u64()
                .and_then(|pid| pid.try_into().ok()),
        })
    }

    fn of_text(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.split_ascii_whitespace();
        // The label is the third word, after date and time.
        let label = words.nth(2)?;
        let version = ["IMDSv1", "IMDSv2", "IMDS?"]
            .into_iter()
            .find(|version| label.contains(version))?;
        Some(Self {
            version,
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            pid: words
                .find_map(|word| word.strip_prefix("pid="))
                .and_then(|pid| pid.parse().ok()),
        })
    }

    fn shows(&self, method: &str, target: &str, pids: &BTreeSet<u32>) -> bool {
        self.method == method
            && self.target == target
            && (pids.is_empty() || self.pid.is_some_and(|pid| pids.contains(&pid)))
    }
}

impl Summary {
    /// Pairs the mock's entries with the lines that show them.
    pub(super) fn new(entries: &[Entry], callers: &[Caller], lines: &[Vec<u8>]) -> Self {
        let shown: Vec<Shown> = lines.iter().filter_map(|line| Shown::new(line)).collect();
        let mut groups: BTreeMap<(String, String, String), [usize; 2]> = BTreeMap::new();
        for entry in entries {
            let label = entry
                .id
                .as_ref()
                .map_or_else(|| "(nobody)".to_owned(), |id| id.case.clone());
            let target = String::from_utf8_lossy(&entry.target).into_owned();
            let v2 = entry.had_token || entry.method == "PUT";
            groups
                .entry((label, entry.method.clone(), target))
                .or_default()[usize::from(v2)] += 1;
        }
        let mut summary = Self {
            rows: BTreeMap::new(),
            wrong: Vec::new(),
        };
        for ((label, method, target), [v1, v2]) in groups {
            let pids: BTreeSet<u32> = callers
                .iter()
                .filter(|caller| caller.label == label)
                .filter_map(|caller| caller.pid)
                .collect();
            let count = |version: &str| {
                shown
                    .iter()
                    .filter(|line| line.version == version && line.shows(&method, &target, &pids))
                    .count()
            };
            let found = Row {
                v1: count("IMDSv1"),
                v2: count("IMDSv2"),
                unknown: count("IMDS?"),
            };
            if (found.v1, found.v2, found.unknown) != (v1, v2, 0) {
                summary.wrong.push(format!(
                    "{method} {target} by {label}: sent {v1} times as v1 and {v2} as v2, shown {found:?}"
                ));
            }
            let row = summary.rows.entry(label).or_default();
            row.v1 += found.v1;
            row.v2 += found.v2;
            row.unknown += found.unknown;
        }
        if shown.len() != entries.len() {
            summary.wrong.push(format!(
                "{} requests were sent, {} were shown",
                entries.len(),
                shown.len()
            ));
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16} {:>5} {:>5} {:>8}",
            "caller", "v1", "v2", "unknown"
        )?;
        let mut total = Row::default();
        for (label, row) in &self.rows {
            writeln!(
                f,
                "{label:<16} {:>5} {:>5} {:>8}",
                row.v1, row.v2, row.unknown
            )?;
            total.v1 += row.v1;
            total.v2 += row.v2;
            total.unknown += row.unknown;
        }
        writeln!(
            f,
            "{:<16} {:>5} {:>5} {:>8}",
            "total", total.v1, total.v2, total.unknown
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::mock::access_log::RequestId;

    fn entry(had_token: bool) -> Entry {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Entry {
            seq: 0,
            connection: 0,
            peer: SocketAddr::new(address, 1),
            local: address,
            method: "GET".into(),
            target: b"/latest/a".to_vec(),
            had_token,
            empty_token: false,
            head_bytes: 10,
            id: Some(RequestId {
                case: "curl".into(),
                number: 1,
            }),
            status: Some(200),
        }
    }

    fn wrong(lines: &[&str]) -> usize {
        let callers = [Caller {
            label: "curl",
            pid: Some(7),
        }];
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Summary::new(&[entry(false), entry(true)], &callers, &lines)
            .wrong
            .len()
    }

    const V1: &str = "2026-11-22 04:32:51.949Z  IMDSv1!  GET /latest/a  curl < sh  pid=7 user=root";
    const V2: &str = "2026-11-22 04:32:51.950Z  IMDSv2   GET /latest/a  curl < sh  pid=7 user=root";

    #[test]
    fn lines_that_show_every_request_are_right() {
        assert_eq!(wrong(&[V1, V2, "2026-11-22 04:32:52Z  stopped  1 v1"]), 0);
    }

    #[test]
    fn records_are_read_as_well() {
        let record = |version| {
            format!(
                r#"{{"imds":{{"version":"{version}"}},"http":{{"method":"GET","path":"/latest/a"}},"process":{{"pid":7}}}}"#
            )
        };
        assert_eq!(wrong(&[&record("v1"), &record("v2")]), 0);
        assert_eq!(wrong(&[&record("v1"), &record("unknown")]), 1);
    }

    #[test]
    fn any_deviation_is_wrong() {
        assert_eq!(wrong(&[V1]), 2);
        assert_eq!(wrong(&[V1, V2, V2]), 2);
        assert_eq!(wrong(&[V1, V1]), 1);
        assert_eq!(wrong(&[V1, &V2.replace("pid=7", "pid=8")]), 1);
        assert_eq!(wrong(&[V1, &V2.replace("IMDSv2 ", "IMDS?  ")]), 1);
        assert_eq!(wrong(&[V1, &V2.replace("/latest/a", "/latest/b")]), 1);
    }
}
