//! HTTP/1.x request heads (RFC 9112): where one ends, what it says, and how
//! long the body is that follows it.
//!
//! Knows nothing of IMDS and nothing of TCP. Bytes in, borrowed slices out.
//!
//! The grammar is [`httparse`]'s, which is stricter than many servers. What it
//! refuses is refused here too, because a head that two servers would read
//! differently must not be counted as a request without a token:
//!
//! | shape | here | why |
//! |---|---|---|
//! | bare LF as a line end | accepted | RFC 9112 section 2.2 allows it, lenient servers do |
//! | several spaces in the request line | accepted | one reading only |
//! | target with bytes above 0x7F, UTF-8 or not | accepted | servers pass them on |
//! | header value with bytes above 0x7F | accepted | `obs-text`, RFC 9110 section 5.5 |
//! | space before the colon of a header | refused | section 5.1: servers must reject it, proxies used to strip it |
//! | folded header line (`obs-fold`) | refused | section 5.2: reject or join; some read a new header |
//! | control byte or NUL in target, name or value; bare CR | refused | cut, kept or rejected, depending on the server |
//! | header line without a colon, or with an empty name | refused | dropped or rejected, depending on the server |
//! | HTTP/0.9, HTTP/2 preface, other versions | refused | another protocol |

mod framing;

pub use framing::Framing;

use memchr::{memchr, memchr_iter};

/// The longest method that is taken for one. The longest registered with IANA,
/// `UPDATEREDIRECTREF`, has 17 bytes.
const MAX_METHOD: usize = 32;

/// Why bytes that end in an empty line are not a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The first line is not `METHOD target HTTP/1.0` or `HTTP/1.1`.
    #[error("no HTTP/1.x request line")]
    RequestLine,
    /// A header line is not `name: value`.
    #[error("a malformed header line")]
    HeaderLine,
    /// The bytes do not end where the head ends.
    #[error("bytes before or after the head")]
    Extent,
}

/// A request head, borrowed from the bytes it was parsed from.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// Method, as sent (methods are case-sensitive).
    pub method: &'a str,
    /// Request target, as sent: any of the four forms of RFC 9112 section 3.2,
    /// without spaces and control bytes, not necessarily UTF-8.
    pub target: &'a [u8],
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    headers: Vec<httparse::Header<'a>>,
}

impl<'a> RequestHead<'a> {
    /// Parses a head that begins with its request line and ends with its empty
    /// line, as [`head_end`] cuts it. Any number of headers.
    ///
    /// # Errors
    /// [`HeadError`] if the bytes are anything but exactly one head.
    pub fn parse(head: &'a [u8]) -> Result<Self, HeadError> {
        if matches!(head.first(), None | Some(b'\r' | b'\n')) {
            return Err(HeadError::Extent);
        }
        // A head of n lines has at most n - 2 headers, so this never overflows
        // and `TooManyHeaders` cannot hide a token header.
        let lines = memchr_iter(b'\n', head).count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = httparse::ParserConfig::default()
            .allow_multiple_spaces_in_request_line_delimiters(true)
            .parse_request(&mut request, head);
        match parsed {
            Ok(httparse::Status::Complete(end)) if end == head.len() => {
                let count = request.headers.len();
                let (Some(method), Some(target), Some(minor_version)) =
                    (request.method, request.path, request.version)
                else {
                    return Err(HeadError::RequestLine);
                };
                headers.truncate(count);
                Ok(Self {
                    method,
                    target: target.as_bytes(),
                    minor_version,
                    headers,
                })
            }
            Ok(_) => Err(HeadError::Extent),
            Err(httparse::Error::Token) => Self::parse_with_opaque_target(head),
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
                Err(HeadError::HeaderLine)
            }
            Err(httparse::Error::NewLine) if RequestLine::parse(head).is_some() => {
                Err(HeadError::HeaderLine)
            }
            Err(_) => Err(HeadError::RequestLine),
        }
    }

    /// The same for a target that is not UTF-8, which httparse refuses.
    fn parse_with_opaque_target(head: &'a [u8]) -> Result<Self, HeadError> {
        let line = RequestLine::parse(head).ok_or(HeadError::RequestLine)?;
        let fields = &head[line.len..];
        let lines = memchr_iter(b'\n', fields).count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        match httparse::parse_headers(fields, &mut headers) {
            Ok(httparse::Status::Complete((end, parsed))) if end == fields.len() => {
                let count = parsed.len();
                headers.truncate(count);
                Ok(Self {
                    method: line.method,
                    target: line.target,
                    minor_version: line.minor_version,
                    headers,
                })
            }
            Ok(_) => Err(HeadError::Extent),
            Err(_) => Err(HeadError::HeaderLine),
        }
    }

    /// What can be told from a head that was cut off or is malformed further
    /// on: its request line, which must be whole, and the header lines before
    /// the first that is not whole or not well-formed. For display; a
    /// classification must not rest on it.
    pub fn parse_prefix(prefix: &'a [u8]) -> Option<Self> {
        let line = RequestLine::parse(prefix)?;
        let mut headers = Vec::new();
        let mut rest = &prefix[line.len..];
        while let Some(newline) = memchr(b'\n', rest) {
            let field = rest[..newline]
                .strip_suffix(b"\r")
                .unwrap_or(&rest[..newline]);
            rest = &rest[newline + 1..];
            let Some(header) = header_line(field) else {
                break;
            };
            headers.push(header);
        }
        Some(Self {
            method: line.method,
            target: line.target,
            minor_version: line.minor_version,
            headers,
        })
    }

    /// The headers in the order sent: name as sent, value without the white
    /// space around it. A name can occur more than once.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers
            .iter()
            .map(|header| (header.name, header.value))
    }

    /// Values of the headers with this name, whatever its case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// How the end of the request's body is found.
    pub fn framing(&self) -> Framing {
        Framing::of(self)
    }
}

/// A whole request line.
#[derive(Debug)]
struct RequestLine<'a> {
    method: &'a str,
    target: &'a [u8],
    minor_version: u8,
    /// Bytes up to and including the line end.
    len: usize,
}

impl<'a> RequestLine<'a> {
    /// Parses the first line of `bytes`; `None` if it has no end or is not a
    /// request line.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let newline = memchr(b'\n', bytes)?;
        let line = bytes[..newline]
            .strip_suffix(b"\r")
            .unwrap_or(&bytes[..newline]);
        let mut parts = line
            .split(|&byte| byte == b' ')
            .filter(|part| !part.is_empty());
        let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
        let minor_version = match version {
            b"HTTP/1.0" => 0,
            b"HTTP/1.1" => 1,
            _ => return None,
        };
        let whole = parts.next().is_none()
            && line.first() != Some(&b' ')
            && line.last() != Some(&b' ')
            && method.iter().all(|&byte| is_token_byte(byte))
            && target.iter().all(|&byte| byte > b' ' && byte != 0x7F);
        whole.then_some(Self {
            method: str::from_utf8(method).ok()?,
            target,
            minor_version,
            len: newline + 1,
        })
    }
}

/// End of the first head in `bytes`: the offset behind its empty line. The
/// search begins at `from`, which must not be past the beginning of the last
/// line that was looked at before; bytes that begin with an empty line are the
/// caller's to skip.
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr_iter(b'\n', &bytes[from..]).find_map(|newline| {
        let line = from + newline + 1;
        match (bytes.get(line), bytes.get(line + 1)) {
            (Some(b'\n'), _) => Some(line + 1),
            (Some(b'\r'), Some(b'\n')) => Some(line + 2),
            _ => None,
        }
    })
}

/// Length of the empty lines that `bytes` begin with. A server ignores them
/// before a request line (RFC 9112 section 2.2).
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

/// Whether `bytes` begin with a whole, well-formed request line.
pub fn begins_with_request_line(bytes: &[u8]) -> bool {
    RequestLine::parse(bytes).is_some()
}

/// Whether a request line can still come of these bytes, judged by the method.
/// Looks at 33 bytes at most.
pub fn may_begin_request(bytes: &[u8]) -> bool {
    let method = bytes
        .iter()
        .take_while(|&&byte| is_token_byte(byte))
        .take(MAX_METHOD + 1)
        .count();
    if method > MAX_METHOD {
        return false;
    }
    match bytes.get(method) {
        None => true,
        Some(b' ') => method > 0,
        Some(_) => false,
    }
}

/// A header line without its line end.
fn header_line(line: &[u8]) -> Option<httparse::Header<'_>> {
    let colon = memchr(b':', line)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let well_formed = !name.is_empty()
        && name.iter().all(|&byte| is_token_byte(byte))
        && value
            .iter()
            .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F));
    well_formed.then_some(httparse::Header {
        name: str::from_utf8(name).ok()?,
        value,
    })
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
