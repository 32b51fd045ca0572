//! What a task takes from TCP, where no program can see packets arrive: the entry of
//! `tcp_recvmsg`, which says where the bytes go, and `tcp_cleanup_rbuf`, which it calls
//! when they are there.
//!
//! That call, and not the return of `tcp_recvmsg`: the socket's lock is held, so the bytes
//! have their position in the stream for certain and those of one stream come one after
//! the other; and a task that waits for data keeps none of the few instances that a
//! kretprobe has.
//!
//! Of what is received but never taken nothing is known. Nor is anything of what leaves
//! by other ways (splice, MPTCP): the stream then goes on at a position that was not
//! looked at, and counts as lost.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_ANY,
    macros::map,
    maps::{Array, HashMap, ProgramArray},
};

use crate::{
    chunk::{Memory, Source as _},
    grammar::UNSYNCED,
    received::{self, Part, Source},
    segments::{KERNEL_VECTOR, OPAQUE, Segments},
    socket::{Socket, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK, TCP_TIME_WAIT},
    stream::{self, ORIGIN_UNKNOWN, Stream},
    task,
};

/// Flags of a receive that leaves the data in the socket, takes something else, or throws
/// it away: `MSG_OOB`, `MSG_PEEK`, `MSG_TRUNC`, `MSG_ERRQUEUE` (include/linux/socket.h).
const NO_TAKING: u32 = 0x01 | 0x02 | 0x20 | 0x2000;

/// Receives in progress, by the address of the task. An entry stays when the receive is
/// over, until the task's next one or its end: there is no telling the last call from one
/// before a wait. If there is no room, what the task takes is a gap.
#[map]
static TAKES: HashMap<u64, Take> = HashMap::with_max_entries(4096, 0);

/// A new entry of [`TAKES`]. It lies in a map because the stack is too short to build one
/// there.
#[map]
static BLANK_TAKE: Array<Take> = Array::with_max_entries(1, 0);

/// The running program itself, which the daemon puts here.
#[map]
static TAKE_ON: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// A receive.
#[repr(C)]
#[derive(Clone, Copy)]
struct Take {
    socket: u64,
    /// Its `struct msghdr`, which is gone when it is over.
    message: u64,
    segments: Segments,
    /// The piece of memory that is being filled: its place among the segments.
    index: u64,
    /// Its address.
    base: u64,
    /// Its length.
    len: u64,
    /// Bytes that went into the pieces before it.
    before: u64,
    /// Bytes of the receive that were looked at.
    taken: u64,
}

/// What lies in a piece of memory.
struct Piece {
    memory: Memory,
    base: u64,
}

impl Source for Piece {
    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool {
        let from = self.base.wrapping_add(u64::from(offset));
        // SAFETY: the caller vouches for `to` and `len`.
        unsafe { self.memory.copy(to.cast(), len, from) == 0 }
    }
}

/// The handshake of a socket is over: the next byte that comes is the first one.
#[inline(always)]
pub fn established(socket: Socket) {
    if let Some(stream) = stream::get(socket)
        && stream.responses.state.get() == UNSYNCED
        && let Ok(first) = socket.copied_seq()
    {
        stream.responses.next.set(first);
        stream.responses.begin();
    }
}

/// A stream is closed. Something may have come that nobody took, or that was taken where
/// it is not seen.
#[inline(always)]
pub fn closed(socket: Socket, stream: &mut Stream) {
    // The end of what the server sends has a sequence number, too.
    const FIN: i32 = 1;
    let responses = &mut stream.responses;
    let end = socket.receive_next().unwrap_or_default();
    let acknowledged = socket.acknowledged().unwrap_or_default();
    // A body may lack to HEAD, and then what has come since is another response.
    let has_body = !(responses.may_lack_body() && received::is_news(stream, acknowledged));
    let responses = &mut stream.responses;
    if responses.reads() && end.wrapping_sub(responses.accounted(has_body)) as i32 > FIN {
        responses.lost.set(1);
    }
}

/// `tcp_recvmsg(sk, msg, …, flags, …)` is entered, on a socket whose port may be watched.
#[inline(always)]
pub fn enter(socket: Socket, message: u64, flags: u32) {
    let task = task::current();
    // Whatever was noted of the task is over.
    let _ = TAKES.remove(task);
    if flags & NO_TAKING == 0
        && stream::get(socket).is_some()
        && let Ok(segments) = Segments::of_message(message)
        && segments.kind != OPAQUE
        && let Some(take) = begin(task)
    {
        take.segments = segments;
        take.message = message;
        take.socket = socket.0;
    }
}

/// The running task's entry, blank.
#[inline(always)]
fn begin(task: u64) -> Option<&'static mut Take> {
    // SAFETY: nobody writes the blank one.
    let blank = unsafe { &*BLANK_TAKE.get_ptr(0)? };
    TAKES.insert(task, blank, u64::from(BPF_ANY)).ok()?;
    get(task)
}

/// `tcp_cleanup_rbuf(sk, copied)` is called: the running task has `copied` bytes of its
/// receive by now, or an error.
#[inline(always)]
pub fn copied<C: EbpfContext>(context: &C, socket: Socket, copied: i32) {
    if copied >= 0
        && let Some(take) = get(task::current())
        && take.socket == socket.0
        && take.is_at(copied as u32)
        && let Some(stream) = stream::get(socket)
        && stream.closed_ns == 0
        // Without it the records would have no coordinates.
        && stream.origin_from != ORIGIN_UNKNOWN
        && read_on(take, socket, stream, copied as u32).unwrap_or(false)
    {
        // SAFETY: nothing here has to be dropped.
        unsafe { TAKE_ON.tail_call(context, 0) };
        // That was the last run that a call can have.
        lose(take, socket, stream, copied as u32);
    }
}

impl Take {
    /// Whether it is this receive that has `copied` bytes by now: then its iterator stands
    /// behind them. Splices make the same call, and nothing tells when a receive is over.
    #[inline(always)]
    fn is_at(&self, copied: u32) -> bool {
        let left = Segments::left(self.message);
        left.is_ok_and(|left| self.segments.count.wrapping_sub(left) == u64::from(copied))
    }
}

/// Reads a block of what was taken. Says whether to be called again.
#[inline(always)]
fn read_on(take: &mut Take, socket: Socket, stream: &mut Stream, copied: u32) -> Option<bool> {
    let left = u64::from(copied).checked_sub(take.taken)?;
    if left != 0 && take.taken >= take.before + take.len {
        let Ok(next) = take.segments.segment(take.index) else {
            lose(take, socket, stream, copied);
            return None;
        };
        take.before += take.len;
        take.index += 1;
        take.base = next.base;
        take.len = next.len;
        if take.taken >= take.before + take.len {
            return Some(true);
        }
    }
    let offset = take.taken - take.before;
    let here = take.len - offset;
    // The end of what the server sends is taken, too, by the receive that reaches it.
    let end = socket.copied_seq().ok()?;
    let is_last = has_ended(socket) && socket.receive_next().ok()? == end;
    let end = end.wrapping_sub(u32::from(is_last));
    let part = Part {
        sequence: end.wrapping_sub(left as u32),
        acknowledged: socket.acknowledged().ok()?,
        len: if here < left { here } else { left } as u32,
        is_first: false,
        is_last: is_last && here >= left,
    };
    if part.len == 0 && !part.is_last {
        return None;
    }
    let piece = Piece {
        memory: if take.segments.kind == KERNEL_VECTOR {
            Memory::Kernel
        } else {
            Memory::User
        },
        base: take.base.wrapping_add(offset),
    };
    if received::read_on(&piece, socket, stream, &part) {
        return Some(true);
    }
    take.taken += u64::from(part.len);
    // Pieces that there is nothing to read of are passed over.
    if !stream.responses.reads() || end.wrapping_sub(stream.responses.next.get()) as i32 <= 0 {
        take.taken = u64::from(copied);
    }
    Some(take.taken < u64::from(copied))
}

/// What was taken cannot be read to its end.
#[inline(always)]
fn lose(take: &mut Take, socket: Socket, stream: &mut Stream, copied: u32) {
    let nothing = Piece {
        memory: Memory::User,
        base: 0,
    };
    if let (Ok(sequence), Ok(acknowledged)) = (socket.copied_seq(), socket.acknowledged()) {
        let part = Part {
            sequence,
            acknowledged,
            len: 0,
            is_first: false,
            is_last: false,
        };
        received::give_up(&nothing, socket, stream, &part);
    }
    take.taken = u64::from(copied);
}

/// Whether the server has ended its direction of the stream.
#[inline(always)]
fn has_ended(socket: Socket) -> bool {
    socket.state().is_ok_and(|state| {
        state == TCP_CLOSE_WAIT
            || state == TCP_LAST_ACK
            || state == TCP_CLOSING
            || state == TCP_TIME_WAIT
    })
}

/// The entry of a task.
#[inline(always)]
fn get(task: u64) -> Option<&'static mut Take> {
    let take = TAKES.get_ptr_mut(task)?;
    // SAFETY: only the task itself reads, writes and removes its entry.
    Some(unsafe { &mut *take })
}

/// A task that is gone takes nothing any more; the next one at its address is another.
#[inline(always)]
pub fn abandon(task: u64) {
    let _ = TAKES.remove(task);
}
