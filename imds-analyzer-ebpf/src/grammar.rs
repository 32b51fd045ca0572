//! The heads of HTTP/1 responses and the sizes of chunks (RFC 9112) as a table: what the
//! next byte means in each state.
//!
//! A table, because it takes no branch: the verifier follows every way through a loop,
//! and a parser has many.

/// Where the stream stands is not known.
pub const UNSYNCED: u32 = 0;
/// Before a status line.
pub const STATUS: u32 = 1;
/// Characters of a status line before the reason: `HTTP/1.1 200`, and what follows.
const STATUS_LEN: u32 = 13;
/// In the reason.
const REASON: u32 = STATUS + STATUS_LEN;
/// Before a line.
const LINE: u32 = REASON + 1;
/// Behind a carriage return that a line begins with.
const LINE_CR: u32 = LINE + 1;
/// In a line that nothing is taken of.
const OTHER: u32 = LINE_CR + 1;
/// Behind the first letter of the names of the three fields, up to the colon.
const LENGTH_NAME: u32 = OTHER + 1;
const CODING_NAME: u32 = LENGTH_NAME + CONTENT_LENGTH.len() as u32;
const SERVER_NAME: u32 = CODING_NAME + TRANSFER_ENCODING.len() as u32;
/// In the value of `Content-Length`.
const LENGTH_VALUE: u32 = SERVER_NAME + SERVER.len() as u32;
/// Before a coding in the value of `Transfer-Encoding`, and behind so many letters of
/// `chunked`.
const CODING: u32 = LENGTH_VALUE + 1;
/// In another coding.
const OTHER_CODING: u32 = CODING + CHUNKED.len() as u32 + 1;
/// Before the value of `Server`.
const BEFORE_SERVER: u32 = OTHER_CODING + 1;
/// In it.
const IN_SERVER: u32 = BEFORE_SERVER + 1;
/// Before a line behind the last chunk.
pub const TRAILER: u32 = IN_SERVER + 1;
/// Behind a carriage return that it begins with.
const TRAILER_CR: u32 = TRAILER + 1;
/// In it.
const IN_TRAILER: u32 = TRAILER_CR + 1;
/// Before the size of a chunk.
pub const CHUNK: u32 = IN_TRAILER + 1;
/// In it.
const IN_SIZE: u32 = CHUNK + 1;
/// Behind it.
const BEHIND_SIZE: u32 = IN_SIZE + 1;
/// Behind the empty line of a head.
pub const HEAD_END: u32 = BEHIND_SIZE + 1;
/// Behind that of trailers.
pub const TRAILER_END: u32 = HEAD_END + 1;
/// Behind the line with the size of a chunk.
pub const SIZE_END: u32 = TRAILER_END + 1;
/// In bytes that are jumped over.
pub const OPAQUE: u32 = SIZE_END + 1;
/// In a body that ends with the connection.
pub const ENDED: u32 = OPAQUE + 1;

/// What every status line begins with.
pub const VERSION: &[u8; 7] = b"HTTP/1.";
const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
const SERVER: &[u8] = b"server";
const CHUNKED: &[u8] = b"chunked";

/// An entry of the table: the next state.
pub const STATE: u32 = 0x7f;
/// To stop behind this byte.
pub const STOP: u32 = 1 << 7;
/// A digit of the status.
pub const STATUS_DIGIT: u32 = 1 << 8;
/// The status is complete.
pub const STATUS_DONE: u32 = 1 << 9;
/// A digit of a length or size.
pub const DIGIT: u32 = 1 << 10;
/// There is a `Content-Length`.
pub const HAS_LENGTH: u32 = 1 << 11;
/// It is none, or there are two (which is this bit's place beside [`HAS_LENGTH`]).
pub const BAD_LENGTH: u32 = HAS_LENGTH << 1;
/// There is a `Transfer-Encoding`.
pub const HAS_CODING: u32 = 1 << 13;
/// Its last coding is `chunked` (beside [`HAS_CODING`], which begins anew).
pub const IS_CHUNKED: u32 = HAS_CODING << 1;
/// The first byte of the value of `Server`.
pub const SERVER_BEGINS: u32 = 1 << 15;
/// Behind the last one.
pub const SERVER_ENDS: u32 = 1 << 16;

/// Number of states that there is room for.
const STATES: usize = STATE as usize + 1;
/// Number of classes of bytes.
const CLASSES: usize = 32;
const _: () = assert!(ENDED < STATES as u32 && LETTERS.len() == CLASSES - 2);

/// A byte each for the classes of bytes that are told apart; the rest is the last class.
/// Letters stand for both cases, `0` for every digit but 1, a blank for a tab too.
const LETTERS: &[u8; CLASSES - 2] = b"abcdefghiklnoprstuv-/10.:;, \r\n";
const REST: usize = LETTERS.len();

/// [`classify`]: the class.
pub const CLASS: u32 = 0x1f;
/// [`classify`]: how far the value of a hexadecimal digit is shifted.
pub const VALUE_SHIFT: u32 = 8;

/// Class and value of each byte.
pub static BYTES: [u16; 256] = classify();

/// What comes next: by state and class.
pub static STEPS: [u32; STATES * CLASSES] = steps();

const fn classify() -> [u16; 256] {
    let mut classes = [REST as u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ (b'a'..=b'f' | b'A'..=b'F') => (letter | 0x20) - b'a' + 10,
            _ => 0,
        };
        classes[byte] = class(byte as u8) as u16 | (value as u16) << VALUE_SHIFT;
        byte += 1;
    }
    classes
}

const fn class(byte: u8) -> usize {
    let alike = match byte {
        b'2'..=b'9' => b'0',
        b'\t' => b' ',
        b'A'..=b'Z' => byte | 0x20,
        other => other,
    };
    let mut class = 0;
    while class < LETTERS.len() {
        if LETTERS[class] == alike {
            return class;
        }
        class += 1;
    }
    REST
}

const fn steps() -> [u32; STATES * CLASSES] {
    // What is not said below is no response.
    let mut table = Table([UNSYNCED | STOP; STATES * CLASSES]);

    let mut at = 0;
    while at < VERSION.len() {
        table.set(STATUS + at as u32, VERSION[at], STATUS + at as u32 + 1);
        at += 1;
    }
    table.set_digits(STATUS + 7, STATUS + 8, 10);
    table.set(STATUS + 8, b' ', STATUS + 9);
    while at < 10 {
        let state = STATUS + 2 + at as u32;
        table.set_digits(state, (state + 1) | STATUS_DIGIT, 10);
        at += 1;
    }
    table.set(STATUS + 12, b' ', REASON | STATUS_DONE);
    table.set(STATUS + 12, b'\r', REASON | STATUS_DONE);
    table.set(STATUS + 12, b'\n', LINE | STATUS_DONE);

    table.set_line(REASON, REASON, LINE);
    table.set_line(LINE, OTHER, HEAD_END | STOP);
    table.set(LINE, b'\r', LINE_CR);
    table.set_line(LINE_CR, OTHER, HEAD_END | STOP);
    table.set_line(OTHER, OTHER, LINE);
    table.set_name(CONTENT_LENGTH, LENGTH_NAME, LENGTH_VALUE | HAS_LENGTH);
    table.set_name(TRANSFER_ENCODING, CODING_NAME, CODING | HAS_CODING);
    table.set_name(SERVER, SERVER_NAME, BEFORE_SERVER);

    table.set_line(LENGTH_VALUE, LENGTH_VALUE | BAD_LENGTH, LINE);
    table.set_digits(LENGTH_VALUE, LENGTH_VALUE | DIGIT, 10);
    table.set_blanks(LENGTH_VALUE, LENGTH_VALUE);

    let mut at = 0;
    while at <= CHUNKED.len() {
        let state = CODING + at as u32;
        table.set_line(state, OTHER_CODING, LINE);
        table.set(state, b',', CODING);
        if at < CHUNKED.len() {
            table.set(state, CHUNKED[at], state + 1);
        } else {
            table.set_blanks(state, state);
            table.set(state, b'\n', LINE | IS_CHUNKED);
        }
        at += 1;
    }
    table.set_blanks(CODING, CODING);
    table.set_line(OTHER_CODING, OTHER_CODING, LINE);
    table.set(OTHER_CODING, b',', CODING);

    table.set_line(BEFORE_SERVER, IN_SERVER | SERVER_BEGINS, LINE);
    table.set_blanks(BEFORE_SERVER, BEFORE_SERVER);
    table.set_line(IN_SERVER, IN_SERVER, LINE | SERVER_ENDS);
    table.set(IN_SERVER, b'\r', OTHER | SERVER_ENDS);

    table.set_line(TRAILER, IN_TRAILER, TRAILER_END | STOP);
    table.set(TRAILER, b'\r', TRAILER_CR);
    table.set_line(TRAILER_CR, IN_TRAILER, TRAILER_END | STOP);
    table.set_line(IN_TRAILER, IN_TRAILER, TRAILER);

    table.set_digits(CHUNK, IN_SIZE | DIGIT, 16);
    table.set_digits(IN_SIZE, IN_SIZE | DIGIT, 16);
    table.set(IN_SIZE, b';', BEHIND_SIZE);
    table.set_blanks(IN_SIZE, BEHIND_SIZE);
    table.set(IN_SIZE, b'\n', SIZE_END | STOP);
    table.set_line(BEHIND_SIZE, BEHIND_SIZE, SIZE_END | STOP);
    table.0
}

/// The table in the making. What is set later counts.
struct Table([u32; STATES * CLASSES]);

impl Table {
    const fn set(&mut self, state: u32, byte: u8, step: u32) {
        self.0[state as usize * CLASSES + class(byte)] = step;
    }

    /// A state that goes on with `step` to the end of the line, and with `end` there.
    const fn set_line(&mut self, state: u32, step: u32, end: u32) {
        let mut class = 0;
        while class < CLASSES {
            self.0[state as usize * CLASSES + class] = step;
            class += 1;
        }
        self.set(state, b'\n', end);
    }

    const fn set_digits(&mut self, state: u32, step: u32, base: u32) {
        self.set(state, b'0', step);
        self.set(state, b'1', step);
        let mut letter = b'a';
        while base == 16 && letter <= b'f' {
            self.set(state, letter, step);
            letter += 1;
        }
    }

    /// White space around a value; a carriage return is a part of the line's end.
    const fn set_blanks(&mut self, state: u32, step: u32) {
        self.set(state, b' ', step);
        self.set(state, b'\r', step);
    }

    /// The name of a field, of which the states from `first` on are behind its letters.
    const fn set_name(&mut self, name: &[u8], first: u32, value: u32) {
        self.set(LINE, name[0], first);
        let mut at = 1;
        while at <= name.len() {
            let state = first + at as u32 - 1;
            self.set_line(state, OTHER, LINE);
            if at < name.len() {
                self.set(state, name[at], state + 1);
            } else {
                self.set(state, b':', value);
            }
            at += 1;
        }
    }
}
