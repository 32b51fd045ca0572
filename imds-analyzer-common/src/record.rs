//! The record that crosses the ring buffer: a fixed header, then up to
//! [`MAX_CHUNK`] bytes of the stream.
//!
//! The eBPF side writes the header in place; the daemon decodes it field by
//! field with [`RecordHeader::decode`], so nothing is transmuted.

/// Most bytes of a stream that one record carries. A longer segment is cut into
/// several records.
pub const MAX_CHUNK: usize = 16 * 1024;

/// Length of a task's name in the kernel, its NUL included
/// (`TASK_COMM_LEN` in `include/linux/sched.h`).
pub const COMM_LEN: usize = 16;

/// [`RecordHeader::kind`]: a range of a stream.
pub const KIND_CHUNK: u32 = 1;
/// [`RecordHeader::kind`]: a stream was closed.
pub const KIND_CLOSED: u32 = 2;

/// [`RecordHeader::kind`]: the sender's ancestors, nearest first: [`AncestorFacts`]
/// one after the other.
pub const KIND_ANCESTORS: u32 = 3;
/// [`RecordHeader::kind`]: the sender's arguments, as they lie in its memory: each
/// ends with a NUL. [`RecordHeader::length`] is their whole length, of which at
/// most [`MAX_ARGS`] bytes follow.
pub const KIND_ARGS: u32 = 4;

/// Most bytes of a sender's arguments that are taken.
pub const MAX_ARGS: usize = 4096;

/// Most ancestors of a sender that are taken.
pub const MAX_ANCESTORS: usize = 32;

/// [`RecordHeader::flags`]: there are more ancestors than were taken.
pub const FLAG_MORE_ANCESTORS: u32 = 1 << 2;

/// [`RecordHeader::flags`]: the stream was open before capture began.
pub const FLAG_MID_STREAM: u32 = 1 << 0;
/// [`RecordHeader::flags`]: two sends overlapped, the position is a guess.
pub const FLAG_POSITION_UNCERTAIN: u32 = 1 << 1;

/// [`RecordHeader::missing`]: all of the range follows the header.
pub const MISSING_NOTHING: u32 = 0;
/// [`RecordHeader::missing`]: the sender's memory could not be read.
pub const MISSING_UNREADABLE: u32 = 1;
/// [`RecordHeader::missing`]: the bytes were not in readable memory.
pub const MISSING_UNSUPPORTED: u32 = 2;
/// [`RecordHeader::missing`]: more than is taken from one send.
pub const MISSING_OVERSIZED: u32 = 3;

/// What is known of a task at the moment of its send.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    /// Start of the process on the boot-time clock, nanoseconds.
    pub start_boottime_ns: u64,
    /// Process id (thread group), initial PID namespace.
    pub tgid: u32,
    /// Thread id, initial PID namespace.
    pub tid: u32,
    /// Effective user id, initial user namespace.
    pub uid: u32,
    /// Effective group id, initial user namespace.
    pub gid: u32,
    /// `comm` of the thread, NUL-terminated.
    pub thread_name: [u8; COMM_LEN],
    /// `comm` of the process's main thread, NUL-terminated.
    pub process_name: [u8; COMM_LEN],
}

/// What is known of an ancestor at the moment of a send.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AncestorFacts {
    /// Start of the process on the boot-time clock, nanoseconds.
    pub start_boottime_ns: u64,
    /// Process id (thread group), initial PID namespace.
    pub tgid: u32,
    /// Effective user id, initial user namespace.
    pub uid: u32,
    /// `comm` of its main thread, NUL-terminated.
    pub name: [u8; COMM_LEN],
}

/// Header of each record in the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// `KIND_*`.
    pub kind: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// Boot-time clock when the kernel saw the send, nanoseconds.
    pub time_ns: u64,
    /// Identity of the socket, unique only together with `opened_ns`.
    pub socket: u64,
    /// Boot-time clock when the stream was first seen, nanoseconds.
    pub opened_ns: u64,
    /// Offset of the range in the stream, modulo 2^32.
    pub position: u32,
    /// Bytes of the stream that this record stands for.
    pub length: u32,
    /// Bytes that follow the header: `length`, or 0 if they are missing; of arguments
    /// what was taken.
    pub captured: u32,
    /// `MISSING_*`.
    pub missing: u32,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Destination port, host order.
    pub port: u32,
    /// Destination address, v4 as v4-mapped.
    pub address: [u8; 16],
    /// The sender.
    pub task: TaskFacts,
}

/// Size of [`RecordHeader`] in bytes.
pub const HEADER_LEN: usize = size_of::<RecordHeader>();

const _: () = assert!(size_of::<TaskFacts>() == 56, "no padding");
const _: () = assert!(size_of::<AncestorFacts>() == 32, "no padding");
const _: () = assert!(HEADER_LEN == 128, "no padding");

impl RecordHeader {
    /// Reads a header and the bytes it announces from one ring-buffer record.
    ///
    /// Returns `None` if `record` is shorter than the header and the bytes that
    /// it announces. What the fields hold is the caller's to judge.
    pub fn decode(record: &[u8]) -> Option<(Self, &[u8])> {
        let mut fields = Fields(record);
        let header = Self {
            kind: fields.u32()?,
            flags: fields.u32()?,
            time_ns: fields.u64()?,
            socket: fields.u64()?,
            opened_ns: fields.u64()?,
            position: fields.u32()?,
            length: fields.u32()?,
            captured: fields.u32()?,
            missing: fields.u32()?,
            netns: fields.u32()?,
            port: fields.u32()?,
            address: fields.array()?,
            task: TaskFacts {
                start_boottime_ns: fields.u64()?,
                tgid: fields.u32()?,
                tid: fields.u32()?,
                uid: fields.u32()?,
                gid: fields.u32()?,
                thread_name: fields.array()?,
                process_name: fields.array()?,
            },
        };
        let payload = fields.0.get(..header.captured as usize)?;
        Some((header, payload))
    }
}

impl AncestorFacts {
    /// Reads the ancestors that follow a header of [`KIND_ANCESTORS`]. `None` if
    /// the bytes are not a whole number of them.
    pub fn decode(payload: &[u8]) -> Option<impl Iterator<Item = Self>> {
        let (whole, rest) = payload.as_chunks::<{ size_of::<Self>() }>();
        if !rest.is_empty() {
            return None;
        }
        Some(whole.iter().filter_map(|bytes| {
            let mut fields = Fields(bytes);
            Some(Self {
                start_boottime_ns: fields.u64()?,
                tgid: fields.u32()?,
                uid: fields.u32()?,
                name: fields.array()?,
            })
        }))
    }
}

/// Reads fields in native byte order from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }
}
