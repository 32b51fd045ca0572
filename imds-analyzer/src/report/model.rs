//! The report: what all formats show, and what `--format json` writes.
//!
//! `docs/report.md` documents every field. Whatever comes from a record has been made
//! harmless for a terminal and for a page.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{coverage::GapKind, group::Counts, subject::Kind, timeline::Timeline};

/// Version of this format; it changes only when a reader of the old one could misread
/// the new one.
pub const REPORT_VERSION: u32 = 1;

/// May v1 be turned off?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing here needs it.
    Safe,
    /// Nothing was seen that needs it, but not enough was seen.
    CannotTell,
    /// Something needs it.
    NotSafe,
}

impl Verdict {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "SAFE",
            Self::CannotTell => "CANNOT TELL",
            Self::NotSafe => "NOT SAFE",
        }
    }
}

/// What a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// Calls without a token are in the log.
    V1Callers,
    /// The analyzer counted calls without a token that are not in the log.
    V1Counted,
    /// Requests could not be read whole.
    UnknownRequests,
    /// Time was not watched.
    Gap,
    /// Records are missing from the log.
    RecordsLost,
    /// Something was not captured or not written.
    Loss,
    /// Requests were read and not written.
    Suppressed,
    /// Traffic that the analyzer can't see.
    BlindSpot,
    /// Watched for too short a time.
    Days,
    /// Too few boots were watched from their beginning.
    Boots,
    /// CloudWatch counted more than the log has.
    Unaccounted,
    /// Lines of another version of the format.
    OtherSchema,
    /// A file could not be read to its end.
    Unreadable,
    /// More boots or pieces of them than are told apart.
    TooMuch,
    /// There is no record.
    Nothing,
}

/// Why the verdict is no better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What it makes of the verdict.
    pub verdict: Verdict,
    /// What it is about.
    pub kind: ReasonKind,
    /// Which host, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How many of what it is about, if they can be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For people.
    pub text: String,
}

/// What is reported on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First moment that a record tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last moment that a record tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `--since`, as a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// `--boot`, as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// Why there was no token, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `imds.cause`; absent if the records have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// `imds.cause_status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `http.client.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `http.client.version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// v1 calls.
    pub count: u64,
    /// What to do about them.
    pub next_step: String,
}

/// Those who call, grouped by what an owner fixes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The container it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// All of that, for people.
    pub title: String,
    /// How many requests.
    #[serde(flatten)]
    pub counts: Counts,
    /// Time of the first.
    pub first_seen: String,
    /// Time of the last.
    pub last_seen: String,
    /// Why there was no token, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// v1 calls that found no room in `causes`.
    #[serde(skip_serializing_if = "is_zero")]
    pub other_causes: u64,
    /// What to do, each once, most important first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_steps: Vec<String>,
    /// How v1 calls were answered.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub v1_answers: BTreeMap<String, u64>,
    /// Libraries and tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Targets of requests for credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credential_paths: Vec<String>,
    /// Why requests could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_reasons: Vec<String>,
    /// Users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Paths of executables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub executables: Vec<String>,
    /// Versions of the package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub package_versions: Vec<String>,
    /// Containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// Hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Arguments of one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// Its names up to PID 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// What it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A time that was not watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Its beginning.
    pub from: String,
    /// Its end.
    pub to: String,
    /// How long, s.
    pub seconds: u64,
    /// Why.
    pub kind: GapKind,
}

/// A boot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BootReport {
    /// The kernel's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When the kernel started.
    pub booted: String,
    /// First moment that a record tells.
    pub from: String,
    /// Last moment that a record tells.
    pub to: String,
    /// Time watched, s.
    pub watched_seconds: u64,
    /// How long after the kernel the analyzer was there; absent if the log does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwatched_at_start_seconds: Option<f64>,
    /// Whether that is early enough to have seen what the boot does.
    pub watched_from_the_start: bool,
    /// Runs of the analyzer.
    pub runs: u32,
    /// Times not watched.
    pub gaps: Vec<Hole>,
    /// Records whose numbers are missing.
    pub records_lost: u64,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostReport {
    /// What it is called here.
    pub host: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Days watched.
    pub days_watched: f64,
    /// Boots watched from their beginning.
    pub boots_watched: u32,
    /// All boots.
    pub boots: Vec<BootReport>,
    /// Losses, by cause.
    pub lost: BTreeMap<String, u64>,
    /// What it can't see.
    pub blind_spots: Vec<BlindSpot>,
}

/// Traffic that the analyzer can't see, or sees under another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BlindSpot {
    /// What kind: `docs/blind-spots.md`.
    pub kind: String,
    /// What was found.
    pub detail: String,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Files, standard input among them.
    pub files: u64,
    /// Lines, blank ones left out.
    pub lines: u64,
    /// Records of this format.
    pub records: u64,
    /// Records before `--since` or of other boots.
    pub records_out_of_scope: u64,
    /// Records of requests that are reported on.
    pub request_records: u64,
    /// Records that were read before, in a copy of the log.
    pub records_twice: u64,
    /// Records of events that this program does not know.
    pub unknown_events: u64,
    /// Lines that end in the middle of a record.
    pub torn_lines: u64,
    /// Lines that are no records.
    pub foreign_lines: u64,
    /// Records of another version of the format.
    pub other_schema: u64,
    /// Files that could not be read to their end, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// A comparison with what CloudWatch counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Name of the metric.
    pub metric: &'static str,
    /// Its sum for the period.
    pub expected: u64,
    /// What the log is certain of.
    pub counted: u64,
    /// With calls of which the log does not know how they were answered.
    pub counted_at_most: u64,
    /// Whether everything that CloudWatch counted is in the log.
    pub accounted_for: bool,
    /// For people.
    pub text: String,
}

/// Commands for an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commands {
    /// Which host.
    pub host: String,
    /// Turns v1 off.
    pub enforce: String,
    /// Turns it on again.
    pub revert: String,
    /// Names in capitals have to be replaced: nothing tells them here.
    pub has_placeholders: bool,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this format.
    pub report_version: u32,
    /// May v1 be turned off?
    pub verdict: Verdict,
    /// Why, in one line.
    pub why: String,
    /// Why, each reason by itself, the worst first.
    pub reasons: Vec<Reason>,
    /// What else should be known.
    pub notes: Vec<String>,
    /// What is reported on.
    pub period: Period,
    /// All requests.
    pub totals: Counts,
    /// Requests to other services than IMDS.
    pub other_services: u64,
    /// Those who call, those with most to fix first.
    pub callers: Vec<Caller>,
    /// Requests of callers that found no room in `callers`.
    pub others: Counts,
    /// What was watched.
    pub hosts: Vec<HostReport>,
    /// Comparisons with CloudWatch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reconciliation: Vec<Reconciled>,
    /// With `safe`, what turns v1 off and on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Commands>,
    /// With `safe`, what to mind about the hop limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<String>,
    /// What was read.
    pub input: Input,
    /// Requests over time, for a picture.
    #[serde(skip)]
    pub timeline: Timeline,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
