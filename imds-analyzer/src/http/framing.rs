//! Where a request's body ends (RFC 9112 section 6).

use super::RequestHead;

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body: the next request follows the head.
    None,
    /// This many bytes, more than zero.
    Length(u64),
    /// Chunks, each with its length, then trailers.
    Chunked,
    /// Two recipients could disagree: both lengths given, contradicting or
    /// invalid lengths, a coding that is not chunked last. These are the shapes
    /// of request smuggling (RFC 9112 section 11.2), so what follows the head
    /// cannot be told to be a body or a request.
    Ambiguous,
}

impl Framing {
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        let mut codings = head.values("transfer-encoding").peekable();
        let mut lengths = head.values("content-length").peekable();
        if codings.peek().is_some() {
            // Section 6.1: a transfer coding in HTTP/1.0 is faulty framing.
            let certain = lengths.peek().is_none()
                && head.minor_version == 1
                && chunked_once_and_last(codings);
            return if certain {
                Self::Chunked
            } else {
                Self::Ambiguous
            };
        }
        if lengths.peek().is_none() {
            return Self::None;
        }
        match content_length(lengths) {
            Some(0) => Self::None,
            Some(length) => Self::Length(length),
            None => Self::Ambiguous,
        }
    }
}

/// The one length that all values agree on. A list of equal numbers is one
/// number (section 6.3): recipients either read it so or close the connection.
fn content_length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut agreed = None;
    for item in values.flat_map(|value| value.split(|&byte| byte == b',')) {
        let digits = item.trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
        if agreed.is_some_and(|other| other != length) {
            return None;
        }
        agreed = Some(length);
    }
    agreed
}

fn chunked_once_and_last<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut chunked_seen = false;
    for coding in values.flat_map(|value| value.split(|&byte| byte == b',')) {
        if chunked_seen {
            return false;
        }
        let coding = coding.trim_ascii();
        if coding.is_empty() {
            return false;
        }
        chunked_seen = coding.eq_ignore_ascii_case(b"chunked");
    }
    chunked_seen
}
