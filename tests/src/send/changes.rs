//! Senders that are not any more what they were when they sent, or that hide what
//! they are.
//!
//! Most are [callers](super::crowd) that this process runs in an odd way.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    ptr,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Scenario, checkpoint, crowd, fact, idle_program,
    sys::{self, linger},
    wire::Wire,
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("exec_after_sending", exec_after_sending),
    ("reparented", reparented),
    (
        "orphan_behind_a_token_request",
        orphan_behind_a_token_request,
    ),
    ("deep", deep),
    ("when_told", when_told),
    ("in_memory", in_memory),
    ("same_pid", same_pid),
    ("odd_arguments", odd_arguments),
    ("renamed", renamed),
];

/// Processes above the sender of [`deep`] and below the scenario.
pub const DEPTH: u32 = 40;
/// Callers of [`same_pid`], one after the other.
pub const SAME_PID: u64 = 100;
/// The name that [`renamed`] takes: at most 15 bytes.
pub const ODD_NAME: &[u8] = b"a\nb < \x1b[1m\xff\\";
/// Length of each of the arguments that are 2 MB together (execve(2): at most 128 KiB).
pub const HUGE: usize = 128 * 1024 - 1;

/// The arguments of the callers of [`odd_arguments`] beyond what callers need.
pub fn odd_arguments_of(number: u64) -> Vec<Vec<u8>> {
    match number {
        1 => vec![
            b"line\nfeed".to_vec(),
            b"\x1b[31mred".to_vec(),
            b"\xff\xfe".to_vec(),
            b"back\\slash".to_vec(),
            b"".to_vec(),
            "\u{202e}txt.exe".into(),
        ],
        2 => vec![vec![b'x'; HUGE]; 15],
        _ => Vec::new(),
    }
}

/// A child sends and becomes another program, which stays.
fn exec_after_sending(wire: &Wire) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let other = directory.path().join("idle");
    idle_program::write(&other)?;
    let head = wire.get(1, "");
    // Its end in the child is closed by exec.
    let (mut reader, writer) = io::pipe()?;
    let child = sys::fork(|| {
        let mut connection = wire.connect()?;
        connection.exchange(&head)?;
        Err(execute(&other, &[other.as_os_str().as_bytes()])?.into())
    })?;
    drop(writer);
    fact("pid.1", child)?;
    io::Read::read_to_end(&mut reader, &mut Vec::new())?;
    let link = fs::read_link(format!("/proc/{child}/exe"))?;
    ensure!(
        link == other.canonicalize()?,
        "the child runs {} still",
        link.display()
    );
    // Its file goes with the directory; the process has it still.
    Ok(())
}

/// A child asks for a token and ends; then a process sends whose parent has ended, so that
/// it has nothing in common with the first but where it is. Waits first.
fn orphan_behind_a_token_request(wire: &Wire) -> Result<()> {
    checkpoint("waiting")?;
    let child = sys::fork(|| {
        wire.connect()?.exchange(&wire.token_request(2))?;
        Ok(())
    })?;
    wait_for(child)?;
    reparented(wire)
}

/// A process whose parent has ended sends.
fn reparented(wire: &Wire) -> Result<()> {
    let (reader, writer) = io::pipe()?;
    let middle = sys::fork(|| {
        // SAFETY: no pointers.
        let parent = unsafe { libc::getpid() };
        let (mut free, freed) = io::pipe()?;
        sys::fork(|| orphan(wire, parent, &freed, &writer))?;
        drop(freed);
        io::Read::read_exact(&mut free, &mut [0]).context("the child outlives this process")
    })?;
    drop(writer);
    wait_for(middle)?;
    let mut told = String::new();
    io::Read::read_to_string(&mut io::Read::take(reader, 64), &mut told)?;
    let (own, parent) = told.split_once(' ').context("the orphan tells two ids")?;
    fact("pid.1", own)?;
    fact("parent", parent)?;
    fact("gone", middle)
}

/// Sends once its parent has ended, which may be when something is in `freed`, and tells its
/// own id and that of its new parent.
fn orphan(
    wire: &Wire,
    parent: libc::pid_t,
    mut freed: &io::PipeWriter,
    mut told: &io::PipeWriter,
) -> Result<()> {
    // `fork` asked to be killed with its parent.
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
    io::Write::write_all(&mut freed, b".")?;
    // SAFETY: no pointers.
    while unsafe { libc::getppid() } == parent {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut connection = wire.connect()?;
    connection.exchange(&wire.get(1, ""))?;
    // SAFETY: no pointers.
    let (own, parent) = unsafe { (libc::getpid(), libc::getppid()) };
    io::Write::write_all(&mut told, format!("{own} {parent}").as_bytes())?;
    Ok(())
}

/// The last of a long line of descendants sends.
fn deep(wire: &Wire) -> Result<()> {
    descend(wire, DEPTH)
}

fn descend(wire: &Wire, depth: u32) -> Result<()> {
    let child = sys::fork(|| {
        if depth > 0 {
            return descend(wire, depth - 1);
        }
        fact("pid.1", std::process::id())?;
        wire.connect()?.exchange(&wire.get(1, ""))?;
        Ok(())
    })?;
    wait_for(child)
}

/// Sends once it is told to: until then its file can be taken away.
fn when_told(wire: &Wire) -> Result<()> {
    checkpoint("started")?;
    wire.connect()?.exchange(&wire.get(1, ""))?;
    Ok(())
}

/// A caller whose program was never in a file system.
fn in_memory(wire: &Wire) -> Result<()> {
    let name = CString::new("payload")?;
    // SAFETY: the name ends in NUL.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    ensure!(fd >= 0, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new and owned by nobody else.
    let memory = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut file = fs::File::from(memory);
    io::copy(&mut fs::File::open(std::env::current_exe()?)?, &mut file)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    run_caller(wire, Path::new(&path), 1, &[])
}

/// Callers that have the same process id, one after the other, each with a path and
/// arguments of its own.
fn same_pid(wire: &Wire) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path().canonicalize()?;
    fact("directory", directory.display())?;
    let program = directory.join("program");
    fs::copy(std::env::current_exe()?, &program)?;
    let mut pid = 0;
    for number in 1..=SAME_PID {
        let path = crowd::program(&directory, number);
        fs::hard_link(&program, &path)?;
        let arguments = crowd::arguments(&directory, wire.destination, &wire.case, number);
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        let child = sys::fork_as(pid, || Err(execute(&path, &arguments)?.into()))
            .with_context(|| format!("make process {pid} again"))?;
        wait_for(child)?;
        ensure!(pid == 0 || pid == child, "got process {child}, not {pid}");
        pid = child;
    }
    fact("pid", pid)
}

/// Number 1 has arguments that try to look like something else, 2 has 2 MB of them, 3
/// has none at all.
fn odd_arguments(wire: &Wire) -> Result<()> {
    let own = std::env::current_exe()?;
    for number in [1, 2] {
        run_caller(wire, &own, number, &odd_arguments_of(number))?;
    }
    let task = crowd::task_of(wire.destination, &wire.case, 3);
    let child = sys::fork(|| {
        // SAFETY: this child has one thread.
        unsafe { std::env::set_var(crowd::TASK_VARIABLE, task) };
        Err(execute(&own, &[])?.into())
    })?;
    fact("pid.3", child)?;
    wait_for(child)
}

/// A child that gives itself another name, and then sends.
fn renamed(wire: &Wire) -> Result<()> {
    let name = CString::new(ODD_NAME)?;
    let child = sys::fork(|| {
        // SAFETY: the name ends in NUL.
        ensure!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) } == 0);
        wire.connect()?.exchange(&wire.get(1, ""))?;
        linger()
    })?;
    fact("pid.1", child)
}

/// Runs the program at `path` as caller `number` and waits for its end.
fn run_caller(wire: &Wire, path: &Path, number: u64, more: &[Vec<u8>]) -> Result<()> {
    let directory = Path::new("/odd");
    let arguments = crowd::arguments(directory, wire.destination, &wire.case, number);
    let mut all: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
    all.extend(more.iter().map(Vec::as_slice));
    let child = sys::fork(|| Err(execute(path, &all)?.into()))?;
    fact(&format!("pid.{number}"), child)?;
    wait_for(child)
}

/// Becomes another program; returns why not.
fn execute(program: &Path, arguments: &[&[u8]]) -> Result<io::Error> {
    let program = CString::new(program.as_os_str().as_bytes())?;
    let arguments: Vec<CString> = arguments
        .iter()
        .map(|argument| CString::new(*argument))
        .collect::<Result<_, _>>()?;
    let mut pointers: Vec<*const libc::c_char> =
        arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(ptr::null());
    // SAFETY: all strings and the list of them end as execv(3) wants it, and live.
    unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
    Ok(io::Error::last_os_error())
}

/// Waits for a child that must end well.
fn wait_for(child: libc::pid_t) -> Result<()> {
    let mut status = 0;
    // SAFETY: the pointer is that of `status`.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    ensure!(waited == child, "waitpid: {}", io::Error::last_os_error());
    ensure!(status == 0, "child {child} ended with status {status:#x}");
    Ok(())
}
