//! Emitting ranges of a stream into the ring buffer.
//!
//! A ring-buffer reservation must have a constant size, so there are a few size
//! classes. The payload goes straight from its source into the reservation:
//! there is no scratch buffer that an interrupt on the same CPU could overwrite.

use core::{ffi::c_void, hint::black_box, mem::MaybeUninit, ptr};

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user},
    macros::map,
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use imds_analyzer_common::{
    loss::LossCause,
    record::{
        FLAG_LOST_TRACK, KIND_CHUNK, KIND_CLOSED, MAX_CHUNK, MISSING_NOTHING, MISSING_UNREADABLE,
        RecordHeader,
    },
};

use crate::{draft, globals, kernel, loss, socket::Route, socket::Socket, stream::Stream};

/// The ring buffer; the daemon sets its size.
#[map]
static CHUNKS: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// A record as it lies in the ring buffer.
#[repr(C)]
pub struct Slot<T> {
    /// What it is.
    pub header: RecordHeader,
    /// What belongs to it.
    pub payload: T,
}

/// Where a chunk's bytes are copied from.
pub trait Source {
    /// Copies `len` bytes at `from` to `to`; 0 on success.
    ///
    /// # Safety
    /// `to` must be valid for writes of `len` bytes, and `len` not be 0.
    unsafe fn copy(&self, to: *mut u8, len: u32, from: u64) -> i64;

    /// Whether what cannot be copied from here will be seen on the wire. If not,
    /// it is lost.
    fn has_witness(&self) -> bool;
}

/// Memory of the running task, or of the kernel itself.
pub enum Memory {
    /// User space.
    User,
    /// The kernel (a kernel thread's own buffers).
    Kernel,
}

impl Source for Memory {
    #[inline(always)]
    unsafe fn copy(&self, to: *mut u8, len: u32, from: u64) -> i64 {
        let (to, from) = (to.cast::<c_void>(), from as *const c_void);
        // SAFETY: the caller vouches for `to`; the helpers check `from`.
        unsafe {
            match self {
                Self::User => bpf_probe_read_user(to, len, from),
                Self::Kernel => bpf_probe_read_kernel(to, len, from),
            }
        }
    }

    #[inline(always)]
    fn has_witness(&self) -> bool {
        globals::WIRE_HOOKED.load() != 0
    }
}

/// Makes `header` one for chunks of `stream`, to be given a position and a length.
#[inline(always)]
pub fn describe(
    header: &mut RecordHeader,
    socket: Socket,
    stream: &Stream,
    route: &Route,
    time_ns: u64,
) {
    header.kind = KIND_CHUNK;
    header.flags = stream.flags;
    header.time_ns = time_ns;
    header.socket = socket.0;
    header.opened_ns = stream.opened_ns;
    header.position = 0;
    header.length = 0;
    header.captured = 0;
    header.missing = MISSING_NOTHING;
    header.netns = route.netns;
    header.port = route.destination.port;
    header.address = route.destination.address;
    header.task = stream.task;
}

/// Emits `len` bytes at `from`, at most [`MAX_CHUNK`].
///
/// Returns [`WHOLE`], [`UNREADABLE`] or [`NO_ROOM`]. Bytes that could not be read and
/// that no witness will see were counted and are marked; whether those that found no
/// room are lost is for the caller to know.
#[inline(always)]
pub fn emit<S: Source>(header: &mut RecordHeader, source: &S, from: u64, len: u32) -> u32 {
    header.length = len;
    header.captured = len;
    header.missing = MISSING_NOTHING;
    let outcome = match len as usize {
        0..=512 => emit_class::<512, S>(header, source, from, len),
        513..=4096 => emit_class::<4096, S>(header, source, from, len),
        _ => emit_class::<MAX_CHUNK, S>(header, source, from, len),
    };
    if outcome == UNREADABLE && !source.has_witness() {
        loss::count(LossCause::Unreadable);
    }
    outcome
}

/// All of it is in the ring buffer.
pub const WHOLE: u32 = 0;
/// The source could not be read. A mark is in the ring buffer instead, unless a
/// witness will see the bytes.
const UNREADABLE: u32 = 1;
/// Nothing is there.
pub const NO_ROOM: u32 = 2;

/// Emits `len` bytes at `from`, at most `N`, in a slot that has room for `N`.
#[inline(always)]
pub fn emit_class<const N: usize, S: Source>(
    header: &RecordHeader,
    source: &S,
    from: u64,
    len: u32,
) -> u32 {
    let Some(mut slot) = reserve::<Slot<[u8; N]>>() else {
        return NO_ROOM;
    };
    let to: *mut Slot<[u8; N]> = slot.as_mut_ptr();
    // For a `len` in 1..=N, which it is, this changes nothing. It shows that to
    // the verifier, which has lost track of the comparisons that led here; the
    // compiler has not and would drop it, but for the black box.
    const { assert!(N.is_power_of_two()) };
    let len = (black_box(len).wrapping_sub(1) & (N as u32 - 1)) + 1;
    // SAFETY: `to` is a reservation of the size of a Slot, and `len` is in 1..=N.
    unsafe {
        ptr::copy_nonoverlapping(header, &raw mut (*to).header, 1);
        if source.copy((&raw mut (*to).payload).cast(), len, from) != 0 {
            if source.has_witness() {
                slot.discard(0);
                return UNREADABLE;
            }
            (*to).header.captured = 0;
            (*to).header.missing = MISSING_UNREADABLE;
            slot.submit(0);
            return UNREADABLE;
        }
    }
    slot.submit(0);
    WHOLE
}

/// Emits a mark for `len` bytes that were sent and are not captured. Whether that
/// is a loss is seen in user space: it is none within a body.
#[inline(always)]
pub fn emit_missing(header: &mut RecordHeader, len: u32, missing: u32) {
    header.length = len;
    header.captured = 0;
    header.missing = missing;
    if !emit_header(header) {
        loss::count(LossCause::RingFull);
    }
}

/// Emits the end of a stream, if there is room: without it the daemon only keeps the
/// stream for longer.
#[inline(always)]
pub fn emit_closed(socket: Socket, stream: &Stream, route: &Route) {
    if let Some(header) = draft::begin(socket.0) {
        describe(header, socket, stream, route, kernel::boottime_ns());
        header.kind = KIND_CLOSED;
        if stream.responses.is_lost() {
            header.flags |= FLAG_LOST_TRACK;
        }
        let _ = emit_header(header);
        draft::end(socket.0);
    }
}

#[inline(always)]
fn emit_header(header: &RecordHeader) -> bool {
    let Some(mut slot) = reserve::<RecordHeader>() else {
        return false;
    };
    // SAFETY: both are headers, and do not overlap.
    unsafe { ptr::copy_nonoverlapping(header, slot.as_mut_ptr(), 1) };
    slot.submit(0);
    true
}

/// Room in the ring buffer, if there is any. To count that there is none is up to the
/// caller: what is told of a process is told again, a chunk is lost.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    CHUNKS.reserve::<T>(0)
}

const _: () = assert!(
    align_of::<MaybeUninit<Slot<[u8; 512]>>>() == 8,
    "ring buffer alignment"
);
