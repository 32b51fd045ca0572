//! The integration suite: real traffic, the real analyzer, and the truth.
//!
//! Cases run one after the other. Most share a [`session::Session`]; each ends with
//! a request whose record must come after all others (a fence), so that "no further
//! record" is an event and not a matter of waiting. A case that fails gets a new
//! session for those after it.

mod apart;
mod callers;
mod case;
mod client;
mod connections;
mod conversation;
mod destinations;
mod exceptions;
mod features;
mod framing;
mod kernel_types;
mod lifecycle;
mod log_file;
mod losses;
mod names;
mod outcomes;
mod overload;
mod owners;
mod private_mounts;
mod queries;
mod real_clients;
mod report;
mod rings;
pub(crate) mod schema;
mod secrets;
mod sends;
mod service;
pub mod session;
mod spelling;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::{
    exceptions::Fate,
    session::{Case, Session, Setup, defects_of_run},
};
use crate::{analyzer::Finished, canary};

pub use self::{
    client::{Ran, run_client},
    real_clients::{find_program, find_python},
};

/// Which cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// The senders of this program: they run wherever it does.
    Senders,
    /// Programs that must be installed, and shells above them.
    Clients,
    /// Ten thousand senders, which is minutes of work for an emulated machine.
    Crowd,
    /// All of them.
    #[default]
    All,
}

/// How a case runs.
#[derive(Clone, Copy)]
enum Run {
    /// In the session that is there.
    Shared(fn(&mut Case<'_>) -> Result<()>),
    /// In one it makes itself.
    Alone(fn(&Setup, &'static str) -> Result<()>),
    /// On what the shared sessions have left.
    Afterwards(fn(&[Finished]) -> Result<()>),
}

/// A case, named after the behaviour it shows.
struct Entry {
    name: &'static str,
    run: Run,
}

/// Lists the functions of a module as cases.
macro_rules! cases {
    ($kind:ident: $($name:ident),+ $(,)?) => {
        [$($crate::suite::Entry {
            name: stringify!($name),
            run: $crate::suite::Run::$kind($name),
        }),+]
    };
}
use cases;

/// What came of a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
}

/// All cases of `group`.
fn entries(group: Group) -> Vec<Entry> {
    let mut cases = Vec::new();
    if matches!(group, Group::Senders | Group::All) {
        cases.extend(spelling::cases());
        cases.extend(framing::cases());
        cases.extend(sends::cases());
        cases.extend(rings::cases());
        cases.extend(connections::cases());
        cases.extend(conversation::cases());
        cases.extend(apart::cases());
        cases.extend(outcomes::cases());
        cases.extend(owners::cases());
        cases.extend(callers::cases());
        cases.extend(losses::cases());
        cases.extend(overload::cases());
        cases.extend(lifecycle::cases());
        cases.extend(service::cases());
        cases.extend(destinations::cases());
        cases.extend(kernel_types::cases());
        cases.extend(names::cases());
    }
    if matches!(group, Group::Crowd | Group::All) {
        cases.extend(callers::crowd_cases());
    }
    if matches!(group, Group::Clients | Group::All) {
        cases.extend(real_clients::cases(group));
        cases.extend(secrets::cases());
        cases.extend(names::cases_with_clients());
        // No kernel makes a difference to these; a guest of each would only take longer.
        cases.extend(outcomes::cases_that_wait());
        cases.extend(log_file::cases());
        cases.extend(log_file::cases_with_clients());
        cases.extend(report::cases());
        cases.extend(report::cases_with_clients());
    }
    if matches!(group, Group::All) {
        cases.extend(queries::cases());
    }
    cases.extend([
        Entry {
            name: "every_line_is_valid_and_in_sequence",
            run: Run::Afterwards(lines_are_sound),
        },
        Entry {
            name: "no_secret_in_any_output_of_the_suite",
            run: Run::Afterwards(no_secret),
        },
    ]);
    cases
}

/// Names of the cases.
pub fn list(group: Group) -> Vec<String> {
    entries(group)
        .iter()
        .map(|case| case.name.to_owned())
        .collect()
}

/// Runs the cases of `group` whose names contain `filter`, and prints a line for each and one
/// for all.
///
/// # Errors
///
/// If nothing matches the filter.
pub fn run(setup: &Setup, group: Group, filter: Option<&str>) -> Result<Summary> {
    let (left_out, mut chosen): (Vec<Entry>, Vec<Entry>) = entries(group)
        .into_iter()
        .filter(|case| filter.is_none_or(|filter| case.name.contains(filter)))
        .partition(|case| exceptions::is_left_out(case.name, &setup.backend));
    if !chosen.iter().any(|case| matches!(case.run, Run::Shared(_))) {
        // There will be nothing for these to look at.
        chosen.retain(|case| !matches!(case.run, Run::Afterwards(_)));
    }
    if chosen.is_empty() {
        bail!("no case matches the filter");
    }
    for case in left_out {
        println!("not with {}: {}", setup.backend, case.name);
    }
    let mut summary = Summary::default();
    let mut shared = Shared::default();
    for case in chosen {
        let began = Instant::now();
        let outcome = match exceptions::fate(case.name) {
            Ok(Fate::Runs) => shared.run(setup, &case),
            Ok(Fate::Absent(why)) => {
                println!("absent        {}: {why}", case.name);
                continue;
            }
            Err(error) => Err(error),
        };
        let took = began.elapsed();
        match outcome {
            Ok(()) => summary.passed += 1,
            Err(_) => summary.failed += 1,
        }
        print_outcome(case.name, took, outcome);
    }
    println!(
        "IMDS-SUITE backend={} passed={} failed={}",
        setup.backend, summary.passed, summary.failed
    );
    Ok(summary)
}

fn print_outcome(name: &str, took: Duration, outcome: Result<()>) {
    let seconds = took.as_secs_f64();
    match outcome {
        Ok(()) => println!("ok   {seconds:7.2}s {name}"),
        Err(error) => println!("FAIL {seconds:7.2}s {name}: {error:#}"),
    }
}

/// The session that cases share, and what earlier ones have left.
#[derive(Default)]
struct Shared {
    session: Option<Session>,
    finished: Vec<Finished>,
}

impl Shared {
    fn run(&mut self, setup: &Setup, case: &Entry) -> Result<()> {
        match case.run {
            Run::Alone(run) => run(setup, case.name),
            Run::Afterwards(run) => {
                self.end()?;
                run(&self.finished)
            }
            Run::Shared(run) => {
                let session = match &mut self.session {
                    Some(session) => session,
                    none => none.insert(Session::start(setup)?),
                };
                let outcome = run(&mut session.case(case.name));
                if let Err(first) = &outcome
                    && let Err(second) = self.end()
                {
                    bail!("{first:#}; and then {second:#}");
                }
                outcome
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        if let Some(session) = self.session.take() {
            self.finished.push(session.stop()?);
        }
        Ok(())
    }
}

fn lines_are_sound(finished: &[Finished]) -> Result<()> {
    some(finished)?;
    let found: Vec<String> = finished.iter().flat_map(defects_of_run).collect();
    if !found.is_empty() {
        bail!("{} defects, such as {}", found.len(), found[0]);
    }
    Ok(())
}

fn no_secret(finished: &[Finished]) -> Result<()> {
    some(finished)?;
    for run in finished {
        secrets::require_none(run)?;
    }
    Ok(())
}

/// What has no input has shown nothing.
fn some(finished: &[Finished]) -> Result<()> {
    let lines: usize = finished.iter().map(|run| run.records.len()).sum();
    if lines == 0 {
        bail!("no shared session has left any record; choose more cases");
    }
    Ok(())
}

/// Whether a line holds the canary, for messages that must not repeat it.
fn betrays(line: &[u8]) -> bool {
    canary::sings(line)
}
