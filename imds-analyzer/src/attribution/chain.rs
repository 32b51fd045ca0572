//! The processes above the sender, up to PID 1.

use imds_analyzer_common::record::MAX_ANCESTORS;

use super::{
    cgroup::Place,
    executable::Shown,
    identity::Identity,
    is_fresh,
    proc::{Live, ProcRoot},
    recent::{Recent, Weight},
    session::Scheduler,
};
use crate::{
    capture::{self, Program, Task},
    record::{Ancestor, User},
    redact,
};

/// Room for what is remembered of ancestors, also after they are gone, and of all that
/// executed a program lately, bytes.
const MAX_KNOWN_BYTES: usize = 1024 * 1024;

/// Longest command line or path of an ancestor, bytes as escaped: a chain of them
/// is part of every record, and CloudWatch takes events of 256 KB (now 1 MB).
const MAX_SHOWN: usize = 1024;

/// Ancestors, nearest first.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) ancestors: Vec<Ancestor>,
    /// There were more.
    pub(super) truncated: bool,
    /// User id of the nearest ancestor that `/proc` knew, unless that one is in a
    /// container.
    pub(super) host_user: Option<u32>,
    /// The cron or at daemon among them, if there is one.
    pub(super) scheduler: Option<Scheduler>,
}

/// What `/proc` once said of an ancestor, or the kernel side when it executed its
/// program.
#[derive(Clone, Default)]
struct Known {
    /// When `/proc` said it; `None` if it did not.
    at_ns: Option<u64>,
    executable: Option<Shown>,
    command_line: Option<String>,
    in_container: bool,
}

/// Follows chains, and remembers what the processes in them were.
pub(super) struct Chains {
    known: Recent<Identity, Known>,
}

impl Chains {
    pub(super) fn new() -> Self {
        Self {
            known: Recent::new(MAX_KNOWN_BYTES),
        }
    }

    /// The chain that the kernel gave at the moment of the send; `/proc` adds
    /// executables and arguments.
    pub(super) fn of_facts(
        &mut self,
        proc: &ProcRoot,
        facts: &[capture::Ancestor],
        truncated: bool,
        now_ns: u64,
    ) -> Chain {
        let mut chain = Chain {
            truncated,
            ..Chain::default()
        };
        let mut known: Vec<Option<Known>> = facts
            .iter()
            .map(|ancestor| self.look_up(proc, ancestor, now_ns))
            .collect();
        // The farthest first: a subshell's subshell is what the shell is.
        for nearer in (1..facts.len()).rev().map(|above| above - 1) {
            if known[nearer].is_none() && is_forked_from(&facts[nearer], &facts[nearer + 1]) {
                known[nearer] = known[nearer + 1].clone();
            }
        }
        let nearest = facts.iter().zip(&known).find_map(|(ancestor, known)| {
            let known = known.as_ref()?;
            Some((ancestor.uid, known.in_container))
        });
        chain.host_user = nearest.and_then(|(uid, contained)| (!contained).then_some(uid));
        chain.scheduler = facts.iter().zip(&known).find_map(|(ancestor, known)| {
            let known = known.as_ref().filter(|it| !it.in_container)?;
            let executable = known.executable.as_ref().filter(|_| ancestor.uid == 0)?;
            Scheduler::of(&executable.path)
        });
        for (ancestor, known) in facts.iter().zip(known) {
            chain.ancestors.push(Ancestor {
                user: Some(User {
                    id: ancestor.uid,
                    name: None,
                }),
                ..describe(ancestor.tgid, &ancestor.name, known)
            });
        }
        chain
    }

    /// Takes note of the arguments that a process executed its program with.
    pub(super) fn note_args(&mut self, task: &Task, args: &[Vec<u8>]) {
        if task.tgid == 0 || args.is_empty() {
            return;
        }
        let mut known = self.known.remove(&task.into()).unwrap_or_default();
        known.command_line = command_line(args);
        self.known.insert(task.into(), known);
    }

    /// Takes note of the program that a process executed.
    pub(super) fn note_program(&mut self, task: &Task, program: &Program) {
        if task.tgid == 0 {
            return;
        }
        let mut known = self.known.remove(&task.into()).unwrap_or_default();
        known.executable = Shown::of(program).map(bounded_path);
        known.in_container = Place::told(program).is_some_and(|place| place.container.is_some());
        self.known.insert(task.into(), known);
    }

    /// The chain as `/proc` shows it now, for a sender whose ancestors the kernel
    /// side could not report. Ends at PID 1, or where a process is gone.
    pub(super) fn of_proc(proc: &ProcRoot, sender: &Live, now_ns: u64) -> Chain {
        let mut chain = Chain::default();
        let (mut pid, mut child_ticks) = (sender.parent, sender.start_ticks);
        while pid != 0 {
            if chain.ancestors.len() == MAX_ANCESTORS {
                chain.truncated = true;
                break;
            }
            // One that is younger than its child took the id of the parent.
            let Some(live) = proc
                .find_any(pid)
                .filter(|live| live.start_ticks <= child_ticks)
            else {
                break;
            };
            let known = Known::of(&live, now_ns);
            chain.ancestors.push(describe(pid, &live.name, Some(known)));
            (pid, child_ticks) = (live.parent, live.start_ticks);
        }
        chain
    }

    fn look_up(
        &mut self,
        proc: &ProcRoot,
        ancestor: &capture::Ancestor,
        now_ns: u64,
    ) -> Option<Known> {
        let identity = Identity::from(ancestor);
        let known = self.known.get(&identity).cloned();
        if known
            .as_ref()
            .and_then(|known| known.at_ns)
            .is_some_and(|at_ns| is_fresh(at_ns, now_ns))
        {
            return known;
        }
        let live = proc
            .find(identity.tgid, identity.start_boottime_ns)
            .filter(|live| is_same(ancestor, live));
        match live {
            Some(live) => {
                let known = Known::of(&live, now_ns);
                self.known.insert(identity, known.clone());
                Some(known)
            }
            None => known,
        }
    }
}

impl Known {
    fn of(live: &Live, now_ns: u64) -> Self {
        Self {
            at_ns: Some(now_ns),
            executable: live.executable.as_ref().map(|it| bounded_path(it.shown())),
            command_line: command_line(&live.args),
            in_container: Place::of(&live.cgroup).container.is_some(),
        }
    }
}

/// Whether a live process still runs the program that an ancestor ran. Where stat(2)
/// gives other devices than the kernel has, inode and name must do.
fn is_same(ancestor: &capture::Ancestor, live: &Live) -> bool {
    let same_name = live.name == ancestor.name;
    let live_file = live.executable.as_ref().and_then(|it| it.file);
    match (ancestor.file, live_file) {
        (Some(told), Some(live)) => told == live || (told.inode == live.inode && same_name),
        _ => same_name,
    }
}

/// Whether an ancestor does what its parent was started to do: it has executed no
/// program since it was forked from it, so it has its arguments.
fn is_forked_from(child: &capture::Ancestor, parent: &capture::Ancestor) -> bool {
    child.exec_id == parent.exec_id && child.file == parent.file && child.name == parent.name
}

fn command_line(args: &[Vec<u8>]) -> Option<String> {
    let line = bounded(redact::args(args).join(" "));
    Some(line).filter(|line| !line.is_empty())
}

fn bounded_path(mut executable: Shown) -> Shown {
    executable.path = bounded(executable.path);
    executable
}

/// `text`, cut and marked if it is too long. It is free of secrets, so that a cut
/// shows no part of one.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_SHOWN {
        text.truncate(text.floor_char_boundary(MAX_SHOWN));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

fn describe(pid: u32, name: &[u8], known: Option<Known>) -> Ancestor {
    let (executable, command_line) =
        known.map_or((None, None), |known| (known.executable, known.command_line));
    Ancestor {
        pid,
        name: redact::text(name),
        user: None,
        executable: executable.map(|shown| shown.path),
        command_line,
    }
}

impl Weight for Known {
    fn heap_bytes(&self) -> usize {
        self.executable.heap_bytes() + self.command_line.heap_bytes()
    }
}

impl Weight for Ancestor {
    fn heap_bytes(&self) -> usize {
        self.name.heap_bytes() + self.executable.heap_bytes() + self.command_line.heap_bytes()
    }
}
