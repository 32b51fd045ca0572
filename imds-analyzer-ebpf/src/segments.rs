//! The memory segments of one send: a kernel `iov_iter`, noted when the send is
//! entered and walked when it has returned. Those of a receive are noted as well.
//!
//! The iterator itself cannot be read at the end, because the send advances it.
//! The segment array that it points to stays as it was until the system call
//! ends.

use aya_ebpf::Global;
use imds_analyzer_common::{
    loss::LossCause,
    record::{MAX_CHUNK, MISSING_OVERSIZED, MISSING_UNREADABLE, MISSING_UNSUPPORTED, RecordHeader},
};

use crate::{
    chunk::{self, Memory, NO_ROOM, WHOLE},
    globals::{self, ABSENT},
    kernel::{self, Forgotten},
    loss,
};

/// Most segments of one send that are walked.
const MAX_SEGMENTS: u64 = 64;
/// Most bytes of one send that are taken: several of the longest heads.
const MAX_BYTES: u32 = 4 * MAX_CHUNK as u32;
/// Every segment may end in a chunk of its own, and the longest send adds four.
const MAX_STEPS: u32 = MAX_SEGMENTS as u32 + 4;

/// One segment of user memory (`ITER_UBUF`).
pub const USER_BUFFER: u32 = 1;
/// An array of `struct iovec` (`ITER_IOVEC`).
pub const USER_VECTOR: u32 = 2;
/// An array of `struct kvec` (`ITER_KVEC`).
pub const KERNEL_VECTOR: u32 = 3;
/// Anything else, such as pages: not readable from a program.
pub const OPAQUE: u32 = 4;

/// Where the bytes of a send lie, or of a receive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Segments {
    /// `USER_BUFFER` and the others.
    pub kind: u32,
    /// Padding, zero.
    pub reserved: u32,
    /// The buffer, or the array of segments.
    pub pointer: u64,
    /// Length of the array.
    pub segments: u64,
    /// Bytes of the first segment that are not part of the send.
    pub offset: u64,
    /// Bytes to send.
    pub count: u64,
}

/// [`Segments::segment`]: the iterator says that it holds more than it does, so what
/// was noted of it is not what was sent (`-EFAULT`, include/uapi/asm-generic/errno-base.h).
const BEYOND: i32 = -14;

/// `struct iovec` and `struct kvec` (include/uapi/linux/uio.h): the same layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Segment {
    pub base: u64,
    pub len: u64,
}

/// Where [`Segments::emit`] is, and the header of what it emits.
///
/// The verifier follows every value that it can bound through every turn of the
/// loop, and would need a million steps for the ways in which lengths can add
/// up. It forgets what it knew of a value that lies in a map, so the loop's
/// state is kept there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Walk {
    /// Header of the next chunk, filled by the caller; the position advances.
    pub header: RecordHeader,
    /// Bytes still to emit.
    left: Forgotten<u64>,
    /// Segment after the one that is being emitted.
    index: Forgotten<u64>,
    /// Address of the next byte.
    base: Forgotten<u64>,
    /// Bytes left in its segment.
    segment_left: Forgotten<u64>,
    /// Chunks that are not in the ring buffer.
    failed: Forgotten<u64>,
    /// The wire found no room for bytes of this send, and left them to its end.
    left_by_wire: Forgotten<u64>,
}

impl Walk {
    /// Before the first segment.
    #[inline(always)]
    pub fn begin(&mut self, len: u32) {
        self.left.set(u64::from(len));
        self.index.set(0);
        self.segment_left.set(0);
        self.failed.set(0);
    }

    /// The wire found no room for what it saw of this send.
    #[inline(always)]
    pub fn leave_to_end(&mut self) {
        self.left_by_wire.set(1);
    }

    /// Whether what finds no room now is lost, for the wire has passed or is not watched.
    #[inline(always)]
    pub fn is_last_try(&self) -> bool {
        self.left_by_wire.get() != 0 || globals::WIRE_HOOKED.load() == 0
    }

    #[inline(always)]
    fn advance(&mut self, len: u64) {
        self.header.position = self.header.position.wrapping_add(len as u32);
        self.left.set(self.left.get().wrapping_sub(len));
        self.base.set(self.base.get().wrapping_add(len));
        self.segment_left
            .set(self.segment_left.get().wrapping_sub(len));
    }
}

impl Segments {
    /// Notes the iterator of the `msghdr` at `message`.
    #[inline(always)]
    pub fn of_message(message: u64) -> Result<Self, i32> {
        let iter = message + u64::from(globals::MSG_ITER.load());
        let found = if globals::ITER_TYPE_SIZE.load() == 1 {
            u32::from(kernel::read::<u8>(iter, &globals::ITER_TYPE)?)
        } else {
            kernel::read::<u32>(iter, &globals::ITER_TYPE)?
        };
        let found = found & !globals::ITER_TYPE_IGNORED.load();
        let kind = if is(found, &globals::ITER_IS_UBUF) {
            USER_BUFFER
        } else if is(found, &globals::ITER_IS_IOVEC) {
            USER_VECTOR
        } else if is(found, &globals::ITER_IS_KVEC) {
            KERNEL_VECTOR
        } else {
            OPAQUE
        };
        let pointer = if kind == USER_BUFFER {
            kernel::read(iter, &globals::ITER_UBUF)?
        } else {
            kernel::read(iter, &globals::ITER_IOV)?
        };
        Ok(Self {
            kind,
            reserved: 0,
            pointer,
            segments: kernel::read(iter, &globals::ITER_NR_SEGS)?,
            offset: kernel::read(iter, &globals::ITER_OFFSET)?,
            count: kernel::read(iter, &globals::ITER_COUNT)?,
        })
    }

    /// Bytes that the iterator of the `msghdr` at `message` still has before it.
    #[inline(always)]
    pub fn left(message: u64) -> Result<u64, i32> {
        let iter = message + u64::from(globals::MSG_ITER.load());
        kernel::read(iter, &globals::ITER_COUNT)
    }

    /// Emits the first `committed` bytes, from `walk.header.position` on. Returns
    /// whether all of them are in the ring buffer. What is not is marked as missing
    /// unless a program on the wire will see it.
    #[inline(always)]
    pub fn emit(&self, walk: &mut Walk, committed: u32) -> bool {
        let end = walk.header.position.wrapping_add(committed);
        if self.kind == OPAQUE {
            loss::count_unless_on_wire(LossCause::UnsupportedIterator);
            leave(walk, committed, MISSING_UNSUPPORTED);
            return false;
        }
        let memory = if self.kind == KERNEL_VECTOR {
            Memory::Kernel
        } else {
            Memory::User
        };
        walk.begin(if committed > MAX_BYTES {
            MAX_BYTES
        } else {
            committed
        });
        let mut why = MISSING_OVERSIZED;
        for _ in 0..MAX_STEPS {
            let left = walk.left.get();
            if left == 0 {
                break;
            }
            if walk.segment_left.get() == 0 {
                let index = walk.index.get();
                let Ok(next) = self.segment(index) else {
                    loss::count_unless_on_wire(LossCause::Unreadable);
                    why = MISSING_UNREADABLE;
                    break;
                };
                walk.index.set(index + 1);
                walk.base.set(next.base);
                walk.segment_left.set(next.len);
            }
            let mut len = walk.segment_left.get();
            if len == 0 {
                continue;
            }
            if len > left {
                len = left;
            }
            if len > MAX_CHUNK as u64 {
                len = MAX_CHUNK as u64;
            }
            // A chunk that found no room is a hole in the stream; the next one
            // still has its place.
            let outcome = chunk::emit(&mut walk.header, &memory, walk.base.get(), len as u32);
            if outcome != WHOLE {
                walk.failed.set(1);
                if outcome == NO_ROOM && walk.is_last_try() {
                    loss::count(LossCause::RingFull);
                }
            }
            walk.advance(len);
        }
        let missing = end.wrapping_sub(walk.header.position);
        if missing != 0 {
            leave(walk, missing, why);
            return false;
        }
        walk.failed.get() == 0
    }

    /// The `index`th segment, without what the iterator had already passed.
    #[inline(always)]
    pub fn segment(&self, index: u64) -> Result<Segment, i32> {
        let mut segment = if self.kind == USER_BUFFER {
            if index != 0 {
                return Err(BEYOND);
            }
            Segment {
                base: self.pointer,
                len: self.count + self.offset,
            }
        } else {
            if index >= self.segments {
                return Err(BEYOND);
            }
            kernel::read_at(self.pointer + index * size_of::<Segment>() as u64)?
        };
        if index == 0 {
            if self.offset > segment.len {
                return Err(BEYOND);
            }
            segment.base += self.offset;
            segment.len -= self.offset;
        }
        Ok(segment)
    }
}

/// Marks `len` bytes as missing, unless a program on the wire will see them.
#[inline(always)]
fn leave(walk: &mut Walk, len: u32, why: u32) {
    if globals::WIRE_HOOKED.load() == 0 {
        chunk::emit_missing(&mut walk.header, len, why);
    }
}

/// Whether `found` is the number of a type that this kernel has.
#[inline(always)]
fn is(found: u32, number: &Global<u32>) -> bool {
    number.load() != ABSENT && found == number.load()
}
