//! Records against the truth, in both directions: nothing missed, nothing
//! invented, nothing twice, nothing said wrongly.

mod cause;
mod outcome;

use std::{collections::HashSet, fmt};

pub use cause::Cause;
pub use outcome::{Outcome, Sight, Silence, settle};

use crate::{
    mock::access_log::{Entry, RequestId, id_in_target},
    record::Request,
};

/// Who sent a request, known from whoever launched it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Process.
    pub pid: u32,
    /// Thread, where a test looks at it.
    pub tid: Option<u32>,
    /// The process's threads, one of which must have sent; empty where no test looks.
    pub threads: Vec<u32>,
    /// Name of the process: its executable's file name, at most 15 bytes.
    pub name: String,
    /// Path of its executable, where a test looks at it.
    pub executable: Option<String>,
    /// What is special about the executable, if anything is.
    pub executable_state: Option<String>,
    /// Its arguments, where they hold nothing that may be redacted.
    pub args: Option<Vec<String>>,
    /// There were more than are shown: these are the first.
    pub args_are_cut: bool,
    /// It was started without any argument, not even its name.
    pub may_lack_args: bool,
    /// What is told beside its bytes (arguments, executable, ancestors) may have found
    /// no room.
    pub may_lack_facts: bool,
    /// Effective user.
    pub uid: u32,
    /// The parent, where a test looks at it.
    pub parent: Option<u32>,
    /// Processes that must be among the ancestors, in this order.
    pub above: Vec<u32>,
    /// There are more ancestors than a record shows.
    pub is_deep: bool,
    /// Waits until its records are there, so that `/proc` can't be too late.
    pub lingers: bool,
}

/// The version that a record must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// v1, without a reason.
    V1,
    /// v2, with that reason if any.
    V2(Option<&'static str>),
    /// Unknown for one of these reasons; any, if none is named.
    Unknown(&'static [&'static str]),
    /// None, because another service than IMDS has none.
    NotApplicable,
    /// What could be either right or beyond an HTTP parser: right, or unknown
    /// with a reason, but never the wrong one.
    RightOrUnknown(Known),
}

/// The versions a request can really have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// v1.
    V1,
    /// v2.
    V2,
}

/// One record that has to be there.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Method, absent if the bytes are not a request.
    pub method: Option<String>,
    /// Target, absent likewise.
    pub target: Option<Vec<u8>>,
    /// Target holds what the analyzer may rightly replace or escape.
    pub loose_target: bool,
    /// Version.
    pub version: Version,
    /// Sender.
    pub sender: Sender,
    /// Number of the request in the access log, if it is there.
    pub seq: Option<usize>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it came without a token.
    pub cause: Cause,
}

impl Expected {
    /// What the record of a request in the access log must say.
    pub fn from_entry(entry: &Entry, sender: Sender) -> Self {
        let version = if entry.empty_token {
            Version::V2(Some("empty_token"))
        } else if entry.had_token || is_token_request(&entry.method, &entry.target) {
            Version::V2(None)
        } else {
            Version::V1
        };
        Self {
            method: Some(entry.method.clone()),
            target: Some(entry.target.clone()),
            loose_target: false,
            version,
            sender,
            seq: Some(entry.seq),
            outcome: Outcome::default(),
            cause: Cause::default(),
        }
    }

    /// A record of bytes that can't be understood.
    pub fn unknown(sender: Sender, reasons: &'static [&'static str]) -> Self {
        Self {
            method: None,
            target: None,
            loose_target: true,
            version: Version::Unknown(reasons),
            sender,
            seq: None,
            outcome: Outcome::default(),
            cause: Cause::default(),
        }
    }

    fn id(&self) -> Option<RequestId> {
        id_in_target(self.target.as_ref()?)
    }

    /// Whether the record is about this request, whatever else it says of it.
    fn same_request(&self, record: &Request) -> bool {
        let (Some(target), Some(path)) = (&self.target, &record.path) else {
            // The analyzer may know more of garbage than we do, or less of a request
            // that it could not read whole.
            return record.version == "unknown"
                && (self.target.is_none()
                    || matches!(
                        self.version,
                        Version::Unknown(_) | Version::RightOrUnknown(_)
                    ));
        };
        if self.method != record.method {
            return false;
        }
        match self.id() {
            Some(id) => id_in_target(path.as_bytes()) == Some(id),
            None => target == path.as_bytes(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.as_deref().unwrap_or(b"(no request)");
        write!(
            f,
            "{} {} {:?} by {}({})",
            self.method.as_deref().unwrap_or("-"),
            target.escape_ascii(),
            self.version,
            self.sender.name,
            self.sender.pid,
        )
    }
}

/// A way in which the records differ from the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// No record for a request.
    Missing(String),
    /// A record for nothing that was sent.
    Invented(String),
    /// A second record for a request.
    Twice(String),
    /// A record that says something wrong about its request.
    Wrong {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
        /// Of which record.
        record: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "missing: {what}"),
            Self::Invented(what) => write!(f, "invented: {what}"),
            Self::Twice(what) => write!(f, "twice: {what}"),
            Self::Wrong {
                field,
                expected,
                found,
                record,
            } => write!(
                f,
                "wrong {field}: expected {expected}, found {found}, in {record}"
            ),
        }
    }
}

/// Pairs records with what has to be there, and tells every difference.
pub fn compare(expected: &[Expected], records: &[Request]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut paired = vec![None; expected.len()];
    let mut unpaired: Vec<&Request> = Vec::new();
    // The right sender first, so that a wrong one does not take another's record.
    let mut waiting: Vec<&Request> = records.iter().collect();
    for same_sender in [true, false] {
        for record in std::mem::take(&mut waiting) {
            let free = expected.iter().enumerate().position(|(index, wanted)| {
                paired[index].is_none()
                    && (!same_sender || wanted.sender.pid == record.pid)
                    && wanted.same_request(record)
            });
            match free {
                Some(index) => paired[index] = Some(record),
                None if same_sender => waiting.push(record),
                None => unpaired.push(record),
            }
        }
    }
    for record in unpaired {
        let known = record.path.is_some() && expected.iter().any(|one| one.same_request(record));
        differences.push(if known {
            Difference::Twice(record.to_string())
        } else {
            Difference::Invented(record.to_string())
        });
    }
    for (wanted, record) in expected.iter().zip(paired) {
        match record {
            None => differences.push(Difference::Missing(wanted.to_string())),
            Some(record) => check(wanted, record, &mut differences),
        }
    }
    let mut seen = HashSet::new();
    for record in records {
        if !seen.insert(record.seq) {
            differences.push(Difference::Twice(format!("seq of {record}")));
        }
    }
    differences
}

fn check(expected: &Expected, record: &Request, differences: &mut Vec<Difference>) {
    let mut wrong = |field, expected: &dyn fmt::Debug, found: &dyn fmt::Debug| {
        differences.push(Difference::Wrong {
            field,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
            record: record.to_string(),
        });
    };
    let reason = record.reason.as_deref();
    let unknown_with_reason = record.version == "unknown" && reason.is_some_and(|r| !r.is_empty());
    let right = match &expected.version {
        Version::V1 => record.version == "v1" && reason.is_none(),
        Version::V2(wanted) => record.version == "v2" && reason == *wanted,
        Version::NotApplicable => record.version == "not_applicable" && reason.is_none(),
        Version::Unknown([]) => unknown_with_reason,
        Version::Unknown(reasons) => {
            record.version == "unknown" && reason.is_some_and(|reason| reasons.contains(&reason))
        }
        Version::RightOrUnknown(Known::V1) => record.version == "v1" || unknown_with_reason,
        Version::RightOrUnknown(Known::V2) => record.version == "v2" || unknown_with_reason,
    };
    if !right {
        wrong("version", &expected.version, &(&record.version, reason));
    }
    if record.version != "unknown"
        && let (Some(method), Some(target)) = (&expected.method, &expected.target)
    {
        let operation = if expected.version == Version::NotApplicable {
            None
        } else if is_token_request(method, target) {
            Some("token")
        } else {
            Some("metadata")
        };
        if record.operation.as_deref() != operation {
            wrong("operation", &operation, &record.operation);
        }
        let path = record.path.as_deref().unwrap_or_default();
        if !expected.loose_target && path.as_bytes() != target {
            wrong("path", &target.escape_ascii().to_string(), &path);
        }
    }
    outcome::check(&expected.outcome, record, &mut wrong);
    cause::check(&expected.cause, record, &mut wrong);
    check_sender(&expected.sender, record, &mut wrong);
}

fn check_sender(
    sender: &Sender,
    record: &Request,
    wrong: &mut dyn FnMut(&'static str, &dyn fmt::Debug, &dyn fmt::Debug),
) {
    if record.pid != sender.pid {
        wrong("pid", &sender.pid, &record.pid);
    }
    if sender.tid.is_some_and(|tid| tid != record.tid) {
        wrong("tid", &sender.tid, &record.tid);
    }
    if !sender.threads.is_empty() && !sender.threads.contains(&record.tid) {
        wrong("tid", &sender.threads, &record.tid);
    }
    if record.name != sender.name {
        wrong("name", &sender.name, &record.name);
    }
    if record.uid != sender.uid {
        wrong("uid", &sender.uid, &record.uid);
    }
    // The kernel side tells both: nobody is gone too early.
    if !has_args(sender, record) {
        wrong("args", &sender.args, &record.args);
    }
    let lacks_executable = sender.may_lack_facts && record.executable.is_none();
    if sender.executable.is_some() && sender.executable != record.executable && !lacks_executable {
        wrong("executable", &sender.executable, &record.executable);
    }
    if sender.lingers && record.exited {
        wrong("exited", &false, &true);
    }
    if sender.executable_state != record.executable_state {
        wrong(
            "executable_state",
            &sender.executable_state,
            &record.executable_state,
        );
    }
    check_above(sender, record, wrong);
    // A name that holds the separator is one name still.
    let first = record.name.replace('<', r"\x3c");
    if !record.lineage.starts_with(&first) {
        wrong("lineage", &first, &record.lineage);
    }
}

fn check_above(
    sender: &Sender,
    record: &Request,
    wrong: &mut dyn FnMut(&'static str, &dyn fmt::Debug, &dyn fmt::Debug),
) {
    if sender.may_lack_facts && record.ancestors.is_empty() {
        return;
    }
    let above: Vec<u32> = record.ancestors.iter().map(|one| one.pid).collect();
    let mut upwards = above.iter();
    if !sender.above.iter().all(|pid| upwards.any(|one| one == pid)) {
        wrong("ancestors", &sender.above, &above);
    }
    // Those live on until their records are there.
    for ancestor in &record.ancestors {
        if sender.above.contains(&ancestor.pid) && ancestor.command_line.is_none() {
            wrong("command line above", &"some", &ancestor);
        }
    }
    if sender.parent.is_some() && sender.parent.as_ref() != above.first() {
        wrong("parent", &sender.parent, &above.first());
    }
    if sender.is_deep != record.ancestors_truncated {
        wrong(
            "ancestors_truncated",
            &sender.is_deep,
            &record.ancestors_truncated,
        );
    }
    // The suite is PID 1's child, or its grandchild, or it is lower still.
    if !sender.is_deep && above.last() != Some(&1) {
        wrong("last ancestor", &1, &above);
    }
}

fn has_args(sender: &Sender, record: &Request) -> bool {
    match (&sender.args, &record.args) {
        (_, None) => sender.may_lack_args || sender.may_lack_facts,
        (None, Some(_)) => true,
        (Some(wanted), Some(found)) if sender.args_are_cut => {
            // The last one says that there were more.
            found.starts_with(wanted) && found.last().is_some_and(|last| last.contains('…'))
        }
        (Some(wanted), Some(found)) => wanted == found,
    }
}

/// Whether a request asks for a session token (EC2 User Guide, "How Instance
/// Metadata Service Version 2 works").
fn is_token_request(method: &str, target: &[u8]) -> bool {
    let target = String::from_utf8_lossy(target);
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => &*target,
    };
    method == "PUT" && path.split('?').next() == Some("/latest/api/token")
}

#[cfg(test)]
mod tests;
