//! The events a record can tell, and the counters some of them carry.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Request;

/// Cause of a loss in the sink: the output could not be written for so long
/// that records were dropped.
pub const OUTPUT_BLOCKED: &str = "output_blocked";

/// What happened. The record's `event` field has [`Event::name`]; the fields
/// of the variant stand beside the envelope's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A request to IMDS.
    ImdsRequest(Box<Request>),
    /// Capturing has begun.
    AnalyzerStarted(Started),
    /// Capturing has ended in good order.
    AnalyzerStopped(Stopped),
    /// Something was not captured or not written.
    CaptureLoss(Loss),
    /// Sign of life.
    Heartbeat(Heartbeat),
}

impl Event {
    /// Name of [`Event::ImdsRequest`].
    pub const REQUEST: &'static str = "imds_request";

    /// Every name that [`Event::name`] gives.
    pub const NAMES: [&'static str; 5] = [
        Self::REQUEST,
        "analyzer_started",
        "analyzer_stopped",
        "capture_loss",
        "heartbeat",
    ];

    /// The `event` field.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ImdsRequest(_) => Self::REQUEST,
            Self::AnalyzerStarted(_) => "analyzer_started",
            Self::AnalyzerStopped(_) => "analyzer_stopped",
            Self::CaptureLoss(_) => "capture_loss",
            Self::Heartbeat(_) => "heartbeat",
        }
    }

    /// The counters that the event carries, if it carries any.
    pub fn counters_mut(&mut self) -> Option<&mut Counters> {
        match self {
            Self::AnalyzerStopped(stopped) => Some(&mut stopped.counters),
            Self::Heartbeat(heartbeat) => Some(&mut heartbeat.counters),
            Self::ImdsRequest(_) | Self::AnalyzerStarted(_) | Self::CaptureLoss(_) => None,
        }
    }
}

/// An `analyzer_started` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    /// Version of imds-analyzer.
    pub version: String,
    /// fentry, kprobe or cgroup.
    pub backend: String,
    /// Backends that were tried before and could not be taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends_not_taken: Vec<NotTaken>,
    /// Kernel release, as `uname -r` gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_release: Option<String>,
    /// Seconds between two heartbeats.
    pub heartbeat_interval_s: u32,
    /// How the run before this one ended, as its log file tells; absent if there is
    /// none, or if it does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_end: Option<PreviousEnd>,
    /// Inode of the only network namespace that is watched, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// What can't be seen on this host; empty if nothing was found.
    pub blind_spots: Vec<BlindSpot>,
}

/// How a log ended when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviousEnd {
    /// With `analyzer_stopped`.
    Stopped,
    /// With another record: that run was killed, or the host went down.
    Abrupt,
    /// In the middle of a line, which was given its end and is no record.
    Torn,
}

/// Traffic that capture can't see, or sees under another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BlindSpot {
    /// What kind; `docs/blind-spots.md` lists them.
    pub kind: String,
    /// What was found.
    pub detail: String,
}

/// A backend that `auto` wanted and could not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotTaken {
    /// fentry, kprobe or cgroup.
    pub backend: String,
    /// What failed.
    pub reason: String,
}

/// An `analyzer_stopped` event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Why, if it is known: `SIGTERM`, `SIGINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Totals of the run.
    pub counters: Counters,
}

/// A `capture_loss` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What failed, in snake case; `docs/record-schema.md` lists the causes.
    pub cause: Cow<'static, str>,
    /// How many were lost since the last record with this cause.
    pub count: u64,
    /// How many were lost for this cause since the analyzer started.
    pub total: u64,
}

/// A `heartbeat` event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// Seconds between two heartbeats: after three intervals without any
    /// record, the time since the last record is a gap.
    pub heartbeat_interval_s: u32,
    /// What can't be seen on this host, if that has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blind_spots: Option<Vec<BlindSpot>>,
    /// Totals so far.
    pub counters: Counters,
}

/// Totals since the analyzer started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests read, by version.
    pub requests: RequestCounters,
    /// Chunks that the kernel side delivered.
    pub chunks: u64,
    /// Bytes in those chunks.
    pub bytes: u64,
    /// What reassembly did with them.
    pub reassembly: ReassemblyCounters,
    /// Requests that were read but not written, because their caller made more
    /// than its share.
    pub suppressed: u64,
    /// Losses by cause, as in [`Loss::cause`]; a cause that never struck is
    /// absent.
    pub lost: BTreeMap<Cow<'static, str>, u64>,
}

/// Requests by [`ImdsVersion`](super::ImdsVersion).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounters {
    /// Without a token.
    pub v1: u64,
    /// With a token, or for one.
    pub v2: u64,
    /// Not read whole.
    pub unknown: u64,
    /// To other services than IMDS.
    pub not_applicable: u64,
}

/// What reassembly did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReassemblyCounters {
    /// Chunks of which every byte was known already: retransmissions, and what
    /// two sources saw.
    pub duplicate_chunks: u64,
    /// Bytes passed over because the boundaries of requests were not known.
    pub skipped_bytes: u64,
    /// Streams forgotten because too many were open.
    pub forgotten_streams: u64,
    /// Times that a stream's buffers were dropped because all of them together
    /// were too large.
    pub dropped_buffers: u64,
}
