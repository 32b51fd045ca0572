//! Names of users, from the passwd file: a static binary has no NSS.

use std::{collections::HashMap, fs, path::PathBuf, time::SystemTime};

use crate::redact;

/// Largest passwd file that is read, bytes.
const MAX_FILE: u64 = 4 << 20;

/// The users of one passwd file, read again when it changes.
pub(super) struct Users {
    path: PathBuf,
    modified: Option<SystemTime>,
    names: HashMap<u32, String>,
}

impl Users {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            modified: None,
            names: HashMap::new(),
        }
    }

    /// Name of a user, if the file has it.
    pub(super) fn name(&mut self, uid: u32) -> Option<String> {
        let metadata = fs::metadata(&self.path).ok();
        let modified = metadata
            .as_ref()
            .filter(|metadata| metadata.len() <= MAX_FILE)
            .and_then(|metadata| metadata.modified().ok());
        if modified != self.modified {
            self.modified = modified;
            let text = modified.and_then(|_| fs::read(&self.path).ok());
            self.names = parse(&text.unwrap_or_default());
        }
        self.names.get(&uid).cloned()
    }
}

/// `name:password:uid:…`; the first line with a uid names it, as in getpwuid(3).
fn parse(passwd: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in passwd.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if let Some(uid) = std::str::from_utf8(uid)
            .ok()
            .and_then(|uid| uid.parse().ok())
        {
            names.entry(uid).or_insert_with(|| redact::text(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_with_a_uid_names_it() {
        let names =
            parse(b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nnobody:x:65534");
        assert_eq!(names[&0], "root");
        assert_eq!(names[&65534], "nobody");
    }

    #[test]
    fn broken_lines_are_passed_over() {
        assert!(parse(b"\n:\nname:x\nname:x:minus\nname:x:-1:\n").is_empty());
    }

    #[test]
    fn changed_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        let mut users = Users::new(path.clone());
        assert_eq!(users.name(7), None);
        fs::write(&path, "seven:x:7:7::/:/bin/sh\n").unwrap();
        assert_eq!(users.name(7).as_deref(), Some("seven"));
    }
}
