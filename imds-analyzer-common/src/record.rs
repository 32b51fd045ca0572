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

/// [`RecordHeader::kind`]: the program that a process runs and where it runs it:
/// [`ProgramFacts`], then room for [`MAX_PATH`] names of [`PATH_NAME_LEN`] bytes and
/// [`MAX_CGROUP`] names of [`CGROUP_NAME_LEN`] bytes.
pub const KIND_PROGRAM: u32 = 5;

/// [`RecordHeader::kind`]: what is known of a response: [`ResponseFacts`]. Nothing else
/// of a response ever crosses the ring buffer. The header names the stream, the position
/// of the response's first byte among those received (modulo 2^32) and when that arrived.
pub const KIND_RESPONSE: u32 = 6;

/// Most bytes of a response's `Server` header that are taken.
pub const MAX_SERVER: usize = 64;

/// Most bytes of a sender's arguments that are taken.
pub const MAX_ARGS: usize = 4096;

/// Most steps from an executable up to the root: directories and mount points.
pub const MAX_PATH: usize = 24;
/// Room for the name of a directory, its NUL included.
pub const PATH_NAME_LEN: usize = 96;
/// In place of a name of the path: the way goes out of a mount here.
pub const PATH_IS_MOUNT: u8 = b'/';
/// Most levels of a cgroup.
pub const MAX_CGROUP: usize = 10;
/// Room for the name of a cgroup, its NUL included.
pub const CGROUP_NAME_LEN: usize = 128;

/// Most ancestors of a sender that are taken.
pub const MAX_ANCESTORS: usize = 32;

/// [`RecordHeader::flags`]: there are more ancestors than were taken.
pub const FLAG_MORE_ANCESTORS: u32 = 1 << 2;

/// [`RecordHeader::flags`]: the stream was open before capture began.
pub const FLAG_MID_STREAM: u32 = 1 << 0;
/// [`RecordHeader::flags`]: two sends overlapped, the position is a guess.
pub const FLAG_POSITION_UNCERTAIN: u32 = 1 << 1;

/// [`RecordHeader::flags`]: told by a process that has just executed this program,
/// not by one that sends.
pub const FLAG_AT_EXEC: u32 = 1 << 3;

/// [`RecordHeader::flags`] of [`KIND_RESPONSE`]: what came before it was not followed
/// without a gap, so responses may be missing.
pub const FLAG_RESYNCED: u32 = 1 << 4;
/// [`RecordHeader::flags`] of [`KIND_RESPONSE`] and [`KIND_CLOSED`]: what is received is
/// not followed at this moment, so that no response is seen does not mean that none came.
pub const FLAG_LOST_TRACK: u32 = 1 << 5;
/// [`RecordHeader::flags`] of [`KIND_RESPONSE`]: the server has ended its direction.
pub const FLAG_SERVER_DONE: u32 = 1 << 6;

/// [`ProgramFacts::flags`]: the names are the whole path of the executable.
pub const PROGRAM_PATH_WHOLE: u32 = 1 << 0;
/// [`ProgramFacts::flags`]: the executable has no place in a file system (memfd).
pub const PROGRAM_DETACHED: u32 = 1 << 1;
/// [`ProgramFacts::flags`]: the executable's directory entry is gone.
pub const PROGRAM_DELETED: u32 = 1 << 2;
/// [`ProgramFacts::flags`]: the names are the whole path of the cgroup.
pub const PROGRAM_CGROUP_WHOLE: u32 = 1 << 3;

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
    /// How often the process, and those it was forked from, executed a program: with
    /// the start time it tells one program in one process from every other.
    pub exec_id: u64,
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
    /// As [`TaskFacts::exec_id`].
    pub exec_id: u64,
    /// As [`ProgramFacts::inode`].
    pub inode: u64,
    /// As [`ProgramFacts::device`].
    pub device: u32,
    /// Process id (thread group), initial PID namespace.
    pub tgid: u32,
    /// Effective user id, initial user namespace.
    pub uid: u32,
    /// Nothing.
    pub reserved: u32,
    /// `comm` of its main thread, NUL-terminated.
    pub name: [u8; COMM_LEN],
}

/// What a process runs, and where. What could not be read is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Inode of the executable.
    pub inode: u64,
    /// Id of its cgroup in the unified hierarchy, which is the inode of its directory.
    pub cgroup_id: u64,
    /// Device of the executable as the kernel writes it: 12 bits major, 20 bits minor
    /// (include/linux/kdev_t.h).
    pub device: u32,
    /// Inode of its PID namespace.
    pub pid_ns: u32,
    /// Inode of its mount namespace.
    pub mount_ns: u32,
    /// Inode of its network namespace, which need not be that of the socket.
    pub net_ns: u32,
    /// Process id in its own PID namespace.
    pub ns_tgid: u32,
    /// `PROGRAM_*`.
    pub flags: u32,
    /// Names of the path that follow, the executable's first; [`PATH_IS_MOUNT`] among
    /// them. One that could not be read is empty, one that is cut fills its room.
    pub path_names: u32,
    /// Names of the cgroup's path that follow, the deepest first, and likewise.
    pub cgroup_names: u32,
}

/// Bytes that follow a header of [`KIND_PROGRAM`].
pub const PROGRAM_LEN: usize =
    size_of::<ProgramFacts>() + MAX_PATH * PATH_NAME_LEN + MAX_CGROUP * CGROUP_NAME_LEN;

/// What is known of a response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFacts {
    /// Offset in the stream of what was sent, modulo 2^32, that the server had received
    /// when it sent the response's first byte: [`RecordHeader::position`] of a chunk is
    /// in the same coordinates.
    pub acknowledged: u32,
    /// Status code of the final response, 100 to 999; 0 if the record is of something
    /// else, which its flags tell.
    pub status: u32,
    /// Bytes of `server` that are used.
    pub server_len: u32,
    /// Nothing.
    pub reserved: u32,
    /// Value of its `Server` header.
    pub server: [u8; MAX_SERVER],
}

impl ResponseFacts {
    /// Reads what follows a header of [`KIND_RESPONSE`]. `None` if it is shorter, or
    /// announces a longer name than there is room for.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let facts = Self {
            acknowledged: fields.u32()?,
            status: fields.u32()?,
            server_len: fields.u32()?,
            reserved: fields.u32()?,
            server: fields.array()?,
        };
        (facts.server_len as usize <= MAX_SERVER).then_some(facts)
    }
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
    /// what was taken; of a program the room for all its names.
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

const _: () = assert!(size_of::<TaskFacts>() == 64, "no padding");
const _: () = assert!(size_of::<AncestorFacts>() == 56, "no padding");
const _: () = assert!(size_of::<ProgramFacts>() == 48, "no padding");
const _: () = assert!(size_of::<ResponseFacts>() == 80, "no padding");
const _: () = assert!(HEADER_LEN == 136, "no padding");

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
                exec_id: fields.u64()?,
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
                exec_id: fields.u64()?,
                inode: fields.u64()?,
                device: fields.u32()?,
                tgid: fields.u32()?,
                uid: fields.u32()?,
                reserved: fields.u32()?,
                name: fields.array()?,
            })
        }))
    }
}

impl ProgramFacts {
    /// Reads what follows a header of [`KIND_PROGRAM`]: the facts, the names of the
    /// executable's path and those of the cgroup's. `None` if it is shorter, or
    /// announces more names than there is room for.
    pub fn decode(payload: &[u8]) -> Option<(Self, Names<'_>, Names<'_>)> {
        let mut fields = Fields(payload);
        let facts = Self {
            inode: fields.u64()?,
            cgroup_id: fields.u64()?,
            device: fields.u32()?,
            pid_ns: fields.u32()?,
            mount_ns: fields.u32()?,
            net_ns: fields.u32()?,
            ns_tgid: fields.u32()?,
            flags: fields.u32()?,
            path_names: fields.u32()?,
            cgroup_names: fields.u32()?,
        };
        let (path, rest) = fields.0.split_at_checked(MAX_PATH * PATH_NAME_LEN)?;
        let cgroup = rest.get(..MAX_CGROUP * CGROUP_NAME_LEN)?;
        let path = path.get(..facts.path_names as usize * PATH_NAME_LEN)?;
        let cgroup = cgroup.get(..facts.cgroup_names as usize * CGROUP_NAME_LEN)?;
        Some((
            facts,
            Names {
                rooms: path,
                room: PATH_NAME_LEN,
            },
            Names {
                rooms: cgroup,
                room: CGROUP_NAME_LEN,
            },
        ))
    }
}

/// The names that make a path, the deepest first.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    rooms: &'a [u8],
    /// Size of each room.
    room: usize,
}

impl<'a> Names<'a> {
    /// Each name, [`PATH_IS_MOUNT`] among them; `None` for one that could not be read
    /// whole.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Option<&'a [u8]>> {
        self.rooms.chunks_exact(self.room).map(name_in)
    }
}

/// The name in a room; `None` if it is empty, or fills the room: it may be cut.
fn name_in(room: &[u8]) -> Option<&[u8]> {
    if room.first() == Some(&PATH_IS_MOUNT) {
        return room.get(..1);
    }
    let len = room.iter().position(|&byte| byte == 0)?;
    (1..room.len() - 1).contains(&len).then(|| &room[..len])
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
