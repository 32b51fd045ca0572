//! Lines out of files, compressed ones included, with a buffer that does not grow.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// Size of the buffer that lines are found in, bytes.
const BUFFER: usize = 256 << 10;

/// Longest line that is read, bytes. The longest record is far shorter: its strings are
/// bounded before it is written.
const MAX_LINE: usize = 4 << 20;

/// A line, or what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A line, without its line feed.
    Line(&'a [u8]),
    /// The rest of a file that does not end with a line feed.
    Unended(&'a [u8]),
    /// A line longer than [`MAX_LINE`].
    TooLong,
}

/// Calls `take` with every line of `input`, which may be compressed with gzip, in one
/// or several members.
///
/// # Errors
/// What reading fails with, and [`io::ErrorKind::Unsupported`] for another compression.
/// The lines before that were taken.
pub fn each_line(input: impl Read, take: impl FnMut(Found<'_>)) -> io::Result<()> {
    let mut input = input;
    let mut magic = [0; 4];
    let read = fill(&mut input, &mut magic)?;
    let start = &magic[..read];
    let input = start.chain(input);
    match start {
        [0x1f, 0x8b, ..] => split(MultiGzDecoder::new(input), take),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(unsupported("zstd")),
        [0xfd, b'7', b'z', b'X'] => Err(unsupported("xz")),
        [b'B', b'Z', b'h', _] => Err(unsupported("bzip2")),
        _ => split(input, take),
    }
}

fn unsupported(compression: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("compressed with {compression}: decompress it and pipe it in"),
    )
}

/// Reads until `buffer` is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn split(mut input: impl Read, mut take: impl FnMut(Found<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    // What the buffer holds, and how much of that is known to have no line feed.
    let (mut end, mut searched) = (0, 0);
    let mut skipping = false;
    loop {
        if end == buffer.len() {
            if buffer.len() < MAX_LINE {
                buffer.resize(buffer.len() * 2, 0);
            } else {
                if !skipping {
                    take(Found::TooLong);
                }
                skipping = true;
                (end, searched) = (0, 0);
            }
        }
        let read = match input.read(&mut buffer[end..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            if end > 0 && !skipping {
                take(Found::Unended(&buffer[..end]));
            }
            return Ok(());
        }
        end += read;
        let mut start = 0;
        while let Some(at) = memchr::memchr(b'\n', &buffer[searched..end]) {
            let feed = searched + at;
            if !std::mem::take(&mut skipping) {
                take(Found::Line(&buffer[start..feed]));
            }
            start = feed + 1;
            searched = start;
        }
        buffer.copy_within(start..end, 0);
        end -= start;
        searched = end;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn lines(input: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        each_line(input, |line| {
            found.push(match line {
                Found::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                Found::Unended(line) => format!("unended {}", String::from_utf8_lossy(line)),
                Found::TooLong => "too long".to_owned(),
            });
        })
        .unwrap();
        found
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_are_found_whatever_the_end_of_the_file() {
        assert_eq!(lines(b""), Vec::<String>::new());
        assert_eq!(lines(b"a\nb\n"), ["a", "b"]);
        assert_eq!(lines(b"a\n\nb"), ["a", "", "unended b"]);
        assert_eq!(lines(b"x"), ["unended x"]);
    }

    #[test]
    fn lines_cross_the_ends_of_buffers() {
        let long = "y".repeat(BUFFER - 3);
        let text = format!("{long}\nab\n{long}{long}\nc\n");
        assert_eq!(
            lines(text.as_bytes()),
            [
                long.clone(),
                "ab".to_owned(),
                format!("{long}{long}"),
                "c".to_owned()
            ]
        );
    }

    #[test]
    fn line_without_end_is_skipped_and_told_once() {
        let mut text = b"a\n".to_vec();
        text.resize(3 * MAX_LINE, b'z');
        text.extend(b"\nb\n");
        assert_eq!(lines(&text), ["a", "too long", "b"]);
    }

    #[test]
    fn compressed_members_are_read_one_after_the_other() {
        let mut input = gzip(b"a\nb");
        input.extend(gzip(b"c\nd\n"));
        assert_eq!(lines(&input), ["a", "bc", "d"]);
    }

    #[test]
    fn what_a_cut_file_holds_is_read_before_the_error() {
        let text: String = (0..20_000).map(|n| format!("{}\n", n * 7919)).collect();
        let whole = gzip(text.as_bytes());
        let mut found = 0;
        let error = each_line(&whole[..whole.len() / 2], |_| found += 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(found > 1_000, "{found}");
    }

    #[test]
    fn other_compressions_are_named() {
        for (magic, name) in [
            (&b"\x28\xb5\x2f\xfdxx"[..], "zstd"),
            (b"\xfd7zXZ\0", "xz"),
            (b"BZh91AY", "bzip2"),
        ] {
            let error = each_line(magic, |_| {}).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
