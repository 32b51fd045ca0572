//! The mock's own reading of HTTP/1 heads and bodies (RFC 9112).
//!
//! Deliberately not httparse, which the analyzer uses. More lenient than a real
//! server, because it is the ground truth: whatever a sender meant as a request
//! has to be in the access log.

/// Longest head that is waited for. Far above what the analyzer keeps, so that
/// the log also knows the requests which the analyzer must give up on.
pub const HEAD_LIMIT: usize = 4 << 20;

/// A request's line and header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// As sent.
    pub method: String,
    /// As sent, any bytes but space and line feed.
    pub target: Vec<u8>,
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// Names as sent, values without the white space around them.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the bytes received so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Could become a head.
    Incomplete,
    /// A head of that many bytes, its blank line included.
    Head(Head, usize),
    /// Will never be one.
    Garbage,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After that many bytes.
    Length(u64),
    /// With the chunk of size 0.
    Chunked,
}

/// Reads a head from the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Progress {
    // RFC 9112 2.2: empty lines before the request line are ignored.
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(bytes.len());
    if bytes.get(start).is_some_and(|byte| !is_token_byte(*byte)) {
        return Progress::Garbage;
    }
    let Some(end) = end_of_head(bytes, start) else {
        if bytes.len() > HEAD_LIMIT {
            return Progress::Garbage;
        }
        // A first line that is no request line won't become one.
        return match bytes[start..].iter().position(|byte| *byte == b'\n') {
            Some(line) if request_line(trim_cr(&bytes[start..start + line])).is_none() => {
                Progress::Garbage
            }
            _ => Progress::Incomplete,
        };
    };
    let mut lines = bytes[start..end].split(|byte| *byte == b'\n').map(trim_cr);
    let Some((method, target, minor_version)) = lines.next().and_then(request_line) else {
        return Progress::Garbage;
    };
    let fields = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((
                line[..colon].to_vec(),
                line[colon + 1..].trim_ascii().to_vec(),
            ))
        })
        .collect();
    Progress::Head(
        Head {
            method,
            target,
            minor_version,
            fields,
        },
        end,
    )
}

impl Head {
    /// The value of the first field of that name, which is compared without case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }

    /// How the body ends; chunked wins over a length (RFC 9112 6.3).
    pub fn framing(&self) -> Framing {
        if self
            .field("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().ends_with(b"chunked"))
        {
            return Framing::Chunked;
        }
        self.field("content-length")
            .and_then(|length| std::str::from_utf8(length).ok()?.parse().ok())
            .map_or(Framing::None, |length| match length {
                0 => Framing::None,
                length => Framing::Length(length),
            })
    }

    /// Whether the client waits to be asked for its body (RFC 9110 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.framing() != Framing::None
            && self
                .field("expect")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// Whether the connection stays open afterwards (RFC 9112 9.3).
    pub fn keeps_alive(&self) -> bool {
        match self.field("connection").map(<[u8]>::to_ascii_lowercase) {
            Some(option) if option == b"close" => false,
            Some(option) if option == b"keep-alive" => true,
            _ => self.minor_version == 1,
        }
    }
}

/// The size in a chunk's first line, whose extensions are ignored.
pub fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn end_of_head(bytes: &[u8], start: usize) -> Option<usize> {
    let mut position = start;
    loop {
        position += bytes[position..].iter().position(|byte| *byte == b'\n')? + 1;
        match bytes[position..] {
            [b'\n', ..] => return Some(position + 1),
            [b'\r', b'\n', ..] => return Some(position + 2),
            _ => {}
        }
    }
}

fn request_line(line: &[u8]) -> Option<(String, Vec<u8>, u8)> {
    let method_end = line.iter().position(|byte| *byte == b' ')?;
    let version_start = line.iter().rposition(|byte| *byte == b' ')?;
    let (method, version) = (&line[..method_end], &line[version_start + 1..]);
    let target = line.get(method_end + 1..version_start)?;
    if method.is_empty() || target.is_empty() || !method.iter().copied().all(is_token_byte) {
        return None;
    }
    let minor_version = match version {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        _ => return None,
    };
    Some((
        String::from_utf8(method.to_vec()).ok()?,
        target.to_vec(),
        minor_version,
    ))
}

/// A byte of a token (RFC 9110 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> (Head, usize) {
        match parse(bytes) {
            Progress::Head(head, length) => (head, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn request_line_and_fields_are_read_as_sent() {
        let (head, length) = head(b"GET /Latest?a=B HTTP/1.1\r\nHost: h\r\nX-Odd:v \r\n\r\nrest");
        assert_eq!(head.method, "GET");
        assert_eq!(head.target, b"/Latest?a=B");
        assert_eq!(head.field("x-odd"), Some(b"v".as_slice()));
        assert_eq!(length, 47);
    }

    #[test]
    fn every_prefix_of_a_head_is_incomplete() {
        let whole = b"\r\nPUT / HTTP/1.0\nA: b\n\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Progress::Incomplete, "{end}");
        }
        assert_eq!(head(whole).1, whole.len());
    }

    #[test]
    fn field_name_in_target_or_value_is_no_field() {
        let (head, _) = head(
            b"GET /?x-aws-ec2-metadata-token:1 HTTP/1.1\r\nA: X-aws-ec2-metadata-token: 1\r\n\r\n",
        );
        assert_eq!(head.field("x-aws-ec2-metadata-token"), None);
    }

    #[test]
    fn empty_field_is_a_field() {
        let (head, _) = head(b"GET / HTTP/1.1\r\nX-aws-ec2-metadata-token:\r\n\r\n");
        assert_eq!(head.field("x-aws-ec2-metadata-token"), Some(b"".as_slice()));
    }

    #[test]
    fn garbage_is_told_from_a_slow_head() {
        assert_eq!(parse(b"\x16\x03\x01\x02\x00"), Progress::Garbage);
        assert_eq!(parse(b"hello there\n"), Progress::Garbage);
        assert_eq!(parse(b"hello there"), Progress::Incomplete);
    }

    #[test]
    fn framing_follows_the_fields() {
        for (field, framing) in [
            ("A: b", Framing::None),
            ("content-LENGTH: 12", Framing::Length(12)),
            ("Content-Length: 0", Framing::None),
            ("Transfer-Encoding: gzip, Chunked", Framing::Chunked),
        ] {
            let (head, _) = head(format!("PUT / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes());
            assert_eq!(head.framing(), framing, "{field}");
        }
        assert_eq!(chunk_size(b"1aF;name=value"), Some(0x1af));
        assert_eq!(chunk_size(b"x"), None);
    }
}
