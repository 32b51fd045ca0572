//! The processes above the sender, up to PID 1.

use imds_analyzer_common::record::MAX_ANCESTORS;

use super::{
    cgroup::Place,
    identity::Identity,
    is_fresh,
    proc::{Live, ProcRoot},
    recent::{Recent, Weight},
    session::Scheduler,
};
use crate::{capture, record::Ancestor, redact};

/// Room for what is remembered of ancestors, also after they are gone, bytes.
const MAX_KNOWN_BYTES: usize = 512 * 1024;

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

/// What `/proc` once said of an ancestor.
#[derive(Clone)]
struct Known {
    at_ns: u64,
    executable: Option<String>,
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
        let mut nearest = None;
        for ancestor in facts {
            let known = self.look_up(proc, ancestor, now_ns);
            if let Some(known) = &known {
                nearest.get_or_insert((ancestor.uid, known.in_container));
                let is_root_s = ancestor.uid == 0 && !known.in_container;
                if is_root_s && chain.scheduler.is_none() {
                    chain.scheduler = known.executable.as_deref().and_then(Scheduler::of);
                }
            }
            chain
                .ancestors
                .push(describe(ancestor.tgid, &ancestor.name, known));
        }
        chain.host_user = nearest.and_then(|(uid, contained)| (!contained).then_some(uid));
        chain
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
            .is_some_and(|known| is_fresh(known.at_ns, now_ns))
        {
            return known;
        }
        let live = proc
            .find(identity.tgid, identity.start_boottime_ns)
            .filter(|live| live.name == identity.name);
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
        let command_line = redact::args(&live.args).join(" ");
        Self {
            at_ns: now_ns,
            executable: live.executable.clone().map(bounded),
            command_line: Some(bounded(command_line)).filter(|line| !line.is_empty()),
            in_container: Place::of(&live.cgroup).container.is_some(),
        }
    }
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
        executable,
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
