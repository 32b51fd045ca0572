//! The mock's access log: the ground truth that records are held against.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::head::Head;

/// The header of a request that carries a session token.
pub const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
/// The header by which a test names a request whose target has to stay plain.
pub const CASE_HEADER: &str = "x-case";

/// Which test's request it is: `case=NAME&n=NUMBER` in its target, or a header
/// `X-Case: NAME/NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// Name of the test.
    pub case: String,
    /// Number of the request within it.
    pub number: u64,
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number of the entry, from 0.
    pub seq: usize,
    /// Number of the connection it came on, from 0.
    pub connection: u64,
    /// The client's end.
    pub peer: SocketAddr,
    /// The address that was connected to.
    pub local: IpAddr,
    /// As sent.
    pub method: String,
    /// As sent.
    pub target: Vec<u8>,
    /// It had a token header, possibly empty.
    pub had_token: bool,
    /// Its token header was empty.
    pub empty_token: bool,
    /// Bytes of its head.
    pub head_bytes: usize,
    /// Which test sent it.
    pub id: Option<RequestId>,
    /// Status code of the final response; absent as long as none is begun.
    pub status: Option<u16>,
}

/// Everything that arrived, in the order in which it was parsed.
#[derive(Debug, Default)]
pub struct AccessLog {
    entries: Mutex<Vec<Entry>>,
    grown: Condvar,
}

impl Entry {
    /// An entry for a head; the log numbers it.
    pub(super) fn new(
        head: &Head,
        head_bytes: usize,
        connection: u64,
        peer: SocketAddr,
        local: IpAddr,
    ) -> Self {
        let token = head.field(TOKEN_HEADER);
        Self {
            seq: 0,
            connection,
            peer,
            local,
            method: head.method.clone(),
            target: head.target.clone(),
            had_token: token.is_some(),
            empty_token: token.is_some_and(<[u8]>::is_empty),
            head_bytes,
            id: id_in_target(&head.target)
                .or_else(|| head.field(CASE_HEADER).and_then(id_in_field)),
            status: None,
        }
    }
}

impl FromIterator<Entry> for AccessLog {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let log = Self::default();
        for entry in entries {
            log.push(entry);
        }
        log
    }
}

impl AccessLog {
    /// Adds an entry and numbers it.
    pub(super) fn push(&self, mut entry: Entry) -> usize {
        let mut entries = self.lock();
        let seq = entries.len();
        entry.seq = seq;
        entries.push(entry);
        self.grown.notify_all();
        seq
    }

    /// Notes how entry number `seq` is answered, before its client can know.
    pub(super) fn answer(&self, seq: usize, status: u16) {
        if let Some(entry) = self.lock().get_mut(seq) {
            entry.status = Some(status);
        }
    }

    /// Status code of the response to entry number `seq`, so far.
    pub fn status(&self, seq: usize) -> Option<u16> {
        self.lock().get(seq).and_then(|entry| entry.status)
    }

    /// Number of entries so far.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing has arrived yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries of one test.
    pub fn of_case(&self, case: &str) -> Vec<Entry> {
        self.lock()
            .iter()
            .filter(|entry| entry.id.as_ref().is_some_and(|id| id.case == case))
            .cloned()
            .collect()
    }

    /// All entries from number `first` on.
    pub fn since(&self, first: usize) -> Vec<Entry> {
        self.lock().iter().skip(first).cloned().collect()
    }

    /// Waits until a test has `count` entries; false if `patience` ended first.
    pub fn wait_for(&self, case: &str, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut entries = self.lock();
        loop {
            let found = entries
                .iter()
                .filter(|entry| entry.id.as_ref().is_some_and(|id| id.case == case))
                .count();
            if found >= count {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            entries = self
                .grown
                .wait_timeout(entries, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds `case=NAME&n=NUMBER`.
pub fn id_in_target(target: &[u8]) -> Option<RequestId> {
    let text = String::from_utf8_lossy(target);
    let (_, after) = text.split_once("case=")?;
    let (case, after) = after.split_once("&n=")?;
    Some(RequestId {
        case: case.to_owned(),
        number: leading_number(after)?,
    })
}

fn id_in_field(value: &[u8]) -> Option<RequestId> {
    let (case, number) = std::str::from_utf8(value).ok()?.split_once('/')?;
    Some(RequestId {
        case: case.to_owned(),
        number: leading_number(number)?,
    })
}

fn leading_number(text: &str) -> Option<u64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_targets() {
        let id = id_in_target(b"http://h/latest/?case=some_case&n=17&x=\xff").expect("has one");
        assert_eq!(id.case, "some_case");
        assert_eq!(id.number, 17);
        assert_eq!(id_in_target(b"/latest/meta-data/"), None);
        assert_eq!(id_in_target(b"/?case=a&n="), None);
    }
}
