//! Names of users, from the passwd file: a static binary has no NSS.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read as _},
    path::PathBuf,
    time::SystemTime,
};

use crate::redact;

/// Most of the passwd file that is read, bytes.
const MAX_FILE: u64 = 4 << 20;

/// Users that are remembered. A host has few that call IMDS.
const MAX_KNOWN: usize = 256;

/// The users of one passwd file. They are looked up in it one by one, as it may
/// have very many, and again when it changes.
pub(super) struct Users {
    path: PathBuf,
    modified: Option<SystemTime>,
    known: HashMap<u32, Option<String>>,
}

impl Users {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            modified: None,
            known: HashMap::new(),
        }
    }

    /// Name of a user, if the file has it.
    pub(super) fn name(&mut self, uid: u32) -> Option<String> {
        let modified = fs::metadata(&self.path)
            .and_then(|metadata| metadata.modified())
            .ok();
        if modified != self.modified || self.known.len() >= MAX_KNOWN {
            self.modified = modified;
            self.known.clear();
        }
        let path = &self.path;
        let name = self.known.entry(uid).or_insert_with(|| {
            let passwd = File::open(path).ok()?;
            find(BufReader::new(passwd.take(MAX_FILE)), uid)
        });
        name.clone()
    }
}

/// `name:password:uid:…`; the first line with a uid names it, as in getpwuid(3).
pub(super) fn find(passwd: impl BufRead, uid: u32) -> Option<String> {
    passwd.split(b'\n').map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        // `+` and `-` begin a reference to another directory (nsswitch.conf(5),
        // "compat"), `#` a comment.
        let is_user = !matches!(name.first(), None | Some(b'+' | b'-' | b'#'));
        (is_user && parse_uid(number) == Some(uid)).then(|| redact::text(name))
    })
}

fn parse_uid(digits: &[u8]) -> Option<u32> {
    // `parse` would take a sign.
    let is_number = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn first_line_with_a_uid_names_it() {
        let passwd: &[u8] = b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nno:x:65534";
        assert_eq!(find(passwd, 0).as_deref(), Some("root"));
        assert_eq!(find(passwd, 65_534).as_deref(), Some("no"));
        assert_eq!(find(passwd, 1), None);
    }

    #[test]
    fn lines_that_name_nobody_are_passed_over() {
        let lines: &[&[u8]] = &[
            b"",
            b":",
            b"name:x",
            b"name:x:",
            b"name:x:minus",
            b"name:x:-7:",
            b"name:x:+7:",
            b"name:x: 7:",
            b"name:x:4294967303:",
            b"name:x:7\xff:",
            b":x:7:",
            b"+:x:7:",
            b"-evil:x:7:",
            b"#name:x:7:",
        ];
        for line in lines {
            assert_eq!(find(*line, 7), None, "{}", line.escape_ascii());
        }
        let mut passwd = lines.join(&b'\n');
        passwd.extend_from_slice(b"\nseven:x:7:7::/:");
        assert_eq!(find(passwd.as_slice(), 7).as_deref(), Some("seven"));
    }

    #[test]
    fn hostile_name_is_escaped_and_bounded() {
        let name = find(&b"a\x1b[2J\r\xff:x:7:"[..], 7).unwrap();
        assert_eq!(name, "a\\x1b[2J\\r\\xff");
        let long = [vec![b'a'; 100_000], b":x:7:".to_vec()].concat();
        assert!(find(long.as_slice(), 7).unwrap().len() < 5_000);
    }

    #[test]
    fn changed_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        let mut users = Users::new(path.clone());
        assert_eq!(users.name(7), None);
        fs::write(&path, "seven:x:7:7::/:/bin/sh\n").unwrap();
        assert_eq!(users.name(7).as_deref(), Some("seven"));
        fs::write(&path, "sept:x:7:7::/:/bin/sh\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(users.name(7).as_deref(), Some("sept"));
        fs::remove_file(&path).unwrap();
        assert_eq!(users.name(7), None);
    }

    #[test]
    fn number_of_users_that_are_remembered_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let mut users = Users::new(directory.path().join("passwd"));
        for uid in 0..10 * MAX_KNOWN as u32 {
            assert_eq!(users.name(uid), None);
            assert!(users.known.len() <= MAX_KNOWN);
        }
    }
}
