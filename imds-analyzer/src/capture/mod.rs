//! What the kernel side saw: chunks of bytes that tasks sent to a destination.
//!
//! Nothing here knows HTTP. The types are what the rest of the pipeline reads.
//! [`backend`] chooses and starts a way to capture, [`layout`] tells the eBPF
//! programs about this kernel (from its [`btf`], which [`kernel_types`] finds), [`programs`] loads and attaches
//! them, [`ring`] decodes what they report and [`loss`] what they could not.

pub mod args;
pub mod backend;
pub mod btf;
pub mod cgroup2;
pub mod debug_log;
pub mod kernel_types;
pub mod layout;
pub mod loss;
pub mod privilege;
pub mod programs;
pub mod ring;

use std::net::IpAddr;

/// One TCP stream, from its connect to its close, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Identity of the kernel socket; meaningful only together with `opened_ns`.
    pub socket: u64,
    /// Boot-time clock when the stream was first seen, in nanoseconds.
    pub opened_ns: u64,
}

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Address; IPv4-mapped IPv6 addresses are given as IPv4.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}

/// The task that sent a chunk, as the kernel knew it at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Process id (thread group id) in the initial PID namespace.
    pub tgid: u32,
    /// Thread id in the initial PID namespace.
    pub tid: u32,
    /// Start of the process, nanoseconds on the boot-time clock.
    pub start_boottime_ns: u64,
    /// How often the process, and those it was forked from, executed a program.
    pub exec_id: u64,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Name of the thread (`comm`), at most 15 bytes, any bytes.
    pub thread_name: Vec<u8>,
    /// Name of the process: `comm` of its main thread.
    pub process_name: Vec<u8>,
}

/// An ancestor of a sender, as the kernel knew it at the moment of the send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// Start of the process, nanoseconds on the boot-time clock.
    pub start_boottime_ns: u64,
    /// How often the process, and those it was forked from, executed a program.
    pub exec_id: u64,
    /// Its executable; `None` for a kernel thread.
    pub file: Option<FileId>,
    /// Effective user id.
    pub uid: u32,
    /// Name of the process, at most 15 bytes, any bytes.
    pub name: Vec<u8>,
}

/// What tells a file from every other, as stat(2) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Device of the file system.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

/// What a process runs, and where it runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its executable; `None` for a kernel thread.
    pub file: Option<FileId>,
    /// Path of the executable from the root of its mount namespace; `None` if it was
    /// not to be had. Of an executable that only ever was in memory its name.
    pub path: Option<Vec<u8>>,
    /// The executable has no place in a file system (memfd).
    pub in_memory: bool,
    /// The executable's directory entry is gone.
    pub deleted: bool,
    /// Path of its cgroup in the unified hierarchy; `None` if it was not to be had.
    pub cgroup: Option<Vec<u8>>,
    /// Id of that cgroup, which is the inode of its directory; 0 if unknown.
    pub cgroup_id: u64,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Process id in its own PID namespace; 0 if unknown.
    pub ns_tgid: u32,
}

/// Inodes of the namespaces of a process; 0 if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// PID namespace.
    pub pid: u32,
    /// Mount namespace.
    pub mount: u32,
    /// Network namespace, which need not be that of the socket.
    pub net: u32,
}

/// What a chunk holds for its range of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The bytes that were sent.
    Bytes(Vec<u8>),
    /// Bytes were sent here that could not be captured.
    Missing {
        /// How many bytes of the stream are missing.
        len: u32,
        /// Why.
        cause: MissingCause,
    },
}

impl Payload {
    /// Length of the stream's range that this payload stands for, in bytes.
    pub fn len(&self) -> u32 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u32,
            Self::Missing { len, .. } => *len,
        }
    }

    /// Whether the range is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a range of a stream could not be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingCause {
    /// The sender's memory could not be read.
    Unreadable,
    /// The bytes were not in memory that a program can read (pages, pipes).
    UnsupportedIterator,
    /// One send was longer than what is captured of it.
    Oversized,
}

/// A range of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// When the kernel saw the send: nanoseconds on the boot-time clock.
    pub time_ns: u64,
    /// Offset of the first byte in the stream, modulo 2^32. Zero is the first
    /// byte after connect, or with `started_mid_stream` the first byte seen.
    pub position: u32,
    /// The stream was open before capture began, so position zero need not be
    /// the beginning of a request.
    pub started_mid_stream: bool,
    /// Another task sent on the same socket at the same time, so `position` is
    /// not certain.
    pub position_uncertain: bool,
    /// The bytes, or what is known of their absence.
    pub payload: Payload,
    /// Who sent it.
    pub task: Task,
    /// Inode of the socket's network namespace.
    pub netns: u32,
    /// Where it was sent.
    pub destination: Destination,
}

/// What the kernel side reports, in the order of the ring buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task sent bytes.
    Chunk(Chunk),
    /// The arguments of a task that connects or sends, before its chunks; or of one
    /// that has executed a program.
    Arguments {
        /// Whose they are.
        task: Task,
        /// The arguments.
        args: Vec<Vec<u8>>,
        /// There was more than is taken; the last argument may be cut.
        truncated: bool,
        /// It has executed a program, and may never send.
        at_exec: bool,
    },
    /// The program of a task that connects or sends, before its chunks; or of one that
    /// has executed it.
    Program {
        /// Whose it is.
        task: Task,
        /// The program.
        program: Program,
        /// It has executed the program, and may never send.
        at_exec: bool,
    },
    /// The ancestors of a task that connects or sends. Comes before its chunks.
    Ancestors {
        /// Whose they are.
        task: Task,
        /// Nearest first, PID 1 last unless truncated.
        ancestors: Vec<Ancestor>,
        /// There were more than are taken.
        truncated: bool,
    },
    /// Something was received.
    Response(Response),
    /// A stream was closed; nothing more will come of it.
    Closed {
        /// The stream.
        stream: StreamId,
        /// When, in nanoseconds on the boot-time clock.
        time_ns: u64,
        /// What it received was not followed to the end, so responses may have passed
        /// unseen.
        lost_track: bool,
    },
}

/// What is known of a response, or of what is received instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The stream.
    pub stream: StreamId,
    /// When its first byte arrived, nanoseconds on the boot-time clock.
    pub time_ns: u64,
    /// Offset in the stream of what was sent, modulo 2^32, that the server had received
    /// when it sent that byte; as [`Chunk::position`].
    pub acknowledged: u32,
    /// What it is.
    pub what: Received,
}

/// What is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A final response, the next one on its stream.
    Status {
        /// Its code.
        code: u16,
        /// Value of its `Server` header, at most 64 bytes, any bytes; empty if there is
        /// none or it came in a later packet than the code.
        server: Vec<u8>,
        /// Responses before it may have passed unseen.
        resynced: bool,
    },
    /// Bytes that are not followed: responses may pass unseen from here on.
    LostTrack,
    /// The end of what the server sends.
    ServerDone,
}
