//! The streams that are open: identity, origin, and how far they were delivered.

use aya_ebpf::{
    bindings::BPF_ANY,
    macros::map,
    maps::{Array, LruHashMap},
};
use imds_analyzer_common::{
    loss::LossCause,
    record::{FLAG_MID_STREAM, TaskFacts},
};

use crate::{kernel, loss, response::Responses, socket::Socket, task};

/// Streams by the address of their socket, from connect on. One that is closed
/// stays, because a send on it may still be about to return; the next stream of
/// that socket takes its place. If there are too many, the one that was quiet the
/// longest is forgotten: should it speak again, it counts as one that was open
/// before we were.
#[map]
static STREAMS: LruHashMap<u64, Stream> = LruHashMap::with_max_entries(16_384, 0);

/// A new entry of [`STREAMS`], all zero. It lies in a map because the stack is too
/// short to build one there.
#[map]
static BLANK_STREAM: Array<Stream> = Array::with_max_entries(1, 0);

/// [`Stream::origin_from`]: the stream's first sequence number is not known yet.
pub const ORIGIN_UNKNOWN: u32 = 0;
/// [`Stream::origin_from`]: taken when the handshake ended. Right unless data
/// went with the SYN (TCP Fast Open).
pub const ORIGIN_ESTABLISHED: u32 = 1;
/// [`Stream::origin_from`]: taken from the first bytes themselves.
pub const ORIGIN_DATA: u32 = 2;

/// What is remembered of an open stream.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stream {
    /// Boot-time clock when it was first seen; with the socket's address, its identity.
    pub opened_ns: u64,
    /// Boot-time clock when its end was reported, 0 before.
    pub closed_ns: u64,
    /// Sequence number of its first byte.
    pub origin: u32,
    /// `ORIGIN_*`.
    pub origin_from: u32,
    /// Sequence number up to which its bytes were delivered.
    pub delivered: u32,
    /// Flags of all its records (`FLAG_MID_STREAM`).
    pub flags: u32,
    /// The task that last sent on it or connected it.
    pub task: TaskFacts,
    /// What it receives.
    pub responses: Responses,
}

impl Stream {
    /// Fixes the sequence number of the first byte.
    #[inline(always)]
    pub fn set_origin(&mut self, origin: u32, from: u32) {
        self.origin = origin;
        self.origin_from = from;
        self.delivered = origin;
    }

    /// Whether a SYN, whose stream begins at `origin`, belongs to a later stream of
    /// the same socket address, whose connect was not seen. The kernel skips the
    /// program of a raw tracepoint while another task is preempted in it on the
    /// same CPU, which can happen on 7.3.
    #[inline(always)]
    pub fn is_before_syn(&self, origin: u32) -> bool {
        self.closed_ns != 0 || (self.origin_from != ORIGIN_UNKNOWN && self.origin != origin)
    }

    /// Whether it had ended when a send was entered at `entered_ns`: then that send
    /// is of a later stream, whose connect was not seen.
    #[inline(always)]
    pub fn ended_before(&self, entered_ns: u64) -> bool {
        self.closed_ns != 0 && self.closed_ns < entered_ns
    }
}

/// Notes a stream that begins now, in the context of the task that connects it.
#[inline(always)]
pub fn open(socket: Socket) -> Option<&'static mut Stream> {
    let stream = begin(socket)?;
    task::note(&mut stream.task);
    Some(stream)
}

/// Notes a stream that was open before we were: its first byte is the first one
/// that we see, at sequence number `origin`. Who sends on it is not known yet.
#[inline(always)]
pub fn join(socket: Socket, origin: u32) -> Option<&'static mut Stream> {
    let stream = begin(socket)?;
    stream.set_origin(origin, ORIGIN_DATA);
    stream.flags = FLAG_MID_STREAM;
    Some(stream)
}

/// Notes a stream that begins now. Who sends on it is not known yet.
#[inline(always)]
pub fn begin(socket: Socket) -> Option<&'static mut Stream> {
    // SAFETY: nobody writes the blank one.
    let blank = unsafe { &*BLANK_STREAM.get_ptr(0)? };
    if STREAMS.insert(socket.0, blank, u64::from(BPF_ANY)).is_err() {
        loss::count(LossCause::StreamTableFull);
        return None;
    }
    let stream = get(socket)?;
    stream.opened_ns = kernel::boottime_ns();
    Some(stream)
}

/// The stream of a socket, if one is open.
#[inline(always)]
pub fn get(socket: Socket) -> Option<&'static mut Stream> {
    let stream = STREAMS.get_ptr_mut(socket.0)?;
    // SAFETY: the pointer stays readable and writable until the program ends,
    // even if the entry is removed meanwhile. Programs on other CPUs may write
    // the same entry: fields are plain words, each right at its time.
    Some(unsafe { &mut *stream })
}
