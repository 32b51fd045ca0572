//! Reading responses byte by byte, as far as to know their status and where they end.
//!
//! Bodies hold credentials: they are jumped over by their length, and of a head only the
//! three digits and the place of the `Server` field are kept. The state is that of one
//! stream and stands at a position of it, so a response may be cut into packets anywhere.

use core::hint::black_box;

use crate::{
    grammar::{
        BAD_LENGTH, BYTES, CHUNK, CLASS, DIGIT, ENDED, HAS_CODING, HAS_LENGTH, HEAD_END,
        IS_CHUNKED, OPAQUE, SERVER_BEGINS, SERVER_ENDS, SIZE_END, STATE, STATUS, STATUS_DIGIT,
        STATUS_DONE, STEPS, STOP, TRAILER, TRAILER_END, UNSYNCED, VALUE_SHIFT,
    },
    kernel::Forgotten,
};

/// Longest body or chunk that is jumped over, bytes: positions are compared modulo 2^32.
const MAX_LENGTH: u64 = (1 << 30) - 1;

/// What of a head is remembered.
const SEEN: u32 = STATUS_DONE | HAS_LENGTH | BAD_LENGTH | HAS_CODING | IS_CHUNKED | SERVER_ENDS;

/// What a response is read to. Lies in a map, for the verifier's sake: see
/// [`Forgotten`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Responses {
    /// Boot-time clock when the first byte of the response came.
    pub begun_ns: Forgotten<u64>,
    /// `Content-Length`, or the size of a chunk.
    length: Forgotten<u64>,
    /// Sequence number of the response's first byte.
    pub begun_at: Forgotten<u32>,
    /// What the server acknowledged with it.
    pub begun_acknowledged: Forgotten<u32>,
    /// As that, of the last response that had a status.
    pub answered: Forgotten<u32>,
    /// Whether there was one.
    pub has_answered: Forgotten<u32>,
    /// Sequence number of the next byte.
    pub next: Forgotten<u32>,
    /// State of the [grammar](crate::grammar).
    pub state: Forgotten<u32>,
    /// Responses may have been missed, and that was not told with one yet.
    pub resynced: Forgotten<u32>,
    /// What comes is not followed any more.
    pub lost: Forgotten<u32>,
    /// The status was told.
    pub told: Forgotten<u32>,
    /// The code, as far as it was read.
    pub status: Forgotten<u32>,
    /// What the head has (`HAS_LENGTH` and the others).
    seen: Forgotten<u32>,
    /// 10 or 16: of the digits of the length.
    base: Forgotten<u32>,
    /// State behind [`OPAQUE`].
    after: Forgotten<u32>,
    /// Sequence number of the first byte of the value of `Server`.
    server_at: Forgotten<u32>,
    /// Sequence number behind its last one.
    server_end: Forgotten<u32>,
    /// Padding, zero.
    reserved: Forgotten<u32>,
}

impl Responses {
    /// Whether bytes are read.
    #[inline(always)]
    pub fn reads(&self) -> bool {
        let state = self.state.get();
        state != UNSYNCED && state != ENDED
    }

    /// Whether responses may have passed unseen. Of a stream whose beginning was not
    /// seen, and that did not begin to be followed since, too.
    #[inline(always)]
    pub fn is_lost(&self) -> bool {
        self.lost.get() != 0 || self.state.get() == UNSYNCED
    }

    /// Sequence number up to which all is accounted for; the body that was announced only
    /// if there is one.
    #[inline(always)]
    pub fn accounted(&self, has_body: bool) -> u32 {
        let next = self.next.get();
        if has_body && self.state.get() == OPAQUE {
            next.wrapping_add(self.length.get() as u32)
        } else {
            next
        }
    }

    /// Whether there is a final status that was not told. Interim responses are followed
    /// by another, but for 101: there HTTP ends (RFC 9110 15.2).
    #[inline(always)]
    pub fn is_ready(&self) -> bool {
        let status = self.status.get();
        self.seen.get() & STATUS_DONE != 0
            && self.told.get() == 0
            && (status >= 200 || status == 101)
    }

    /// Sequence number and length of the value of `Server`, if it has been read.
    #[inline(always)]
    pub fn server(&self) -> Option<(u32, u32)> {
        let (at, end) = (self.server_at.get(), self.server_end.get());
        (self.seen.get() & SERVER_ENDS != 0).then_some((at, end.wrapping_sub(at)))
    }

    /// The next byte begins a response.
    #[inline(always)]
    pub fn begin(&mut self) {
        self.state.set(STATUS);
        self.status.set(0);
        self.told.set(0);
        self.seen.set(0);
        self.length.set(0);
        self.base.set(10);
        self.server_at.set(0);
        self.server_end.set(0);
    }

    /// Reads the next byte. Says whether to stop here: at the end of a head, before
    /// bytes that are jumped over, and where it is no response.
    ///
    /// Everything is computed whether it is needed or not: see [`crate::grammar`].
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> bool {
        let at = self.next.get();
        self.next.set(at.wrapping_add(1));
        let byte = u32::from(BYTES[usize::from(byte)]);
        let value = byte >> VALUE_SHIFT;
        let state = self.state.get() & STATE;
        // Bounded behind the black box: the verifier of 5.10 loses the bound of what was
        // put together by an or.
        let place = black_box(state * (CLASS + 1) + (byte & CLASS)) as usize;
        let step = STEPS[place & (STEPS.len() - 1)];
        self.state.set(step & STATE);

        let is = |action: u32| (step & action) >> action.trailing_zeros();
        let digit = is(STATUS_DIGIT);
        self.status
            .set(self.status.get() * (1 + 9 * digit) + value * digit);

        let digit = is(DIGIT);
        let base = 1 + self.base.get().wrapping_sub(1) * digit;
        let length = self.length.get();
        self.length
            .set(length * u64::from(base) + u64::from(value * digit));

        let seen = self.seen.get();
        // Two lengths are none. What the last of several codings is, counts.
        let twice = (seen & step & HAS_LENGTH) << 1;
        let seen = seen & !((step & HAS_CODING) << 1);
        self.seen.set(seen | twice | (step & SEEN));

        let begins = is(SERVER_BEGINS);
        let before = self.server_at.get();
        self.server_at
            .set(before.wrapping_add(at.wrapping_sub(before).wrapping_mul(begins)));
        let ends = is(SERVER_ENDS);
        let before = self.server_end.get();
        self.server_end
            .set(before.wrapping_add(at.wrapping_sub(before).wrapping_mul(ends)));

        step & STOP != 0
    }

    /// Where reading has stopped, what comes next is told by what was read (RFC 9112 6.3).
    #[inline(always)]
    pub fn go_on(&mut self) {
        let state = self.state.get();
        if state == HEAD_END {
            self.end_head();
        } else if state == TRAILER_END {
            self.begin();
        } else if state == SIZE_END {
            if self.length.get() > MAX_LENGTH {
                self.state.set(UNSYNCED);
            } else if self.length.get() == 0 {
                self.state.set(TRAILER);
            } else {
                // The line end behind the data belongs to it.
                self.length.set(self.length.get() + 2);
                self.after.set(CHUNK);
                self.state.set(OPAQUE);
            }
        }
    }

    #[inline(always)]
    fn end_head(&mut self) {
        let status = self.status.get();
        let seen = self.seen.get();
        if status < 200 || status == 204 || status == 304 {
            if status == 101 {
                self.state.set(ENDED);
            } else if status < 100 {
                self.state.set(UNSYNCED);
            } else {
                self.begin();
            }
        } else if seen & IS_CHUNKED != 0 {
            self.begin_chunk();
        } else if seen & BAD_LENGTH != 0 || self.length.get() > MAX_LENGTH {
            self.state.set(UNSYNCED);
        } else if seen & HAS_CODING != 0 || seen & HAS_LENGTH == 0 {
            self.state.set(ENDED);
        } else if self.length.get() == 0 {
            self.begin();
        } else {
            self.after.set(STATUS);
            self.state.set(OPAQUE);
        }
    }

    #[inline(always)]
    fn begin_chunk(&mut self) {
        self.state.set(CHUNK);
        self.length.set(0);
        self.base.set(16);
        self.seen.set(STATUS_DONE);
    }

    /// Whether the next byte is the first of a body of known length. To a HEAD request
    /// that body does not come, and nobody here knows the request.
    #[inline(always)]
    pub fn may_lack_body(&self) -> bool {
        self.state.get() == OPAQUE && self.after.get() == STATUS
    }

    /// Jumps over bytes of known length, which may not have come yet.
    #[inline(always)]
    pub fn jump(&mut self) {
        let length = self.length.get() as u32;
        self.next.set(self.next.get().wrapping_add(length));
        if self.after.get() == CHUNK {
            self.begin_chunk();
        } else {
            self.begin();
        }
    }
}
