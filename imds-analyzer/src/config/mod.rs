//! The configuration file: what it may say, and its defaults.
//!
//! `systemd/imds-analyzer.toml` documents every key. Flags win over the file,
//! the file over the defaults. A missing default file is fine, a missing named
//! one is an error, and so is a key nobody knows: a misspelt limit must not
//! silently stay at its default.

mod destinations;
mod error;
mod value;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::service::Watched;

pub use error::ConfigError;
pub use value::{HeartbeatInterval, Output, ResponseDeadline, RingBufferBytes, UnlessOff};

/// The file that is read when none is named.
pub const DEFAULT_PATH: &str = "/etc/imds-analyzer/imds-analyzer.toml";

/// Everything the file can set. Empty strings mean "not set", so that every
/// key has a default that can be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// How to hook into the kernel.
    pub backend: Backend,
    /// Format of the records.
    pub format: Format,
    /// Where the records go.
    pub output: Output,
    /// When a log file ends and how much of old ones is kept.
    pub log: Log,
    /// Capture only this network namespace: a path like `/run/netns/NAME`.
    #[serde(with = "value::empty_is_none")]
    pub netns: Option<PathBuf>,
    /// Type information of the running kernel, if not where the kernel gives it.
    #[serde(with = "value::empty_is_none")]
    pub btf: Option<PathBuf>,
    /// What is watched: IMDS, and what the file adds.
    #[serde(with = "destinations")]
    pub destinations: Watched,
    /// Whether to watch the wire (`cgroup_skb/egress`) beside fentry and kprobe.
    pub witness: UnlessOff,
    /// Whether to remember what processes were started as (`sched_process_exec`), for
    /// ancestors that are gone when a record is written.
    pub exec_cache: UnlessOff,
    /// Seconds between two heartbeats.
    pub heartbeat_interval_s: HeartbeatInterval,
    /// Milliseconds that a request's record waits for the response.
    pub response_deadline_ms: ResponseDeadline,
    /// Size of the ring buffer between kernel and user space, bytes.
    pub ring_buffer_bytes: RingBufferBytes,
    /// Whether to look for the package that owns a caller's executable.
    pub package_lookup: UnlessOff,
    /// Bounds on memory.
    pub limits: Limits,
    /// A program of the owner's that says more of callers.
    pub enrich: Enrich,
    /// Name of the host in the records, instead of the kernel's.
    pub host: HostOverride,
    /// Where in the cloud the host is, instead of what its disk says.
    pub cloud: CloudOverride,
}

/// How to hook into the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The first of fentry, kprobe and cgroup that attaches.
    #[default]
    Auto,
    /// fentry and fexit on tcp_sendmsg.
    Fentry,
    /// kprobe and kretprobe on tcp_sendmsg.
    Kprobe,
    /// Egress of the cgroup2 root.
    Cgroup,
}

/// Format of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON; text if the output is a terminal.
    #[default]
    #[value(skip)]
    Auto,
    /// JSON Lines, docs/record-schema.md.
    Json,
    /// One readable line a record.
    Text,
    /// Lines like those of AWS's own packet analyzer.
    Aws,
}

/// Bounds on what one host's traffic can make the analyzer hold in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// Longest request head that is read, bytes. A longer one is a record
    /// with version `unknown`.
    #[serde(deserialize_with = "value::head_bytes")]
    pub max_head_bytes: u32,
    /// Connections followed at the same time; beyond that the one quiet for
    /// longest is forgotten and counted.
    #[serde(deserialize_with = "value::streams")]
    pub max_streams: u32,
    /// Bytes of unfinished requests that all connections together may hold.
    #[serde(deserialize_with = "value::buffered_bytes")]
    pub max_buffered_bytes: u32,
    /// Seconds without a byte after which an unfinished request is given up.
    #[serde(deserialize_with = "value::idle_timeout")]
    pub idle_timeout_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 32 << 10,
            max_streams: 16_384,
            max_buffered_bytes: 4 << 20,
            idle_timeout_s: 120,
        }
    }
}

/// When a log file ends, and how much of old ones is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Log {
    /// Size that a log file does not grow beyond, bytes; 0 for no such size.
    #[serde(deserialize_with = "value::rotate_bytes")]
    pub rotate_bytes: u32,
    /// Age at which a log file is ended, seconds; 0 for no such age.
    #[serde(deserialize_with = "value::rotate_after")]
    pub rotate_after_s: u32,
    /// What the log and what was rotated from it may take together, bytes.
    #[serde(deserialize_with = "value::keep_bytes")]
    pub keep_bytes: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            rotate_bytes: 16 << 20,
            rotate_after_s: 86_400,
            keep_bytes: 256 << 20,
        }
    }
}

/// A program of the owner's that gets a record and says more of its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Enrich {
    /// The program, by its absolute path, and its arguments. Empty: none.
    #[serde(deserialize_with = "value::command")]
    pub command: Vec<String>,
    /// How long it may take, milliseconds.
    #[serde(deserialize_with = "value::enrich_timeout")]
    pub timeout_ms: u32,
    /// How many of it may run at once.
    #[serde(deserialize_with = "value::enrich_concurrent")]
    pub max_concurrent: u32,
    /// How long its answer is used again for callers of the same kind, seconds.
    #[serde(deserialize_with = "value::enrich_cache")]
    pub cache_s: u32,
}

impl Default for Enrich {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            timeout_ms: 1_000,
            max_concurrent: 2,
            cache_s: 300,
        }
    }
}

/// The host's name, set by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct HostOverride {
    /// `host.name` of the records.
    #[serde(with = "value::empty_is_none")]
    pub name: Option<String>,
}

/// The instance, set by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct CloudOverride {
    /// `cloud.instance_id` of the records.
    #[serde(with = "value::empty_is_none")]
    pub instance_id: Option<String>,
    /// `cloud.region` of the records.
    #[serde(with = "value::empty_is_none")]
    pub region: Option<String>,
}

impl Config {
    /// Reads the file that the user named, or else the one at
    /// [`DEFAULT_PATH`] if there is one.
    ///
    /// # Errors
    /// The named file can't be read, or a file says something that is not
    /// understood.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_or_default(named, Path::new(DEFAULT_PATH))
    }

    fn load_or_default(named: Option<&Path>, default: &Path) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(default);
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads configuration text; `path` is only named in errors.
    ///
    /// # Errors
    /// The text is not TOML, has a key nobody knows or a value out of range.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        error::refuse_unknown_keys(path, text)?;
        toml::from_str(text).map_err(|error| ConfigError::from_toml(path, text, &error))
    }
}

#[cfg(test)]
mod tests;
