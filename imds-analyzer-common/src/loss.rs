//! Causes of loss that the kernel side counts, one slot of a per-CPU array each.

/// Why bytes that were sent may be missing from the records.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossCause {
    /// The ring buffer had no room for a record.
    RingFull = 0,
    /// The sender's memory could not be read when its send returned, and no witness
    /// on the wire was attached to see the bytes.
    Unreadable = 1,
    /// The bytes came in a form that no program can read (pages of a pipe or a
    /// file) and no witness on the wire was attached to see them.
    UnsupportedIterator = 2,
    /// A stream could not be noted.
    StreamTableFull = 3,
    /// More sends were in progress at once than the table holds, and no witness on
    /// the wire was attached to see their bytes.
    SendTableFull = 4,
    /// A send never reported its end (a kretprobe instance was missing, which the
    /// kernel counts as `nmissed`), and there is no witness on the wire that saw
    /// its bytes.
    ExitMissed = 5,
    /// The ring buffer had no room for what is known of a response: no request is lost,
    /// but some have no outcome.
    ResponseRingFull = 6,
}

impl LossCause {
    /// Every cause, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::RingFull,
        Self::Unreadable,
        Self::UnsupportedIterator,
        Self::StreamTableFull,
        Self::SendTableFull,
        Self::ExitMissed,
        Self::ResponseRingFull,
    ];

    /// Name in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Unreadable => "unreadable",
            Self::UnsupportedIterator => "unsupported_iterator",
            Self::StreamTableFull => "stream_table_full",
            Self::SendTableFull => "send_table_full",
            Self::ExitMissed => "exit_missed",
            Self::ResponseRingFull => "response_ring_full",
        }
    }
}
