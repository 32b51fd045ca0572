//! Names of the files that a log was rotated into, and which of them go first.
//!
//! `NAME.20261122T045301Z`, or `NAME.20261122T045301Z-2` if that was taken, and with
//! `.gz` behind it once it is compressed. Only such names are ours to compress and
//! remove; what another program makes of the log (`NAME.1`, `NAME-20261122.gz`) is not.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use jiff::Timestamp;

/// Length of `20261122T045301Z`.
const STAMP: usize = 16;

/// A file that a log was rotated into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Archived {
    /// When, as its name has it: text that sorts by time.
    stamp: String,
    /// Number among those of the same second.
    number: u32,
    /// Whether it is compressed.
    pub(super) compressed: bool,
    /// Its name.
    pub(super) name: OsString,
    /// Its size, bytes.
    pub(super) size: u64,
}

impl Archived {
    /// The file of that name, if it is one of `log`'s.
    pub(super) fn parse(log: &OsStr, name: &OsStr, size: u64) -> Option<Self> {
        let rest = name.as_bytes().strip_prefix(log.as_bytes())?;
        let rest = std::str::from_utf8(rest.strip_prefix(b".")?).ok()?;
        let (rest, compressed) = match rest.strip_suffix(".gz") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (stamp, number) = match rest.split_once('-') {
            Some((stamp, number)) if !number.starts_with(['+', '0']) => {
                (stamp, number.parse().ok()?)
            }
            Some(_) => return None,
            None => (rest, 0),
        };
        let shape = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        };
        let sound = stamp.len() == STAMP && stamp.bytes().enumerate().all(shape);
        sound.then(|| Self {
            stamp: stamp.to_owned(),
            number,
            compressed,
            name: name.to_owned(),
            size,
        })
    }

    /// The name without its number, and the number after it.
    pub(super) fn next(&self, log: &OsStr) -> (OsString, u32) {
        (
            with_suffix(log, &format!(".{}", self.stamp)),
            self.number + 1,
        )
    }

    /// What it is called once it is compressed.
    pub(super) fn compressed_name(&self) -> OsString {
        with_suffix(&self.name, ".gz")
    }
}

/// The name of a file of `log` that is rotated at `now`.
pub(super) fn stamped(log: &OsStr, now: Timestamp) -> OsString {
    with_suffix(log, &format!(".{}", now.strftime("%Y%m%dT%H%M%SZ")))
}

/// What it is called if it is the `number`th of its second.
pub(super) fn numbered(stamped: &OsStr, number: u32) -> OsString {
    match number {
        0 => stamped.to_owned(),
        number => with_suffix(stamped, &format!("-{number}")),
    }
}

/// Where the next log file is made, and what is compressed: hidden, because no reader
/// may take it for a part of the log.
pub(super) fn hidden(name: &OsStr, suffix: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(suffix);
    hidden
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

/// What has to go, oldest first, so that the rest takes at most `room` bytes.
pub(super) fn surplus(mut archived: Vec<Archived>, room: u64) -> Vec<Archived> {
    archived.sort();
    let mut total: u64 = archived.iter().map(|file| file.size).sum();
    archived
        .into_iter()
        .take_while(|file| {
            let too_much = total > room;
            total -= file.size;
            too_much
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Option<Archived> {
        Archived::parse(OsStr::new("a.log"), OsStr::new(name), 10)
    }

    #[test]
    fn own_names_are_known() {
        for (name, number, compressed) in [
            ("a.log.20261122T045301Z", 0, false),
            ("a.log.20261122T045301Z-1", 1, false),
            ("a.log.20261122T045301Z-12.gz", 12, true),
        ] {
            let archived = parse(name).expect(name);
            assert_eq!((archived.number, archived.compressed), (number, compressed));
        }
    }

    #[test]
    fn files_of_others_are_nobody_s_to_remove() {
        for name in [
            "a.log",
            "a.log.1",
            "a.log.2.gz",
            "a.log-20261122.gz",
            "a.log.20261122T045301Z.bak",
            "a.log.20261122T045301Z-",
            "a.log.20261122T045301Z-x",
            "a.log.20261122T045301Z-01",
            "a.log.20261122T045301",
            "a.log.2026112204530100",
            "b.log.20261122T045301Z",
            ".a.log.20261122T045301Z.gz.part",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_one_second_differ_and_are_known() {
        let now = "2026-11-22T04:53:01.9Z".parse().unwrap();
        let stamped = stamped(OsStr::new("a.log"), now);
        let names: Vec<OsString> = (0..3).map(|number| numbered(&stamped, number)).collect();
        assert_eq!(
            names,
            [
                "a.log.20261122T045301Z",
                "a.log.20261122T045301Z-1",
                "a.log.20261122T045301Z-2"
            ]
        );
        for name in names {
            assert!(Archived::parse(OsStr::new("a.log"), &name, 0).is_some());
        }
        let third = parse("a.log.20261122T045301Z-2").unwrap();
        assert_eq!(third.next(OsStr::new("a.log")), (stamped, 3));
    }

    #[test]
    fn oldest_go_first_by_time_and_then_by_number() {
        let files: Vec<Archived> = [
            "a.log.20261122T045301Z-10.gz",
            "a.log.20261122T045301Z-9.gz",
            "a.log.20261123T000000Z",
            "a.log.20261122T045301Z.gz",
        ]
        .into_iter()
        .filter_map(parse)
        .collect();
        let gone = |room| -> Vec<OsString> {
            let surplus = surplus(files.clone(), room);
            surplus.into_iter().map(|file| file.name).collect()
        };
        assert_eq!(gone(40), Vec::<OsString>::new());
        assert_eq!(gone(39), ["a.log.20261122T045301Z.gz"]);
        assert_eq!(
            gone(10),
            [
                "a.log.20261122T045301Z.gz",
                "a.log.20261122T045301Z-9.gz",
                "a.log.20261122T045301Z-10.gz"
            ]
        );
        assert_eq!(gone(0).len(), 4);
    }
}
