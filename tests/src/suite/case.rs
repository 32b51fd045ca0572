//! One case: what it sends, and its records against the access log.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail, ensure};

use super::{
    client::RunningSender,
    exceptions,
    session::{FENCE, PATIENCE, Session},
};
use crate::{
    analyzer::ALONE,
    compare::{Difference, Expected, compare, settle},
    mock::access_log::{Entry, id_in_target},
    netns::{IMDS_V4, IMDS_V6},
    record::{Line, Request},
};

/// Causes of loss that a hook cannot help: the kernel did not run it.
const SKIPPED_HOOK: [&str; 2] = ["recursion_misses", "exit_missed"];

/// One case in a session.
#[derive(Debug)]
pub struct Case<'s> {
    /// The session.
    pub session: &'s mut Session,
    /// Name of the case, in the ids of its requests.
    pub name: &'static str,
    /// Causes of loss that the case provokes.
    pub loses: &'static [&'static str],
}

impl Case<'_> {
    /// Where scenarios send to.
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(IMDS_V4), 80)
    }

    /// Starts a scenario of [`crate::send`].
    ///
    /// # Errors
    ///
    /// If this program can't be run again.
    pub fn start(&self, scenario: &str) -> Result<RunningSender> {
        let netns = &self.session.netns;
        RunningSender::start(netns, scenario, self.name, self.destination())
    }

    /// Runs a scenario that sends `count` whole requests, and holds the records
    /// against the access log.
    ///
    /// # Errors
    ///
    /// Every difference.
    pub fn sends(&mut self, scenario: &str, count: usize) -> Result<()> {
        let mut sender = self.start(scenario)?;
        sender.await_line("done")?;
        let expected = self.of_sender(&sender, count)?;
        self.verify(&expected)?;
        sender.finish()
    }

    /// As [`Case::sends`], of a scenario that tells how many `requests` it has sent,
    /// which must be at least `least`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sends_many(&mut self, scenario: &str, least: usize) -> Result<()> {
        let mut sender = self.start(scenario)?;
        sender.await_line("done")?;
        let count = usize::try_from(sender.fact("requests")?)?;
        ensure!(count >= least, "only {count} requests were sent");
        let expected = self.of_sender(&sender, count)?;
        self.verify(&expected)?;
        sender.finish()
    }

    /// What must be recorded of the `count` requests of a sender that has said all.
    ///
    /// # Errors
    ///
    /// If the mock has not got that many.
    pub fn of_sender(&self, sender: &RunningSender, count: usize) -> Result<Vec<Expected>> {
        let entries = self.entries(count)?;
        Ok(entries
            .iter()
            .map(|entry| {
                let number = entry.id.as_ref().map_or(0, |id| id.number);
                Expected::from_entry(entry, sender.sender_of(number))
            })
            .collect())
    }

    /// The case's entries in the access log, of which there must be `count`.
    ///
    /// # Errors
    ///
    /// If there are fewer or more.
    pub fn entries(&self, count: usize) -> Result<Vec<Entry>> {
        let log = self.session.mock.log();
        log.wait_for(self.name, count, PATIENCE);
        let entries = log.of_case(self.name);
        ensure!(
            entries.len() == count,
            "the mock has {} requests of this case, not {count}",
            entries.len()
        );
        Ok(entries)
    }

    /// Holds the records of this case against what must be there.
    ///
    /// # Errors
    ///
    /// Every difference.
    pub fn verify(&mut self, expected: &[Expected]) -> Result<()> {
        let first = self.session.next_line;
        // Whether all came in time shows in the comparison.
        self.session
            .analyzer
            .stdout()
            .wait(first, PATIENCE, |lines| {
                let records = lines
                    .iter()
                    .filter(|line| contains(line, b"\"imds_request\""))
                    .count();
                records >= expected.len()
            });
        self.session.fence()?;
        let lines = self.session.lines();
        let mut problems: Vec<String> = Vec::new();
        let mut records = Vec::new();
        for line in &lines {
            match line.request() {
                Ok(Some(record)) if is_fence(&record) => {}
                Ok(Some(record)) => records.push(record),
                Ok(None) if line.event() == "capture_loss" && !self.is_expected_loss(line) => {
                    problems.push(String::from_utf8_lossy(&line.raw).into_owned());
                }
                Ok(None) => {}
                Err(error) => problems.push(error),
            }
        }
        problems.extend(self.misplaced(&records));
        problems.extend(self.unexcused(&records));
        let mut expected = expected.to_vec();
        let sight = self.session.analyzer.sight();
        settle(&mut expected, self.session.mock.log(), sight);
        let expected = &expected;
        let mut differences = compare(expected, &records);
        self.excuse_skipped_hooks(&mut differences);
        problems.extend(differences.iter().map(ToString::to_string));
        self.session.next_case();
        if problems.is_empty() {
            return Ok(());
        }
        let total = problems.len();
        problems.truncate(12);
        bail!(
            "{total} differences between {} requests and {} records:\n    {}",
            expected.len(),
            records.len(),
            problems.join("\n    ")
        );
    }

    /// Whether a `capture_loss` is of a cause that the case provokes, or one that a
    /// hook without a witness cannot help.
    fn is_expected_loss(&self, line: &Line) -> bool {
        let cause = cause_of(line);
        self.loses.contains(&cause) || (self.is_alone() && SKIPPED_HOOK.contains(&cause))
    }

    fn is_alone(&self) -> bool {
        self.session.setup.backend.ends_with(ALONE)
    }

    /// Where the kernel can preempt a program it skips the next call on that CPU, and
    /// without a witness that request is lost. Then as many must be told as lost.
    fn excuse_skipped_hooks(&self, differences: &mut Vec<Difference>) {
        let is_missing = |one: &Difference| matches!(one, Difference::Missing(_));
        let missing = differences.iter().filter(|one| is_missing(one)).count();
        if !self.is_alone() || missing == 0 {
            return;
        }
        let first = self.session.next_line;
        let stdout = self.session.analyzer.stdout();
        let told = stdout.wait(first, PATIENCE, |lines| {
            let counts = lines.iter().map(|raw| {
                let line = Line::new(raw.clone());
                if SKIPPED_HOOK.contains(&cause_of(&line)) {
                    line.value
                        .map_or(0, |value| value["count"].as_u64().unwrap_or(0))
                } else {
                    0
                }
            });
            counts.sum::<u64>() >= missing as u64
        });
        if told {
            println!(
                "     {missing} requests of {} missing, and told as lost",
                self.name
            );
            differences.retain(|one| !is_missing(one));
        }
    }

    /// Records that say `unknown` where that is a miss.
    fn unexcused(&self, records: &[Request]) -> Vec<String> {
        let backend = &self.session.setup.backend;
        records
            .iter()
            .filter(|record| record.version == "unknown")
            .filter(|record| {
                let reason = record.reason.as_deref().unwrap_or_default();
                !exceptions::may_be_unknown(self.name, backend, reason)
            })
            .map(|record| format!("unknown without excuse: {record}"))
            .collect()
    }

    /// Records that are not of this namespace, backend or service.
    fn misplaced(&self, records: &[Request]) -> Vec<String> {
        let addresses = [IMDS_V4.to_string(), IMDS_V6.to_string()];
        records
            .iter()
            .filter(|record| {
                record.netns != self.session.netns.inode()
                    || record.backend != self.session.backend()
                    || record.port != 80
                    || !addresses.contains(&record.ip)
                    || record.service.as_deref() != Some("imds")
            })
            .map(|record| {
                format!(
                    "misplaced: {}:{} netns {} backend {} in {record}",
                    record.ip, record.port, record.netns, record.backend
                )
            })
            .collect()
    }
}

/// The cause of a `capture_loss`, empty of anything else.
fn cause_of(line: &Line) -> &str {
    line.value
        .as_ref()
        .ok()
        .filter(|value| value["event"] == "capture_loss")
        .and_then(|value| value["cause"].as_str())
        .unwrap_or_default()
}

pub(super) fn is_fence(record: &Request) -> bool {
    record
        .path
        .as_ref()
        .and_then(|path| id_in_target(path.as_bytes()))
        .is_some_and(|id| id.case == FENCE)
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}
