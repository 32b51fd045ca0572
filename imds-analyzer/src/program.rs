//! Another program, run within bounds: of time, of what it may say, of what it sees
//! of our environment; and without any of our capabilities. It is killed with everything it started in its process group,
//! and reaped.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

use crate::capabilities::start_without;

/// How long a killed program may take to be gone. One that hangs in the kernel is left
/// behind, and reaped when the next one runs.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// What its environment is.
const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LC_ALL", "C"),
    ("HOME", "/"),
];

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// It could not be run or waited for.
    #[error("cannot be run: {0}")]
    Io(#[from] io::Error),
    /// It took too long, and was killed.
    #[error("took longer than {0:?}")]
    TimedOut(Duration),
    /// It said more than was asked for, and was killed.
    #[error("wrote more than {0} bytes")]
    TooMuch(usize),
    /// It ended with another code than 0.
    #[error("ended with {0}")]
    Failed(std::process::ExitStatus),
}

/// Runs programs one after the other.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    /// Killed, and not yet gone.
    left: Vec<Child>,
}

impl Runner {
    /// Runs a command, gives it `input`, and returns what it writes to its standard
    /// output if it ends with 0 in time.
    ///
    /// # Errors
    /// It can't be run, takes longer than `time`, writes more than `most` bytes, or
    /// fails.
    pub(crate) fn run(
        &mut self,
        command: &mut Command,
        input: &[u8],
        time: Duration,
        most: usize,
    ) -> Result<Vec<u8>, RunError> {
        self.left
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let deadline = Instant::now() + time;
        let mut child = start_without(command)
            .env_clear()
            .envs(ENVIRONMENT)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let result = converse(&mut child, input, deadline, most);
        let result = match result {
            Ok(None) => Err(RunError::TimedOut(time)),
            Ok(Some(said)) if said.len() > most => Err(RunError::TooMuch(most)),
            Ok(Some(said)) => Ok(said),
            Err(error) => Err(error.into()),
        };
        match (self.end(child)?, result) {
            (Some(status), Ok(_)) if !status.success() => Err(RunError::Failed(status)),
            (_, result) => result,
        }
    }

    /// Kills what is left of a program and its group, and reaps it.
    fn end(&mut self, mut child: Child) -> io::Result<Option<std::process::ExitStatus>> {
        // Not yet waited for, so the id is still its own; and its group's, which may
        // have processes when it has ended.
        if let Some(group) = pid_of(&child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let pidfd = pidfd(&child)?;
        if wait_until_gone(&pidfd, Instant::now() + GONE_WITHIN)? {
            return child.wait().map(Some);
        }
        self.left.push(child);
        Ok(None)
    }
}

/// Gives the input and takes the output until the program ends. `None` if the deadline
/// comes first; output longer than `most` if it says too much.
fn converse(
    child: &mut Child,
    input: &[u8],
    deadline: Instant,
    most: usize,
) -> io::Result<Option<Vec<u8>>> {
    let pidfd = pidfd(child)?;
    let mut stdin = child.stdin.take();
    let mut stdout = child.stdout.take();
    stdin.as_ref().map(nonblocking).transpose()?;
    stdout.as_ref().map(nonblocking).transpose()?;
    let (mut rest, mut said) = (input, Vec::new());
    loop {
        if rest.is_empty() {
            stdin = None;
        }
        let mut waits = vec![PollFd::new(&pidfd, PollFlags::IN)];
        waits.extend(stdin.as_ref().map(|it| PollFd::new(it, PollFlags::OUT)));
        waits.extend(stdout.as_ref().map(|it| PollFd::new(it, PollFlags::IN)));
        let Some(left) = deadline.checked_duration_since(Instant::now()) else {
            return Ok(None);
        };
        retrying(|| poll(&mut waits, Some(&timespec(left))))?;
        let has_ended = !waits[0].revents().is_empty();
        write_some(&mut stdin, &mut rest)?;
        read_some(&mut stdout, &mut said, most)?;
        // What it wrote before it ended is in the pipe, and was read just now.
        if has_ended || said.len() > most {
            return Ok(Some(said));
        }
    }
}

/// Writes what the pipe takes. A program need not read what it is given.
fn write_some(stdin: &mut Option<ChildStdin>, rest: &mut &[u8]) -> io::Result<()> {
    let Some(pipe) = stdin else { return Ok(()) };
    match pipe.write(rest) {
        Ok(written) => *rest = &rest[written..],
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *stdin = None,
        Err(error) if is_for_later(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Reads what there is, up to a little more than `most`.
fn read_some(stdout: &mut Option<ChildStdout>, said: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while let Some(pipe) = stdout
        && said.len() <= most
    {
        match pipe.read(&mut buffer) {
            Ok(0) => *stdout = None,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
            Err(error) if is_for_later(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn wait_until_gone(pidfd: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut wait = [PollFd::new(pidfd, PollFlags::IN)];
    Ok(retrying(|| poll(&mut wait, Some(&timespec(left))))? > 0)
}

fn retrying<T>(call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    rustix::io::retry_on_intr(call).map_err(io::Error::from)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

fn nonblocking(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = pid_of(child).ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn run(script: &str, input: &[u8], time: Duration, most: usize) -> Result<String, RunError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let mut runner = Runner::default();
        let said = runner.run(&mut command, input, time, most);
        assert!(runner.left.is_empty());
        said.map(|said| String::from_utf8(said).unwrap())
    }

    #[test]
    fn program_gets_its_input_and_is_heard() {
        let long = vec![b'x'; 200_000];
        let said = run("cat", &long, LONG, 1 << 20).unwrap();
        assert_eq!(said.len(), long.len());
    }

    #[test]
    fn program_that_reads_nothing_is_heard_all_the_same() {
        assert_eq!(
            run("echo hello", &[b'x'; 200_000], LONG, 100).unwrap(),
            "hello\n"
        );
    }

    #[test]
    fn environment_is_not_ours() {
        let said = run("env | sort", b"", LONG, 10_000).unwrap();
        let names: Vec<&str> = said.lines().filter_map(|it| it.split('=').next()).collect();
        // PWD, SHLVL and _ are the shell's own.
        for name in &names {
            assert!(
                ["HOME", "LC_ALL", "PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name),
                "{said}"
            );
        }
        assert!(names.contains(&"PATH"));
    }

    #[test]
    fn program_that_takes_too_long_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        let script = format!("sleep 1000 & echo $! > {}; cat; wait", pids.display());
        let result = run(&script, b"", Duration::from_millis(500), 100);
        assert!(matches!(result, Err(RunError::TimedOut(_))), "{result:?}");
        // Under load the shell may not even have begun.
        if let Ok(text) = std::fs::read_to_string(&pids)
            && let Ok(pid) = text.trim().parse::<i32>()
            && let Some(pid) = Pid::from_raw(pid)
            && let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
        {
            assert!(wait_until_gone(&pidfd, Instant::now() + LONG).unwrap());
        }
    }

    #[test]
    fn program_that_leaves_a_child_with_its_output_is_not_waited_for() {
        assert_eq!(
            run("sleep 1000 & echo done", b"", LONG, 100).unwrap(),
            "done\n"
        );
    }

    #[test]
    fn program_that_says_too_much_is_killed() {
        let result = run("while :; do echo yes; done", b"", LONG, 10_000);
        assert!(
            matches!(result, Err(RunError::TooMuch(10_000))),
            "{result:?}"
        );
    }

    #[test]
    fn program_that_fails_is_told_by_its_status() {
        let result = run("echo no; exit 7", b"", LONG, 100);
        match result {
            Err(RunError::Failed(status)) => assert_eq!(status.code(), Some(7)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn program_that_does_not_exist_is_an_error() {
        let mut command = Command::new("/none/such");
        let result = Runner::default().run(&mut command, b"", LONG, 100);
        assert!(matches!(result, Err(RunError::Io(_))), "{result:?}");
    }
}
