//! The records that imds-analyzer writes: one JSON object a line.
//!
//! `docs/record-schema.md` documents every field; `docs/record.schema.json`
//! says the same to machines. Absent means unknown. The fields people filter
//! by come first, because CloudWatch Logs Insights reads at most 200 fields of
//! a line; the ancestors come last.

mod envelope;
mod event;
mod names;

use std::net::IpAddr;

use serde::Serialize;

pub use envelope::{Cloud, Host, Origin, Record, SCHEMA_VERSION};
pub use event::{
    BlindSpot, Counters, Event, Heartbeat, Loss, NotTaken, OUTPUT_BLOCKED, PreviousEnd,
    ReassemblyCounters, RequestCounters, Started, Stopped,
};
pub use names::{Client, Container, Ecs, FileId, Kubernetes, Package, Session, SessionKind};

/// Version of the protocol that a request used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImdsVersion {
    /// A request without a token.
    V1,
    /// A request with a token, or for one.
    V2,
    /// The request could not be read whole; `reason` says why.
    Unknown,
    /// It went to another service than IMDS, which has no versions.
    #[serde(rename = "not_applicable")]
    NotApplicable,
}

/// What the request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Metadata, user data, identity documents.
    Metadata,
    /// A session token (`PUT /latest/api/token`).
    Token,
}

/// Classification of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imds {
    /// v1, v2 or unknown; of another service than IMDS always not applicable.
    pub version: ImdsVersion,
    /// Metadata or token; absent if unknown, and of another service than IMDS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Why the version is unknown, or what is odd about the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the target hands out role credentials; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<bool>,
    /// Name of the service at the destination: `imds`, `ecs`, `eks`, or as configured.
    pub service: String,
    /// Why it came without a token; absent unless it is v1, and if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Status code of the refusal, with [`Cause::TokenRefused`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_status: Option<u16>,
    /// A v1 request that was answered 401: v1 is off, and something is breaking.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
}

/// Why a request came without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The caller has not asked for a token: it does not know IMDSv2, or is told not to
    /// use it.
    NeverAskedForToken,
    /// It asked, and no answer came: typical of a container behind hop limit 1.
    TokenUnanswered,
    /// It asked, and was refused.
    TokenRefused,
    /// It got a token, and sent a request without: often a redirect or a proxy, or two
    /// libraries in one process.
    TokenNotUsed,
}

/// The request itself, redacted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Method, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Request target, as sent, secrets replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `Host` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `User-Agent` header, secrets replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What the `User-Agent` says of the software, if `docs/clients.md` knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// Status code of the final response, 100 to 999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The response's `Server` header, escaped, at most 64 bytes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// From the send of the request's last byte to the arrival of the response's first
    /// one, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Why there is no response, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_response: Option<NoResponse>,
}

/// Why a request got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoResponse {
    /// The connection was closed or reset before one came, by whichever side.
    ConnectionClosed,
    /// None had come when the configured deadline passed.
    Deadline,
}

impl NoResponse {
    /// Name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionClosed => "connection_closed",
            Self::Deadline => "deadline",
        }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Effective user id.
    pub id: u32,
    /// Name, if a passwd file knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is special about an executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutableState {
    /// Its file has no name any more: it was replaced (an upgrade) or removed.
    Deleted,
    /// It never was in a file system (memfd_create(2)).
    Memfd,
}

/// Inodes of a process's namespaces, as `ls -l /proc/PID/ns` shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Namespaces {
    /// PID namespace.
    pub pid: u32,
    /// Mount namespace.
    pub mount: u32,
    /// Network namespace; the socket's may be another, see [`Capture::netns`].
    pub net: u32,
}

/// The process that sent a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id in the initial PID namespace.
    pub pid: u32,
    /// Thread that sent.
    pub tid: u32,
    /// Start of the process, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Name of the process (`comm` of its main thread).
    pub name: String,
    /// Name of the sending thread, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_name: Option<String>,
    /// Path of the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// What is special about the executable, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable_state: Option<ExecutableState>,
    /// Which file that is. Not a part of the record: lookups need it, because in
    /// another mount namespace a path can lead to any file.
    #[serde(skip)]
    pub executable_file: Option<FileId>,
    /// Package that owns the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
    /// Arguments, secrets replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// User it ran as.
    pub user: User,
    /// Container, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Kubernetes pod, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// Amazon ECS task, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecs: Option<Ecs>,
    /// systemd unit, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd_unit: Option<String>,
    /// Unit of the user's own systemd, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd_user_unit: Option<String>,
    /// Slice the unit is in, the deepest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd_slice: Option<String>,
    /// Login session, cron or at job, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Path of its cgroup in the unified hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Process id in its own PID namespace, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaced_pid: Option<u32>,
    /// Its namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Namespaces>,
    /// The process was gone before `/proc` could be read: only what the kernel
    /// gave at the hook is known.
    pub exited: bool,
}

/// A process above the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Process id in the initial PID namespace.
    pub pid: u32,
    /// Name (`comm`).
    pub name: String,
    /// User it ran as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Path of the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Arguments joined by spaces, secrets replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
}

/// Where a request went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Destination {
    /// Address; IPv4-mapped addresses as IPv4.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}

/// How a request was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capture {
    /// fentry, kprobe or cgroup.
    pub backend: String,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Bytes of the request's head that were captured.
    pub bytes: u64,
    /// Whether some of the head is missing.
    pub truncated: bool,
}

/// An `imds_request` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Classification.
    pub imds: Imds,
    /// The request, as far as it was read.
    pub http: Http,
    /// Names from the sender up to PID 1: `curl < backup.sh < cron < systemd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// Sender; absent if the kernel could not tell: bytes of a connection older than
    /// the analyzer that left on their own, after their sender's system call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Destination.
    pub destination: Destination,
    /// How it was captured.
    pub capture: Capture,
    /// What the owner's own program said of the caller (`[enrich]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrichment: Option<serde_json::Map<String, serde_json::Value>>,
    /// Why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrichment_error: Option<&'static str>,
    /// Processes above the sender, nearest first, PID 1 last.
    pub ancestors: Vec<Ancestor>,
    /// The chain was longer than what is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ancestors_truncated: bool,
}

#[cfg(test)]
mod tests;
