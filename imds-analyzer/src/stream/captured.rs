//! What reassembly gives: requests, whole or broken.

use crate::capture::{Destination, StreamId, Task};

/// One request, or one region of a stream in which requests could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The stream it was sent on.
    pub stream: StreamId,
    /// When the kernel saw the send with its first byte: nanoseconds on the
    /// boot-time clock.
    pub time_ns: u64,
    /// Its head.
    pub head: Head,
    /// The task that sent its first byte; for a region whose beginning is not
    /// known, the task that sent the first chunk of it.
    pub task: Task,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Where it was sent.
    pub destination: Destination,
    /// Bytes of the head that were captured.
    pub bytes: u64,
    /// Some of the head was not captured.
    pub truncated: bool,
    /// Where it is in its stream; `None` of a region that may hold any number of
    /// requests, or bytes of none.
    pub extent: Option<Extent>,
}

/// Where a request is in its stream, and when it was all sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of its first byte, modulo 2^32; as [`crate::capture::Chunk::position`].
    pub position: u32,
    /// When the kernel saw the send of its last byte, nanoseconds on the boot-time clock;
    /// `None` if a body follows its head.
    pub sent_ns: Option<u64>,
    /// The stream was open before capture began.
    pub started_mid_stream: bool,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A well-formed head, from its request line to its empty line, whose
    /// beginning is certain: [`crate::http::RequestHead::parse`] accepts it.
    Complete(Vec<u8>),
    /// It is not known what was requested.
    Broken {
        /// Why.
        reason: Reason,
        /// What was captured from the first byte of the request on, at most
        /// [`super::Limits::max_head`] bytes; empty if the first byte is not
        /// known. Fit for [`crate::http::RequestHead::parse_prefix`], and full
        /// of secrets.
        prefix: Vec<u8>,
    },
}

/// Why a request is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What was sent does not begin with an HTTP/1.x request line.
    NotHttp,
    /// The request line is well-formed, a header line is not
    /// ([`crate::http`] lists what is refused).
    MalformedHead,
    /// The head is longer than [`super::Limits::max_head`].
    HeadTooLarge,
    /// The stream was closed, or nothing was sent for
    /// [`super::Limits::idle_timeout_ns`], before the head's empty line.
    IncompleteHead,
    /// Bytes that were sent were not captured.
    BytesMissing,
    /// The stream was open before capture began, and this was read before the
    /// boundary between two requests was certain.
    StartedMidStream,
    /// Tasks sent on the stream at the same time, so the order of their bytes is
    /// not known.
    ConcurrentSenders,
    /// The request before it had a body whose end is not certain (contradicting
    /// lengths, invalid chunks), so this may be a body or requests.
    AmbiguousFraming,
    /// The analyzer had to forget the stream, or what was buffered of it, to
    /// stay within its own bounds.
    TooManyStreams,
}

impl Reason {
    /// All reasons, for counters and documentation.
    pub const ALL: [Self; 9] = [
        Self::NotHttp,
        Self::MalformedHead,
        Self::HeadTooLarge,
        Self::IncompleteHead,
        Self::BytesMissing,
        Self::StartedMidStream,
        Self::ConcurrentSenders,
        Self::AmbiguousFraming,
        Self::TooManyStreams,
    ];

    /// Name in records (`imds.reason`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::MalformedHead => "malformed_head",
            Self::HeadTooLarge => "head_too_large",
            Self::IncompleteHead => "incomplete_head",
            Self::BytesMissing => "bytes_missing",
            Self::StartedMidStream => "started_mid_stream",
            Self::ConcurrentSenders => "concurrent_senders",
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::TooManyStreams => "too_many_streams",
        }
    }
}

/// Who sent something, and when.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) time_ns: u64,
    pub(super) task: Task,
    pub(super) netns: u32,
    pub(super) destination: Destination,
}

impl Origin {
    pub(super) fn whole(self, stream: StreamId, head: Vec<u8>, extent: Extent) -> Captured {
        let bytes = head.len() as u64;
        Captured {
            extent: Some(extent),
            ..self.captured(stream, Head::Complete(head), bytes, false)
        }
    }

    pub(super) fn broken(
        self,
        stream: StreamId,
        reason: Reason,
        prefix: Vec<u8>,
        truncated: bool,
    ) -> Captured {
        let bytes = prefix.len() as u64;
        self.captured(stream, Head::Broken { reason, prefix }, bytes, truncated)
    }

    fn captured(self, stream: StreamId, head: Head, bytes: u64, truncated: bool) -> Captured {
        Captured {
            stream,
            time_ns: self.time_ns,
            head,
            task: self.task,
            netns: self.netns,
            destination: self.destination,
            bytes,
            truncated,
            extent: None,
        }
    }
}
