//! How the run before this one ended, as the end of its log tells.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::record::PreviousEnd;

/// How much of the end is read, bytes: more than any `analyzer_stopped` has.
const TAIL: u64 = 64 << 10;

/// What stands before the name of a record's event (`docs/record-schema.md`).
#[derive(serde::Deserialize)]
struct Event {
    event: String,
}

/// `None` for a file that is empty or not a log of JSON lines.
///
/// # Errors
/// It can't be read.
pub(super) fn of_log(file: &File) -> io::Result<Option<PreviousEnd>> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(size - start).unwrap_or(0)];
    file.read_exact_at(&mut tail, start)?;
    Ok(of_tail(&tail, start == 0))
}

fn of_tail(tail: &[u8], is_whole: bool) -> Option<PreviousEnd> {
    let Some(lines) = tail.strip_suffix(b"\n") else {
        // What a text format leaves is torn as well, but nobody looks for records there.
        let last = last_line(tail).or(is_whole.then_some(tail))?;
        return last.starts_with(b"{").then_some(PreviousEnd::Torn);
    };
    match last_line(lines).or(is_whole.then_some(lines)) {
        Some(last) => {
            let event: Event = serde_json::from_slice(last).ok()?;
            Some(match event.event.as_str() {
                "analyzer_stopped" => PreviousEnd::Stopped,
                _ => PreviousEnd::Abrupt,
            })
        }
        // Longer than any record that ends a log.
        None => Some(PreviousEnd::Abrupt),
    }
}

fn last_line(text: &[u8]) -> Option<&[u8]> {
    let newline = memchr::memrchr(b'\n', text)?;
    Some(&text[newline + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = "{\"timestamp\":\"t\",\"event\":\"analyzer_started\",\"seq\":1}\n";
    const STOPPED: &str = "{\"timestamp\":\"t\",\"event\":\"analyzer_stopped\",\"seq\":2}\n";

    fn end(text: &str) -> Option<PreviousEnd> {
        of_tail(text.as_bytes(), true)
    }

    #[test]
    fn run_that_stopped_in_order_says_so_last() {
        assert_eq!(
            end(&format!("{STARTED}{STOPPED}")),
            Some(PreviousEnd::Stopped)
        );
        assert_eq!(end(STOPPED), Some(PreviousEnd::Stopped));
    }

    #[test]
    fn run_that_was_killed_ends_with_something_else() {
        assert_eq!(end(STARTED), Some(PreviousEnd::Abrupt));
        assert_eq!(
            end(&format!("{STOPPED}{STARTED}")),
            Some(PreviousEnd::Abrupt)
        );
    }

    #[test]
    fn half_a_line_is_told_apart() {
        assert_eq!(end(&format!("{STARTED}{{\"time")), Some(PreviousEnd::Torn));
        assert_eq!(end("{\"time"), Some(PreviousEnd::Torn));
        // Also if it is all of a record but its newline.
        assert_eq!(end(STOPPED.trim_end()), Some(PreviousEnd::Torn));
    }

    #[test]
    fn line_longer_than_the_tail_is_no_orderly_end() {
        assert_eq!(of_tail(b"xxx\"}\n", false), Some(PreviousEnd::Abrupt));
    }

    #[test]
    fn what_is_no_log_of_ours_says_nothing() {
        for text in ["", "\n", "hello\n", "hello", "[1]\n", "{\"a\":1}\n"] {
            assert_eq!(end(text), None, "{text:?}");
        }
    }
}
