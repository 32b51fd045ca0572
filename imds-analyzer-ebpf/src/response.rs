//! Reading responses byte by byte, as far as to know their status and where they end
//! (RFC 9112).
//!
//! Bodies hold credentials: they are jumped over by their length, and of a head only the
//! three digits and the `Server` field are kept. The state is that of one stream and
//! stands at a position of it, so a response may be cut into packets anywhere.

use imds_analyzer_common::record::MAX_SERVER;

use crate::kernel::Forgotten;

/// Where the stream stands is not known.
pub const UNSYNCED: u32 = 0;
/// In a status line, up to what follows the code.
pub const STATUS: u32 = 1;
/// In what follows the code.
const REASON: u32 = 2;
/// In the name of a field, or before it.
const NAME: u32 = 3;
/// In the value of a field.
const VALUE: u32 = 4;
/// Behind the empty line.
pub const HEAD_END: u32 = 5;
/// In bytes that are jumped over.
pub const OPAQUE: u32 = 6;
/// In the line with the size of a chunk.
const CHUNK: u32 = 7;
/// In a body that ends with the connection.
pub const ENDED: u32 = 8;

/// What every status line begins with, the first character in the lowest byte.
const VERSION: u64 = u64::from_le_bytes(*b"HTTP/1.\0");
/// Its length.
pub const VERSION_LEN: u32 = 7;

/// Longest body that is jumped over, bytes: positions are compared modulo 2^32.
const MAX_BODY: u32 = 1 << 30;
/// Largest number that takes another digit.
const MAX_LENGTH_BEFORE_DIGIT: u32 = (MAX_BODY - 9) / 10;
const MAX_CHUNK_BEFORE_DIGIT: u32 = (MAX_BODY - 15) / 16;

/// A field that nothing is taken of.
const OTHER: u32 = 0;
/// `Content-Length`.
const LENGTH: u32 = 1;
/// `Transfer-Encoding`.
const CODING: u32 = 2;
/// `Server`.
const SERVER: u32 = 3;

/// The hash of nothing.
const NOTHING: u32 = 0x811c_9dc5;

/// What a response is read to. Lies in a map, for the verifier's sake: see
/// [`Forgotten`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Responses {
    /// Boot-time clock when the first byte of the response came.
    pub begun_ns: Forgotten<u64>,
    /// Sequence number of that byte.
    pub begun_at: Forgotten<u32>,
    /// What the server acknowledged with it.
    pub begun_acknowledged: Forgotten<u32>,
    /// As that, of the last response that had a status.
    pub answered: Forgotten<u32>,
    /// Whether there was one.
    pub has_answered: Forgotten<u32>,
    /// Sequence number of the next byte.
    pub next: Forgotten<u32>,
    /// `STATUS` and the others.
    pub phase: Forgotten<u32>,
    /// Responses may have been missed, and that was not told with one yet.
    pub resynced: Forgotten<u32>,
    /// What comes is not followed any more.
    pub lost: Forgotten<u32>,
    /// The status is known and was not told yet.
    pub ready: Forgotten<u32>,
    /// The code, as far as it was read.
    pub status: Forgotten<u32>,
    /// Characters of the status line that were read.
    pub at: Forgotten<u32>,
    /// Hash of the field's name, or of the last word of its value.
    hash: Forgotten<u32>,
    /// Which field (`OTHER` and the others).
    field: Forgotten<u32>,
    /// `Content-Length`, or the size of a chunk.
    length: Forgotten<u32>,
    /// Digits of it; of chunks the extension is none.
    digits: Forgotten<u32>,
    /// A length that is none, or too large.
    is_bad: Forgotten<u32>,
    /// There was a `Content-Length`.
    has_length: Forgotten<u32>,
    /// There was a `Transfer-Encoding`.
    has_coding: Forgotten<u32>,
    /// Whose last word was `chunked`.
    is_chunked: Forgotten<u32>,
    /// The lines are those behind the last chunk.
    in_trailer: Forgotten<u32>,
    /// Phase after [`OPAQUE`].
    after: Forgotten<u32>,
    /// Bytes of `server`.
    pub server_len: Forgotten<u32>,
    /// Padding, zero.
    reserved: [Forgotten<u32>; 2],
    /// Value of the `Server` field.
    pub server: [u8; MAX_SERVER],
}

const _: () = assert!(
    core::mem::offset_of!(Responses, server).is_multiple_of(8)
        && size_of::<Responses>() == core::mem::offset_of!(Responses, server) + MAX_SERVER,
    "no padding, and copied in words"
);

impl Responses {
    /// Whether bytes of this phase are read one by one.
    #[inline(always)]
    pub fn reads(&self) -> bool {
        let phase = self.phase.get();
        phase != UNSYNCED && phase != ENDED
    }

    /// Whether responses may have passed unseen. Of a stream whose beginning was not
    /// seen, and that did not begin to be followed since, too.
    #[inline(always)]
    pub fn is_lost(&self) -> bool {
        self.lost.get() != 0 || self.phase.get() == UNSYNCED
    }

    /// The next byte begins a response.
    #[inline(always)]
    pub fn begin(&mut self) {
        self.phase.set(STATUS);
        self.at.set(0);
        self.status.set(0);
        self.ready.set(0);
        self.length.set(0);
        self.is_bad.set(0);
        self.has_length.set(0);
        self.has_coding.set(0);
        self.is_chunked.set(0);
        self.in_trailer.set(0);
        self.server_len.set(0);
    }

    /// Reads the next byte. Says whether to stop here: at the end of a head, before
    /// bytes that are jumped over, and where it is no response.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> bool {
        let byte = u32::from(byte);
        self.next.set(self.next.get().wrapping_add(1));
        match self.phase.get() {
            STATUS => self.status_line(byte),
            REASON => {
                if byte == u32::from(b'\n') {
                    self.begin_line();
                }
                false
            }
            NAME => self.name(byte),
            VALUE => self.value(byte),
            CHUNK => self.chunk_size(byte),
            _ => true,
        }
    }

    #[inline(always)]
    fn status_line(&mut self, byte: u32) -> bool {
        let at = self.at.get();
        self.at.set(at.wrapping_add(1));
        let is_right = if at < VERSION_LEN {
            u64::from(byte) == (VERSION >> (at * 8)) & 0xff
        } else if at == VERSION_LEN {
            is_digit(byte)
        } else if at == VERSION_LEN + 1 {
            byte == u32::from(b' ')
        } else if at < VERSION_LEN + 5 {
            let code = self.status.get() * 10 + byte.wrapping_sub(u32::from(b'0'));
            self.status.set(code);
            is_digit(byte)
        } else {
            let code = self.status.get();
            // Interim responses are followed by another, but for 101: there HTTP ends
            // (RFC 9110 15.2).
            self.ready.set((code >= 200 || code == 101) as u32);
            self.phase.set(REASON);
            if byte == u32::from(b'\n') {
                self.begin_line();
            }
            code >= 100
                && (byte == u32::from(b' ') || byte == u32::from(b'\r') || byte == u32::from(b'\n'))
        };
        if !is_right {
            self.phase.set(UNSYNCED);
        }
        !is_right
    }

    #[inline(always)]
    fn begin_line(&mut self) {
        self.phase.set(NAME);
        self.hash.set(NOTHING);
    }

    #[inline(always)]
    fn name(&mut self, byte: u32) -> bool {
        let hash = self.hash.get();
        if byte == u32::from(b'\n') {
            if hash == NOTHING {
                self.phase.set(HEAD_END);
                return true;
            }
            // No field: passed over.
            self.begin_line();
        } else if byte == u32::from(b':') {
            self.begin_value(hash);
        } else if byte != u32::from(b'\r') {
            self.hash.set(hash_on(hash, byte));
        }
        false
    }

    #[inline(always)]
    fn begin_value(&mut self, name: u32) {
        self.phase.set(VALUE);
        self.hash.set(NOTHING);
        let field = if name == hash_of(b"content-length") {
            // Two of them: nobody knows which one is meant (RFC 9112 6.3).
            self.is_bad.set(self.is_bad.get() | self.has_length.get());
            self.has_length.set(1);
            LENGTH
        } else if name == hash_of(b"transfer-encoding") {
            self.has_coding.set(1);
            CODING
        } else if name == hash_of(b"server") && self.in_trailer.get() == 0 {
            self.server_len.set(0);
            SERVER
        } else {
            OTHER
        };
        self.field.set(field);
    }

    #[inline(always)]
    fn value(&mut self, byte: u32) -> bool {
        if byte == u32::from(b'\n') {
            if self.field.get() == CODING {
                self.is_chunked
                    .set((self.hash.get() == hash_of(b"chunked")) as u32);
            }
            self.begin_line();
            return false;
        }
        let is_blank = byte == u32::from(b' ') || byte == u32::from(b'\t');
        let field = self.field.get();
        if byte == u32::from(b'\r') || field == OTHER {
            return false;
        }
        if field == LENGTH {
            if !is_blank {
                self.digit(byte.wrapping_sub(u32::from(b'0')), 10);
            }
        } else if field == CODING {
            if byte == u32::from(b',') {
                self.hash.set(NOTHING);
            } else if !is_blank {
                self.hash.set(hash_on(self.hash.get(), byte));
            }
        } else {
            let len = self.server_len.get();
            if len < MAX_SERVER as u32 && (len != 0 || !is_blank) {
                let place = (len & (MAX_SERVER as u32 - 1)) as usize;
                // SAFETY: the place is within the array, whose length is a power of two.
                unsafe {
                    (&raw mut self.server)
                        .cast::<u8>()
                        .add(place)
                        .write_volatile(byte as u8);
                }
                self.server_len.set(len + 1);
            }
        }
        false
    }

    /// Takes a digit of a length.
    #[inline(always)]
    fn digit(&mut self, digit: u32, base: u32) {
        let length = self.length.get();
        let most = if base == 10 {
            MAX_LENGTH_BEFORE_DIGIT
        } else {
            MAX_CHUNK_BEFORE_DIGIT
        };
        if digit >= base || length > most {
            self.is_bad.set(1);
        } else {
            self.length.set(length * base + digit);
        }
    }

    #[inline(always)]
    fn chunk_size(&mut self, byte: u32) -> bool {
        if byte == u32::from(b'\n') {
            if self.is_bad.get() != 0 || self.digits.get() == 0 {
                self.phase.set(UNSYNCED);
                return true;
            }
            if self.length.get() == 0 {
                self.in_trailer.set(1);
                self.begin_line();
                return false;
            }
            // The line end behind the data belongs to it.
            self.length.set(self.length.get() + 2);
            self.after.set(CHUNK);
            self.phase.set(OPAQUE);
            return true;
        }
        if byte == u32::from(b';') {
            self.digits.set(self.digits.get() | EXTENSION);
        } else if byte != u32::from(b'\r') && self.digits.get() & EXTENSION == 0 {
            self.digits.set(1);
            let lower = byte | 0x20;
            let digit = if is_digit(byte) {
                byte - u32::from(b'0')
            } else {
                // Not a to f: 16 or more.
                lower.wrapping_sub(u32::from(b'a')).wrapping_add(10)
            };
            self.digit(digit, 16);
        }
        false
    }

    /// Behind a head: what comes next is told by it (RFC 9112 6.3).
    #[inline(always)]
    pub fn end_head(&mut self) {
        let status = self.status.get();
        if self.in_trailer.get() != 0 {
            return self.begin();
        }
        if status == 101 {
            return self.phase.set(ENDED);
        }
        if status < 200 || status == 204 || status == 304 {
            return self.begin();
        }
        if self.has_coding.get() != 0 {
            if self.is_chunked.get() != 0 {
                self.begin_chunk();
            } else {
                self.phase.set(ENDED);
            }
        } else if self.is_bad.get() != 0 {
            self.phase.set(UNSYNCED);
        } else if self.has_length.get() == 0 {
            self.phase.set(ENDED);
        } else if self.length.get() == 0 {
            self.begin();
        } else {
            self.after.set(STATUS);
            self.phase.set(OPAQUE);
        }
    }

    #[inline(always)]
    fn begin_chunk(&mut self) {
        self.phase.set(CHUNK);
        self.length.set(0);
        self.digits.set(0);
        self.is_bad.set(0);
    }

    /// Whether the next byte is the first of a body of known length. To a HEAD request
    /// that body does not come, and nobody here knows the request.
    #[inline(always)]
    pub fn may_lack_body(&self) -> bool {
        self.phase.get() == OPAQUE && self.after.get() == STATUS
    }

    /// Jumps over bytes of known length, which may not have come yet.
    #[inline(always)]
    pub fn jump(&mut self) {
        self.next
            .set(self.next.get().wrapping_add(self.length.get()));
        if self.after.get() == CHUNK {
            self.begin_chunk();
        } else {
            self.begin();
        }
    }
}

/// [`Responses::digits`]: an extension has begun.
const EXTENSION: u32 = 2;

#[inline(always)]
fn is_digit(byte: u32) -> bool {
    byte.wrapping_sub(u32::from(b'0')) < 10
}

/// FNV-1a, of letters in any case. What hashes alike is taken for the same name: a
/// server that wants to be misread can as well answer something else.
#[inline(always)]
const fn hash_on(hash: u32, byte: u32) -> u32 {
    (hash ^ (byte | 0x20)).wrapping_mul(0x0100_0193)
}

const fn hash_of(name: &[u8]) -> u32 {
    let mut hash = NOTHING;
    let mut at = 0;
    while at < name.len() {
        hash = hash_on(hash, name[at] as u32);
        at += 1;
    }
    hash
}
