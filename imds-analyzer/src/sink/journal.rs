//! Entries of systemd's journal, in its native protocol: one datagram of `FIELD=value`
//! lines for each (systemd.io, "Native Journal Protocol").
//!
//! No value has a newline in it and none is long, so the protocol's form for binary
//! values and its way for large entries are not needed. `docs/logs.md` lists the fields.

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::escape::push_plain;
use super::text;
use crate::record::{Event, ImdsVersion, Process, Record, Request};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long one attempt waits for a journald that is busy.
const WITHIN: Duration = Duration::from_secs(1);

/// Longest value of a field but `MESSAGE`, bytes.
const MAX_VALUE: usize = 4 << 10;

/// Longest `MESSAGE`, bytes; with all fields an entry fits any socket buffer.
const MAX_MESSAGE: usize = 48 << 10;

/// Priorities of syslog(3).
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
const INFO: u8 = 6;

/// Sends entries.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// # Errors
    /// No journal listens.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(WITHIN))?;
        // Looked for now, so that a host without one says so at the start.
        std::fs::metadata(path)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Sends one entry. Addressed anew each time, so a journald that was restarted gets
    /// it as well.
    ///
    /// # Errors
    /// Nobody listens, or takes nothing now. The entry has to be given again then.
    pub(super) fn send(&mut self, entry: &[u8]) -> io::Result<()> {
        self.socket.send_to(entry, &self.path).map(|_| ())
    }
}

/// The entry of a record.
pub(super) fn entry(record: &Record<'_>) -> String {
    let mut entry = Entry(String::with_capacity(1 << 10));
    entry.bounded("MESSAGE", &text::line(record, false), MAX_MESSAGE);
    entry.number("PRIORITY", priority(record.event).into());
    entry.text("SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
    entry.text("IMDS_EVENT", record.event.name());
    entry.number("IMDS_SEQ", record.seq);
    entry.number("IMDS_BOOTTIME_US", record.boottime_us);
    match record.event {
        Event::ImdsRequest(request) => entry.request(request),
        Event::CaptureLoss(loss) => {
            entry.text("IMDS_LOSS_CAUSE", &loss.cause);
            entry.number("IMDS_LOSS_COUNT", loss.count);
        }
        Event::AnalyzerStarted(_) | Event::AnalyzerStopped(_) | Event::Heartbeat(_) => {}
    }
    entry.0
}

fn priority(event: &Event) -> u8 {
    match event {
        Event::ImdsRequest(request) => match request.imds.version {
            ImdsVersion::V1 => WARNING,
            ImdsVersion::Unknown => NOTICE,
            ImdsVersion::V2 | ImdsVersion::NotApplicable => INFO,
        },
        Event::CaptureLoss(_) => ERROR,
        Event::AnalyzerStarted(_) | Event::AnalyzerStopped(_) | Event::Heartbeat(_) => INFO,
    }
}

/// An entry that is being made.
struct Entry(String);

impl Entry {
    fn request(&mut self, request: &Request) {
        let imds = &request.imds;
        let version = match imds.version {
            ImdsVersion::V1 => "v1",
            ImdsVersion::V2 => "v2",
            ImdsVersion::Unknown => "unknown",
            ImdsVersion::NotApplicable => "not_applicable",
        };
        self.text("IMDS_VERSION", version);
        self.text("IMDS_SERVICE", imds.service.as_str());
        self.maybe("IMDS_REASON", imds.reason.as_deref());
        if let Some(credentials) = imds.credentials {
            self.number("IMDS_CREDENTIALS", u64::from(credentials));
        }
        self.maybe("IMDS_METHOD", request.http.method.as_deref());
        self.maybe("IMDS_PATH", request.http.path.as_deref());
        self.maybe("IMDS_LINEAGE", request.lineage.as_deref());
        if let Some(client) = &request.http.client {
            self.text("IMDS_CLIENT", &client.name);
        }
        if let Some(process) = &request.process {
            self.process(process);
        }
    }

    fn process(&mut self, process: &Process) {
        self.text("IMDS_PROCESS", &process.name);
        self.number("IMDS_PID", process.pid.into());
        self.number("IMDS_UID", process.user.id.into());
        self.maybe("IMDS_USER", process.user.name.as_deref());
        self.maybe("IMDS_EXECUTABLE", process.executable.as_deref());
        self.maybe("IMDS_UNIT", process.systemd_unit.as_deref());
        if let Some(container) = &process.container {
            self.text("IMDS_CONTAINER", &container.id);
            self.maybe("IMDS_CONTAINER_NAME", container.name.as_deref());
        }
    }

    fn maybe(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(field, value);
        }
    }

    fn text(&mut self, field: &str, value: &str) {
        self.bounded(field, value, MAX_VALUE);
    }

    fn number(&mut self, field: &str, value: u64) {
        let _ = writeln!(self.0, "{field}={value}");
    }

    /// A value without any character that could end it, cut at `most` bytes.
    fn bounded(&mut self, field: &str, value: &str, most: usize) {
        let _ = write!(self.0, "{field}=");
        let start = self.0.len();
        push_plain(&mut self.0, value);
        if self.0.len() - start > most {
            let cut = self.0.floor_char_boundary(start + most);
            self.0.truncate(cut);
            self.0.push('…');
        }
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{bare, full, origin, record, request};

    /// What journald makes of a datagram (`server_process_native_message`), of the form
    /// that is used here. A line without `=` is the other form's and must not occur.
    fn fields(datagram: &str) -> Vec<(&str, &str)> {
        assert!(datagram.ends_with('\n'));
        let fields: Vec<(&str, &str)> = datagram
            .lines()
            .map(|line| line.split_once('=').expect(line))
            .collect();
        for (name, _) in &fields {
            let sound = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
            assert!(name.chars().all(sound) && !name.starts_with('_'), "{name}");
        }
        fields
    }

    fn value<'a>(fields: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
        let mut values = fields.iter().filter(|(field, _)| *field == name);
        let value = values.next().map(|(_, value)| *value);
        assert_eq!(values.next(), None, "{name} stands twice");
        value
    }

    #[test]
    fn request_can_be_filtered_by_its_fields() {
        let event = Event::ImdsRequest(Box::new(request()));
        let entry = entry(&record(&origin(), &event));
        let fields = fields(&entry);
        for (name, expected) in [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "imds-analyzer"),
            ("IMDS_EVENT", "imds_request"),
            ("IMDS_SEQ", "17"),
            ("IMDS_VERSION", "v1"),
            ("IMDS_PROCESS", "curl"),
            ("IMDS_PID", "3109"),
            ("IMDS_USER", "root"),
            ("IMDS_UNIT", "backup.service"),
            ("IMDS_LINEAGE", "curl < bash < systemd"),
            ("IMDS_CREDENTIALS", "1"),
        ] {
            assert_eq!(value(&fields, name), Some(expected), "{name}");
        }
        let message = value(&fields, "MESSAGE").unwrap();
        assert!(
            message.contains("IMDSv1!  GET /latest/meta-data/"),
            "{message}"
        );
    }

    #[test]
    fn every_event_is_an_entry_with_a_message() {
        for event in full().iter().chain(&bare()) {
            let entry = entry(&record(&origin(), event));
            let fields = fields(&entry);
            assert_eq!(value(&fields, "IMDS_EVENT"), Some(event.name()));
            assert!(value(&fields, "MESSAGE").is_some_and(|text| !text.is_empty()));
            assert!(value(&fields, "PRIORITY").is_some());
        }
    }

    #[test]
    fn process_cannot_forge_a_field() {
        let mut request = request();
        let process = request.process.as_mut().unwrap();
        process.name = "x\nPRIORITY=0\nIMDS_VERSION=v2\n\n_UID=0".to_owned();
        process.executable = Some("/a\nMESSAGE=b".to_owned());
        let event = Event::ImdsRequest(Box::new(request));
        let entry = entry(&record(&origin(), &event));
        let fields = fields(&entry);
        assert_eq!(value(&fields, "PRIORITY"), Some("4"));
        assert_eq!(value(&fields, "IMDS_VERSION"), Some("v1"));
        let name = value(&fields, "IMDS_PROCESS").unwrap();
        assert!(name.starts_with("x\\u{a}PRIORITY=0"), "{name}");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let mut request = request();
        request.http.path = Some("ß".repeat(100_000));
        let event = Event::ImdsRequest(Box::new(request));
        let entry = entry(&record(&origin(), &event));
        assert!(entry.len() < 64 << 10, "{} bytes", entry.len());
        let fields = fields(&entry);
        let path = value(&fields, "IMDS_PATH").unwrap();
        assert!(path.ends_with("ß…"));
        assert!(path.len() <= MAX_VALUE + "…".len());
    }

    #[test]
    fn entry_arrives_as_one_datagram_also_at_a_journald_that_was_restarted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::at(&path).unwrap();
        let mut buffer = [0; 100];
        journal.send(b"MESSAGE=a\n").unwrap();
        let read = first.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"MESSAGE=a\n");
        drop(first);
        let error = journal.send(b"MESSAGE=b\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        journal.send(b"MESSAGE=b\n").unwrap();
        let read = second.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"MESSAGE=b\n");
    }

    #[test]
    fn host_without_a_journal_is_told_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let error = Journal::at(&directory.path().join("socket")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
