//! Untrusted bytes made visible, unambiguously and within a bound.
//!
//! A backslash is doubled, so every escape can be told from the same characters
//! sent as such, and a record can be turned back into the bytes.

use std::fmt::Write;

/// A text under construction that does not grow beyond a bound.
pub(super) struct Bounded {
    text: String,
    max: usize,
    /// Bytes of the input that the text stands for.
    consumed: usize,
    full: bool,
}

impl Bounded {
    pub(super) fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            max,
            consumed: 0,
            full: false,
        }
    }

    /// Appends bytes, escaped. False if not all of them found room.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let mut escaped = String::new();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                escaped.clear();
                push_char(&mut escaped, character);
                if !self.push_whole(&escaped, character.len_utf8()) {
                    return false;
                }
            }
            for byte in chunk.invalid() {
                escaped.clear();
                push_byte(&mut escaped, *byte);
                if !self.push_whole(&escaped, 1) {
                    return false;
                }
            }
        }
        true
    }

    /// Appends text that stands for some bytes of input, or nothing of it.
    pub(super) fn push_whole(&mut self, text: &str, stands_for: usize) -> bool {
        if self.full || self.text.len() + text.len() > self.max {
            self.full = true;
            return false;
        }
        self.text.push_str(text);
        self.consumed += stands_for;
        true
    }

    /// The next bytes of input belong to what was appended last.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.consumed += bytes;
    }

    /// The text, with a mark if it does not stand for `len` bytes.
    pub(super) fn finish(mut self, len: usize) -> String {
        if self.consumed < len {
            self.text.push_str(&truncation(len - self.consumed));
        }
        self.text
    }
}

/// The mark of a cut.
pub(super) fn truncation(bytes: usize) -> String {
    format!("…[truncated {bytes} bytes]")
}

fn push_char(text: &mut String, character: char) {
    match character {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => push_byte(text, character as u8),
        _ if is_deceptive(character) => {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{{{:x}}}", u32::from(character));
        }
        _ => text.push(character),
    }
}

fn push_byte(text: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\\x{byte:02x}");
}

/// Characters that steer a terminal, break a line or reorder or hide text:
/// C1 controls, line and paragraph separators, bidirectional and other invisible
/// formatting (Unicode Standard Annex 9, Technical Report 36), tags, and
/// characters outside Unicode's assigned planes for text.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}
