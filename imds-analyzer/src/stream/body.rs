//! Passing over a request's body without keeping it.

use crate::http::Framing;

/// The chunked coding is broken: the end of the body is not certain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidChunks;

/// What is left of a body. Line ends of the chunked coding must be CRLF and
/// nothing else: that is where recipients disagree (request smuggling), and no
/// client sends anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Bytes that are left, more than zero.
    Length(u64),
    /// In the line with a chunk's size (RFC 9112 section 7.1).
    ChunkSize { size: u64, line: SizeLine },
    /// Bytes left of a chunk's data, more than zero.
    ChunkData(u64),
    /// Behind a chunk's data: LF is wanted if the CR was seen.
    ChunkEnd { cr: bool },
    /// In the trailers, which end with an empty line.
    Trailer { empty: bool, cr: bool },
}

/// How far a chunk's size line has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeLine {
    /// No digit yet.
    Start,
    /// In the digits.
    Digits,
    /// In white space behind the digits.
    Space,
    /// In a chunk extension.
    Extension,
    /// Behind the CR.
    Cr,
}

impl Body {
    /// The body that follows a head; `None` if there is none or its end cannot
    /// be told.
    pub(super) fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::None | Framing::Ambiguous => None,
            Framing::Length(length) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::FIRST_CHUNK),
        }
    }

    const FIRST_CHUNK: Self = Self::ChunkSize {
        size: 0,
        line: SizeLine::Start,
    };

    /// How many of the next bytes belong to the body whatever they are. Passing
    /// them by needs no capture of them.
    pub(super) fn opaque(self) -> u64 {
        match self {
            Self::Length(left) | Self::ChunkData(left) => left,
            _ => 0,
        }
    }

    /// Passes over `count` bytes, at most [`Self::opaque`]. `None` at the end of
    /// the body.
    pub(super) fn pass(self, count: u64) -> Option<Self> {
        match self {
            Self::Length(left) => (left > count).then(|| Self::Length(left - count)),
            Self::ChunkData(left) if left > count => Some(Self::ChunkData(left - count)),
            Self::ChunkData(_) => Some(Self::ChunkEnd { cr: false }),
            other => Some(other),
        }
    }

    /// Reads on in `bytes`. Gives how many of them belong to the body, and the
    /// rest of the body, `None` at its end.
    pub(super) fn read(self, bytes: &[u8]) -> Result<(usize, Option<Self>), InvalidChunks> {
        let mut body = self;
        let mut at = 0;
        while at < bytes.len() {
            let opaque = body.opaque().min((bytes.len() - at) as u64);
            let next = if opaque > 0 {
                at += opaque as usize;
                body.pass(opaque)
            } else {
                at += 1;
                body.step(bytes[at - 1])?
            };
            match next {
                Some(rest) => body = rest,
                None => return Ok((at, None)),
            }
        }
        Ok((at, Some(body)))
    }

    /// Reads one byte of the chunked coding's own lines.
    fn step(self, byte: u8) -> Result<Option<Self>, InvalidChunks> {
        let next = match self {
            Self::ChunkSize { size, line } => return Self::size_line(size, line, byte).map(Some),
            Self::ChunkEnd { cr: false } if byte == b'\r' => Self::ChunkEnd { cr: true },
            Self::ChunkEnd { cr: true } if byte == b'\n' => Self::FIRST_CHUNK,
            Self::Trailer { empty, cr: true } if byte == b'\n' => {
                if empty {
                    return Ok(None);
                }
                Self::Trailer {
                    empty: true,
                    cr: false,
                }
            }
            Self::Trailer { empty, cr: false } => match byte {
                b'\r' => Self::Trailer { empty, cr: true },
                b'\n' => return Err(InvalidChunks),
                _ => Self::Trailer {
                    empty: false,
                    cr: false,
                },
            },
            _ => return Err(InvalidChunks),
        };
        Ok(Some(next))
    }

    fn size_line(size: u64, line: SizeLine, byte: u8) -> Result<Self, InvalidChunks> {
        let in_digits = matches!(line, SizeLine::Start | SizeLine::Digits);
        let (size, line) = match (byte, line) {
            (b'\n', SizeLine::Cr) if size > 0 => return Ok(Self::ChunkData(size)),
            (b'\n', SizeLine::Cr) => {
                return Ok(Self::Trailer {
                    empty: true,
                    cr: false,
                });
            }
            (_, SizeLine::Cr) | (b'\n', _) | (b'\r' | b' ' | b'\t' | b';', SizeLine::Start) => {
                return Err(InvalidChunks);
            }
            (b'\r', _) => (size, SizeLine::Cr),
            (_, SizeLine::Extension) | (b';', _) => (size, SizeLine::Extension),
            (b' ' | b'\t', _) => (size, SizeLine::Space),
            _ if in_digits => {
                let digit = char::from(byte).to_digit(16).ok_or(InvalidChunks)?;
                let size = size.checked_mul(16).ok_or(InvalidChunks)? + u64::from(digit);
                (size, SizeLine::Digits)
            }
            _ => return Err(InvalidChunks),
        };
        Ok(Self::ChunkSize { size, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length of a chunked body at the beginning of `bytes`, in every splitting.
    fn chunked(bytes: &[u8]) -> Result<Option<usize>, InvalidChunks> {
        let whole = read_in_parts(bytes, bytes.len().max(1));
        for part in 1..bytes.len() {
            assert_eq!(read_in_parts(bytes, part), whole, "in parts of {part}");
        }
        whole
    }

    fn read_in_parts(bytes: &[u8], part: usize) -> Result<Option<usize>, InvalidChunks> {
        let mut body = Body::new(Framing::Chunked).expect("a body");
        let mut total = 0;
        for part in bytes.chunks(part) {
            let (read, rest) = body.read(part)?;
            total += read;
            match rest {
                Some(rest) => body = rest,
                None => return Ok(Some(total)),
            }
        }
        Ok(None)
    }

    #[test]
    fn length_is_passed_in_any_parts() {
        let body = Body::new(Framing::Length(5)).unwrap();
        assert_eq!(body.read(b"abc"), Ok((3, Some(Body::Length(2)))));
        assert_eq!(body.read(b"abcdeGET"), Ok((5, None)));
        assert_eq!(body.pass(5), None);
    }

    #[test]
    fn chunks_end_with_an_empty_chunk_and_an_empty_line() {
        assert_eq!(chunked(b"0\r\n\r\nGET"), Ok(Some(5)));
        assert_eq!(chunked(b"3\r\nabc\r\n0\r\n\r\nGET"), Ok(Some(13)));
        assert_eq!(
            chunked(b"00A \t;x=\"y\"\r\n0123456789\r\n000\r\n\r\n"),
            Ok(Some(32))
        );
    }

    #[test]
    fn trailers_belong_to_the_body() {
        assert_eq!(chunked(b"0\r\nA: b\r\nC: d\r\n\r\nGET"), Ok(Some(17)));
    }

    #[test]
    fn unfinished_chunks_go_on() {
        for bytes in [
            &b"3"[..],
            b"3\r",
            b"3\r\nab",
            b"3\r\nabc",
            b"3\r\nabc\r\n",
            b"0\r\n",
            b"0\r\nA: b\r\n",
        ] {
            assert_eq!(chunked(bytes), Ok(None), "{bytes:?}");
        }
    }

    #[test]
    fn chunks_that_recipients_read_differently_are_invalid() {
        for bytes in [
            &b"\r\n"[..],
            b";x\r\n",
            b" 3\r\n",
            b"3\n",
            b"3;x\n",
            b"3 4\r\n",
            b"3\r\r\n",
            b"0x3\r\n",
            b"+3\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"0\r\nA: b\n",
            b"0\r\n\n",
            b"0\r\nA\rB\r\n\r\n",
            b"11111111111111111\r\n",
        ] {
            assert_eq!(chunked(bytes), Err(InvalidChunks), "{bytes:?}");
        }
    }
}
