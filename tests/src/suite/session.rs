//! A namespace, a mock and an analyzer, shared by the cases that need no more.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

pub use super::case::Case;
use crate::{
    analyzer::{ALONE, Analyzer, Finished, Launch},
    compare::Sender,
    mock::{Mock, access_log::Entry},
    netns::{IMDS_V4, Netns},
    record::{Line, defects},
};

/// How long a record may take to come. Only a failure ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that is emulated may take seconds to answer; still sooner than [`PATIENCE`].
const PATIENT: &str = "response_deadline_ms = 15000";

/// Case name of the requests that a session sends itself.
pub(super) const FENCE: &str = "fence";
/// Their numbers have six digits, so that none is the beginning of another.
const FIRST_FENCE: u64 = 100_000;

/// What the suite was told.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The analyzer.
    pub analyzer: PathBuf,
    /// The backend to ask it for.
    pub backend: String,
    /// What `cargo xtask setup` has installed for the clients, see
    /// [`super::real_clients`].
    pub clients: PathBuf,
}

/// A world of its own.
#[derive(Debug)]
pub struct Session {
    pub(super) setup: Setup,
    /// The private namespace.
    pub netns: Netns,
    /// IMDS in it.
    pub mock: Mock,
    pub(super) analyzer: Analyzer,
    fences: u64,
    /// Number of the first line that no case has looked at.
    pub(super) next_line: usize,
    /// Number of the first entry of the access log that no case has looked at.
    next_entry: usize,
}

impl Session {
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// If the analyzer doesn't get ready.
    pub fn start(setup: &Setup) -> Result<Self> {
        let netns = Netns::new()?;
        let mock = Mock::start(&netns)?;
        Self::around(setup, netns, mock)
    }

    /// As [`Session::start`], with another format and with all diagnostics.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_verbose(setup: &Setup, format: &str) -> Result<Self> {
        let netns = Netns::new()?;
        let mock = Mock::start(&netns)?;
        Self::launch(setup, netns, mock, format, true)
    }

    /// As [`Session::start`], with a mock that already runs.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn around(setup: &Setup, netns: Netns, mock: Mock) -> Result<Self> {
        Self::launch(setup, netns, mock, "json", false)
    }

    fn launch(
        setup: &Setup,
        netns: Netns,
        mock: Mock,
        format: &str,
        verbose: bool,
    ) -> Result<Self> {
        let analyzer = Launch {
            program: &setup.analyzer,
            backend: &setup.backend,
            format,
            netns: netns.path(),
            output: None,
            settings: PATIENT,
            verbose,
        }
        .start(|_| {})?;
        let asked = setup.backend.strip_suffix(ALONE).unwrap_or(&setup.backend);
        ensure!(
            asked == "auto" || asked == analyzer.backend(),
            "asked for {asked}, but the analyzer says it uses {}",
            analyzer.backend()
        );
        ensure!(
            asked == "auto"
                || asked == "cgroup"
                || analyzer.has_witness() != setup.backend.ends_with(ALONE),
            "asked for {}, but the analyzer is ready {} a witness on the wire",
            setup.backend,
            if analyzer.has_witness() {
                "with"
            } else {
                "without"
            }
        );
        Ok(Self {
            setup: setup.clone(),
            netns,
            mock,
            analyzer,
            fences: FIRST_FENCE,
            next_line: 0,
            next_entry: 0,
        })
    }

    /// What the suite was told.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The backend in use.
    pub fn backend(&self) -> &str {
        self.analyzer.backend()
    }

    /// Sends a request whose record, as it comes after all earlier ones, ends a case.
    ///
    /// # Errors
    ///
    /// If it does not come.
    pub fn fence(&mut self) -> Result<()> {
        self.fences += 1;
        let number = self.fences;
        self.netns.enter(|| {
            let mut stream = TcpStream::connect((IMDS_V4, 80))?;
            let head = format!(
                "GET /latest/meta-data/?case={FENCE}&n={number} HTTP/1.1\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            stream.read_to_end(&mut Vec::new())?;
            stream.shutdown(Shutdown::Both).ok();
            Ok(())
        })?;
        let marker = format!("case={FENCE}&n={number}");
        let first = self.next_line;
        let came = self.analyzer.stdout().wait(first, PATIENCE, |lines| {
            lines
                .iter()
                .any(|line| line.windows(marker.len()).any(|w| w == marker.as_bytes()))
        });
        ensure!(
            came,
            "no record of the request that ends the case; the analyzer's last words:\n{}",
            self.analyzer.last_words()
        );
        Ok(())
    }

    /// The lines since the last case.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.analyzer
            .stdout()
            .since(self.next_line)
            .into_iter()
            .map(Line::new)
            .collect()
    }

    /// Forgets the lines so far, of a case that is over.
    pub fn next_case(&mut self) {
        self.next_line = self.analyzer.stdout().len();
        self.next_entry = self.mock.log().len();
    }

    /// All requests of the case so far, for those that carry no id. Fences are no
    /// case's.
    pub fn requests_since_last_case(&self) -> Vec<Entry> {
        let mut entries = self.mock.log().since(self.next_entry);
        entries.retain(|entry| entry.id.as_ref().is_none_or(|id| id.case != FENCE));
        entries
    }

    /// A case in this session.
    pub fn case(&mut self, name: &'static str) -> Case<'_> {
        Case {
            session: self,
            name,
            loses: &[],
        }
    }

    /// Stops the analyzer.
    ///
    /// # Errors
    ///
    /// As [`Analyzer::stop`].
    pub fn stop(self) -> Result<Finished> {
        self.analyzer.stop()
    }
}

/// Facts by key, of the form that [`crate::send`] tells them in.
pub type Facts = HashMap<String, String>;

/// The sender of everything that one process of this program does.
pub fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot tell the path of this program")
}

/// The name that the kernel gives a process after exec: 15 bytes of the file name
/// (`TASK_COMM_LEN`, `include/linux/sched.h`).
pub fn process_name(program: &Path) -> String {
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy();
    name.chars().take(15).collect()
}

/// A child of the suite that was run with these arguments.
pub fn child_sender(pid: u32, program: &Path, args: Vec<String>) -> Sender {
    Sender {
        pid,
        tid: None,
        threads: Vec::new(),
        name: process_name(program),
        executable: program
            .canonicalize()
            .ok()
            .map(|path| path.to_string_lossy().into_owned()),
        executable_state: None,
        args: Some(args),
        args_are_cut: false,
        may_lack_args: false,
        may_lack_facts: false,
        uid: 0,
        parent: None,
        above: vec![std::process::id()],
        is_deep: false,
        lingers: false,
    }
}

/// What is wrong with all lines of a run, and whether it began and ended as it should.
pub fn defects_of_run(finished: &Finished) -> Vec<String> {
    let lines: Vec<Line> = finished.records.iter().cloned().map(Line::new).collect();
    let mut found = defects(&lines, super::schema::violations);
    let first = lines.first().map(Line::event);
    let last = lines.last().map(Line::event);
    if first != Some("analyzer_started") {
        found.push(format!("the first record is {first:?}"));
    }
    if last != Some("analyzer_stopped") {
        found.push(format!("the last record is {last:?}"));
    }
    found
}
