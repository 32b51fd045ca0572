//! Callers by the thousand: each a program and a process of its own, gone as soon as it
//! has sent.
//!
//! The scenario is their great-grandparent: it runs [`MIDDLE`], which runs
//! [`LAUNCHER`], which runs the callers, several at once and as fast as it can. Each
//! caller has a path of its own (a link to one copy of this program), arguments of its
//! own, some of them long, and does not wait for its answer.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Scenario, fact, sys, wire::Wire};
use crate::netns::require_private;

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("crowd", crowd),
    ("small_crowd", small_crowd),
    (MIDDLE, middle),
    (LAUNCHER, launch),
];

const MIDDLE: &str = "crowd_middle";
const LAUNCHER: &str = "crowd_launcher";

/// How many callers there are in a crowd.
pub const CALLERS: u64 = 10_000;
/// How many there are in a small one, for machines that are emulated.
pub const FEW_CALLERS: u64 = 300;
/// Tells the launcher how many.
const COUNT_VARIABLE: &str = "IMDS_TESTS_CALLERS";
/// Callers that run at the same time, for each CPU. It keeps them busy; with more, the
/// scheduler's fair share for the daemon falls below what its work takes on a machine
/// that is emulated, and that is another test (`suite/overload.rs`).
const AT_ONCE_PER_CPU: usize = 2;
/// What the file names of callers begin with, by which this program knows that it is one.
const PREFIX: &str = "caller-";
/// The name that a caller gives itself if it was never in a file system.
pub const CHOSEN_NAME: &str = "chosen-name";
/// The file name of a program that does nothing at all.
pub const LEAVER: &str = "leaver";
/// Tells a caller that has no arguments what to do.
pub(super) const TASK_VARIABLE: &str = "IMDS_TESTS_CALLER";
/// Every so many callers one has an argument that is nearly as long as what is taken of
/// arguments at the hook, 4 KiB.
const LONG_EVERY: u64 = 32;
const LONG: usize = 3_900;

/// The arguments of a caller, its path first.
pub fn arguments(
    directory: &Path,
    destination: SocketAddr,
    case: &str,
    number: u64,
) -> Vec<String> {
    let mut arguments = vec![
        program(directory, number).to_string_lossy().into_owned(),
        destination.to_string(),
        case.to_owned(),
        number.to_string(),
    ];
    if number.is_multiple_of(LONG_EVERY) {
        arguments.push("long ".repeat(LONG / 5));
    }
    arguments
}

/// What a caller without arguments is to do, for [`TASK_VARIABLE`].
pub(super) fn task_of(destination: SocketAddr, case: &str, number: u64) -> String {
    format!("{destination} {case} {number}")
}

/// If this process is a caller, or a program that only ends, does what it is for and
/// ends.
pub fn run_if_caller() {
    let mut arguments = std::env::args_os().map(|it| it.to_string_lossy().into_owned());
    let path = arguments.next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let outcome = if name == LEAVER {
        Ok(())
    } else if name.starts_with(PREFIX) {
        call(arguments)
    } else if name.is_empty()
        && let Ok(task) = std::env::var(TASK_VARIABLE)
    {
        call(task.split(' ').map(str::to_owned))
    } else {
        return;
    };
    if let Err(error) = &outcome {
        eprintln!("caller: {error:#}");
    }
    // SAFETY: ends this process, nothing more: nothing is flushed, nothing waited for.
    unsafe { libc::_exit(i32::from(outcome.is_err())) };
}

/// Every second caller has a token.
fn call(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let (Some(destination), Some(case), Some(number)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("a caller is told the destination, the case and its number");
    };
    require_private()?;
    let number: u64 = number.parse()?;
    let wire = Wire {
        case,
        destination: destination.parse()?,
    };
    let head = if number.is_multiple_of(2) {
        wire.get_v2(number)
    } else {
        wire.get(number, "")
    };
    if fs::read_link("/proc/self/exe")
        .is_ok_and(|path| path.starts_with("/memfd:payload (deleted)"))
    {
        let name = std::ffi::CString::new(CHOSEN_NAME)?;
        // SAFETY: the name ends in NUL.
        ensure!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) } == 0);
    }
    let socket = sys::tcp_socket(libc::AF_INET, 0)?;
    sys::connect(&socket, wire.destination).context("connect")?;
    let sent = sys::send(&socket, &head, 0).context("send")?;
    ensure!(sent == head.len(), "send took {sent} of {}", head.len());
    Ok(())
}

fn crowd(wire: &Wire) -> Result<()> {
    run_below(wire, MIDDLE, CALLERS)
}

fn small_crowd(wire: &Wire) -> Result<()> {
    run_below(wire, MIDDLE, FEW_CALLERS)
}

fn middle(wire: &Wire) -> Result<()> {
    fact("middle", std::process::id())?;
    run_below(wire, LAUNCHER, count()?)
}

/// How many callers were asked for.
fn count() -> Result<u64> {
    let count = std::env::var(COUNT_VARIABLE)
        .with_context(|| format!("{COUNT_VARIABLE} is set by the scenario above"))?;
    Ok(count.parse()?)
}

/// Runs another scenario of this program, whose facts go where this one's go.
fn run_below(wire: &Wire, scenario: &str, count: u64) -> Result<()> {
    let status = Command::new(std::env::current_exe()?)
        .env(COUNT_VARIABLE, count.to_string())
        .arg("send")
        .arg(format!("--scenario={scenario}"))
        .arg(format!("--case={}", wire.case))
        .arg(format!("--addr={}", wire.destination))
        .status()?;
    ensure!(status.success(), "{scenario} ended with {status}");
    Ok(())
}

fn launch(wire: &Wire) -> Result<()> {
    fact("launcher", std::process::id())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().canonicalize()?;
    fact("directory", path.display())?;
    let program = path.join("program");
    fs::copy(std::env::current_exe()?, &program)?;
    let at_once = AT_ONCE_PER_CPU * std::thread::available_parallelism()?.get();
    let mut running = Vec::new();
    let mut pids = Vec::new();
    for number in 1..=count()? {
        let arguments = arguments(&path, wire.destination, &wire.case, number);
        fs::hard_link(&program, &arguments[0])?;
        if running.len() == at_once {
            finish(running.remove(0))?;
        }
        let child = Command::new(&arguments[0])
            .args(&arguments[1..])
            .spawn()
            .context("run a caller")?;
        pids.push(child.id());
        running.push((number, child));
    }
    for caller in running {
        finish(caller)?;
    }
    for (number, pid) in (1..).zip(pids) {
        fact(&format!("pid.{number}"), pid)?;
    }
    Ok(())
}

fn finish((number, mut child): (u64, Child)) -> Result<()> {
    let status = child.wait()?;
    ensure!(status.success(), "caller {number} ended with {status}");
    Ok(())
}

/// Path of a caller's program.
pub fn program(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:05}"))
}
