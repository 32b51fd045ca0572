//! What a watched stream receives: the status of each response, and nothing else of it.
//!
//! It comes in [`Part`]s: packets ([`crate::packet`]), or what a task takes at once
//! ([`crate::taken`]). A run reads at most [`BLOCK`] bytes of a part beyond the position
//! that the stream stands at, and says whether it is to be called again, so what the
//! verifier has to follow is one short loop. What was read before (a retransmission) is
//! passed over by its position. What leaves a gap is looked at only for a response that
//! begins with the part.
//!
//! Nothing here is locked: whoever calls does so for the parts of one stream one after the
//! other. Should two processors do so at once, one of them sees a gap.

use core::{ffi::c_void, mem::MaybeUninit};

use imds_analyzer_common::{
    loss::LossCause,
    record::{
        FLAG_LOST_TRACK, FLAG_RESYNCED, FLAG_SERVER_DONE, KIND_RESPONSE, MAX_SERVER,
        MISSING_NOTHING, ResponseFacts, TaskFacts,
    },
};

use crate::{
    chunk::{self, Slot},
    grammar::{ENDED, HEAD_END, OPAQUE, STATUS, UNSYNCED, VERSION},
    kernel, loss,
    socket::Socket,
    stream::Stream,
};

/// Consecutive bytes of what a stream receives.
#[derive(Clone, Copy)]
pub struct Part {
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Sequence number up to which the server had received when this came.
    pub acknowledged: u32,
    /// Number of bytes.
    pub len: u32,
    /// The stream begins with it.
    pub is_first: bool,
    /// The server sends nothing behind it.
    pub is_last: bool,
}

/// Where the bytes of a part can be read.
pub trait Source {
    /// Copies `len` bytes from `offset` of the part on to `to`, and says whether that
    /// worked.
    ///
    /// # Safety
    /// `to` must be valid for writes of `len` bytes, and `len` not be 0.
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool;
}

/// Bytes that one run reads. A part can have 33 runs (`MAX_TAIL_CALL_CNT` of
/// include/linux/bpf.h, and the first): heads of 2 KiB.
const BLOCK: usize = 64;

/// A status is told at the end of its head, or of its part if that comes first, so that
/// `Server` may be told with it; but not later than this many bytes from its beginning.
const SERVER_WITHIN: u32 = 1024;

/// Reads a block of a part, and tells what there is to tell then. Says whether to be
/// called again for the same part.
#[inline(always)]
pub fn read_on<S: Source>(source: &S, socket: Socket, stream: &mut Stream, part: &Part) -> bool {
    let told = read(source, stream, part);
    if told != NOTHING {
        tell(source, socket, stream, part, told);
    }
    let responses = &mut stream.responses;
    responses.go_on();
    responses.reads() && responses.next.get().wrapping_sub(part.sequence) < part.len
}

/// What comes cannot be followed any more: a part has more than its runs can read, or it
/// cannot be read.
#[inline(always)]
pub fn give_up<S: Source>(source: &S, socket: Socket, stream: &mut Stream, part: &Part) {
    let told = lose(stream, part);
    if told != NOTHING {
        tell(source, socket, stream, part, told);
    }
}

/// [`tell`]: nothing.
const NOTHING: u32 = u32::MAX;
/// [`tell`]: the status, and `FLAG_*` beside it.
const ANSWERED: u32 = 0;

/// Reads a block of the part. Gives what is to be told then.
#[inline(always)]
fn read<S: Source>(source: &S, stream: &mut Stream, part: &Part) -> u32 {
    if part.is_first && stream.responses.state.get() == UNSYNCED {
        stream.responses.next.set(part.sequence);
        stream.responses.begin();
    }
    if part.len != 0 {
        find_place(source, stream, part);
    }
    let responses = &mut stream.responses;
    let offset = responses.next.get().wrapping_sub(part.sequence);
    if offset < part.len && responses.reads() {
        if responses.state.get() == STATUS {
            begin_here(stream, part, offset);
        }
        read_block(source, stream, offset, part.len);
    }

    let responses = &mut stream.responses;
    let state = responses.state.get();
    let end = part.sequence.wrapping_add(part.len);
    let rest = end.wrapping_sub(responses.next.get()) as i32;
    let head = responses.next.get().wrapping_sub(responses.begun_at.get());
    if responses.is_ready() && (state == HEAD_END || rest <= 0 || head > SERVER_WITHIN) {
        responses.told.set(1);
        responses.has_answered.set(1);
        responses.answered.set(responses.begun_acknowledged.get());
        return if responses.resynced.get() != 0 {
            ANSWERED | FLAG_RESYNCED
        } else {
            ANSWERED
        };
    }
    if state == UNSYNCED {
        return lose(stream, part);
    }
    // A body that is cut short ends there, too.
    let is_over = rest <= 0 || state == ENDED || (state == OPAQUE && part.len == 0);
    if part.is_last && is_over && responses.lost.get() == 0 && is_news(stream, part.acknowledged) {
        begin_here(stream, part, 0);
        return FLAG_SERVER_DONE;
    }
    NOTHING
}

/// Moves the stream to where the part is to be read, if that is known.
#[inline(always)]
fn find_place<S: Source>(source: &S, stream: &mut Stream, part: &Part) {
    let responses = &mut stream.responses;
    let state = responses.state.get();
    let ahead = responses.next.get().wrapping_sub(part.sequence) as i32;
    if state == OPAQUE {
        let lacks_body = ahead == 0
            && responses.may_lack_body()
            && is_news(stream, part.acknowledged)
            && begins_response(source, part);
        if lacks_body {
            stream.responses.begin();
        } else {
            stream.responses.jump();
        }
    }
    let responses = &mut stream.responses;
    let ahead = responses.next.get().wrapping_sub(part.sequence) as i32;
    if ahead >= 0 && responses.reads() {
        return;
    }
    if is_news(stream, part.acknowledged) && begins_response(source, part) {
        let responses = &mut stream.responses;
        responses.begin();
        responses.next.set(part.sequence);
        responses.resynced.set(1);
    } else if stream.responses.reads() {
        // A gap. Should its bytes still come, they are not waited for: those behind it
        // will not come a second time.
        stream.responses.state.set(UNSYNCED);
    }
}

/// Whether the server has received something that was sent since the last response
/// began: only then can another one begin that is not looked for at this place.
#[inline(always)]
pub fn is_news(stream: &Stream, acknowledged: u32) -> bool {
    let responses = &stream.responses;
    let before = if responses.has_answered.get() != 0 {
        responses.answered.get()
    } else {
        stream.origin
    };
    acknowledged.wrapping_sub(before) as i32 > 0
}

/// Whether the part's first bytes are those of a status line.
#[inline(always)]
fn begins_response<S: Source>(source: &S, part: &Part) -> bool {
    let mut bytes = MaybeUninit::<[u8; VERSION.len()]>::uninit();
    part.len >= VERSION.len() as u32
        // SAFETY: they are as many bytes.
        && unsafe { source.load(0, bytes.as_mut_ptr().cast(), VERSION.len() as u32) }
        // SAFETY: they were written.
        && unsafe { bytes.assume_init_ref() } == VERSION
}

/// Reads at most a block of a part of `len` bytes, from `offset` on, up to where the reader
/// wants to stop.
#[inline(always)]
fn read_block<S: Source>(source: &S, stream: &mut Stream, offset: u32, len: u32) {
    let left = len.wrapping_sub(offset);
    let mut block = MaybeUninit::<[u64; BLOCK / 8]>::uninit();
    // The verifier wants all of it to be set where the length is not a constant.
    // SAFETY: the block has that many words.
    unsafe { clear::<{ BLOCK / 8 }>(block.as_mut_ptr().cast()) };
    // Of one length or the other, which the verifier knows: no sum of lengths.
    let len = if left < BLOCK as u32 {
        left
    } else {
        BLOCK as u32
    };
    let len = core::hint::black_box(len).wrapping_sub(1) & (BLOCK as u32 - 1);
    // SAFETY: the block has room for 1 to BLOCK bytes, which `len + 1` is.
    if !unsafe { source.load(offset, block.as_mut_ptr().cast(), len + 1) } {
        stream.responses.state.set(UNSYNCED);
        return;
    }
    // The verifier of 5.10 loses the bound of a length that it saw put aside, so the
    // compiler must not rely on it either and drop the other one.
    let last = core::hint::black_box(len);
    for at in 0..BLOCK {
        if at as u32 > last {
            break;
        }
        // SAFETY: `at` is within the block. Volatile, so that it stays one load.
        let byte = unsafe { block.as_ptr().cast::<u8>().add(at).read_volatile() };
        if stream.responses.take(byte) {
            break;
        }
    }
}

/// What comes cannot be followed any more. That is told once.
#[inline(always)]
fn lose(stream: &mut Stream, part: &Part) -> u32 {
    let responses = &mut stream.responses;
    responses.state.set(UNSYNCED);
    if responses.lost.get() != 0 {
        return NOTHING;
    }
    responses.lost.set(1);
    begin_here(stream, part, 0);
    FLAG_LOST_TRACK
}

/// What is told next begins at `offset` of this part.
#[inline(always)]
fn begin_here(stream: &mut Stream, part: &Part, offset: u32) {
    let responses = &mut stream.responses;
    responses.begun_ns.set(kernel::boottime_ns());
    responses.begun_at.set(part.sequence.wrapping_add(offset));
    responses.begun_acknowledged.set(part.acknowledged);
}

/// Emits a record, with the status if `flags` are those of an answer. That there is no
/// room for it is counted, and told with the next one.
#[inline(always)]
fn tell<S: Source>(source: &S, socket: Socket, stream: &mut Stream, part: &Part, flags: u32) {
    let Some(mut slot) = chunk::reserve::<Slot<ResponseFacts>>() else {
        loss::count(LossCause::ResponseRingFull);
        stream.responses.lost.set(1);
        stream.responses.resynced.set(1);
        return;
    };
    let responses = &mut stream.responses;
    let mut status = 0;
    if flags & (FLAG_LOST_TRACK | FLAG_SERVER_DONE) == 0 {
        responses.resynced.set(0);
        responses.lost.set(0);
        status = responses.status.get();
    }
    let to: *mut Slot<ResponseFacts> = slot.as_mut_ptr();
    // SAFETY: `to` is a reservation of that size, of which every byte is written.
    unsafe {
        let header = &raw mut (*to).header;
        (*header).kind = KIND_RESPONSE;
        (*header).flags = flags;
        (*header).time_ns = responses.begun_ns.get();
        (*header).socket = socket.0;
        (*header).opened_ns = stream.opened_ns;
        (*header).position = responses.begun_at.get();
        (*header).length = size_of::<ResponseFacts>() as u32;
        (*header).captured = size_of::<ResponseFacts>() as u32;
        (*header).missing = MISSING_NOTHING;
        (*header).netns = 0;
        (*header).port = 0;
        clear::<2>((&raw mut (*header).address).cast());
        clear::<{ size_of::<TaskFacts>() / 8 }>((&raw mut (*header).task).cast());
        let facts = &raw mut (*to).payload;
        let acknowledged = responses.begun_acknowledged.get();
        (*facts).acknowledged = acknowledged.wrapping_sub(stream.origin);
        (*facts).status = status;
        (*facts).server_len = 0;
        (*facts).reserved = 0;
        clear::<{ MAX_SERVER / 8 }>((&raw mut (*facts).server).cast());
        // Where the value is in this part, beginning and end.
        if status != 0
            && let Some((at, len)) = responses.server()
            && len.wrapping_sub(1) < SERVER_MOST
            && at.wrapping_sub(part.sequence) < part.len
        {
            let offset = at.wrapping_sub(part.sequence);
            let most = MAX_SERVER as u32;
            let len = if len < most { len } else { most };
            let len = (core::hint::black_box(len).wrapping_sub(1) & (most - 1)) + 1;
            if source.load(offset, (&raw mut (*facts).server).cast(), len) {
                (*facts).server_len = len;
            }
        }
    }
    slot.submit(0);
}

/// Longest value of `Server` that is told, of which what is beyond [`MAX_SERVER`] is cut.
const SERVER_MOST: u32 = 1024;

/// Sets `N` words to zero, without a call: a program that calls itself by way of a map may
/// call no function on arm64 before 6.0.
///
/// # Safety
/// `words` must be valid for writes of `N` words.
#[inline(always)]
unsafe fn clear<const N: usize>(words: *mut u64) {
    for at in 0..N {
        // SAFETY: the caller vouches for it. Volatile, so that it becomes no memset.
        unsafe { words.add(at).write_volatile(0) };
    }
}
