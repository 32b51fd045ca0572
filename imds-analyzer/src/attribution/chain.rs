//! The processes above the sender, up to PID 1.

use super::{
    identity::Identity,
    proc::{Live, ProcRoot},
    recent::Recent,
};
use crate::{capture, record::Ancestor, redact};

/// Most ancestors that are followed through `/proc`.
const MAX_ANCESTORS: usize = 64;

/// Processes whose arguments are remembered after they are gone.
const MAX_KNOWN: usize = 4096;

/// Most characters of an ancestor's command line: a chain of them is part of
/// every record, and CloudWatch takes events of 256 KB (now 1 MB) at most.
const MAX_COMMAND_LINE: usize = 1024;

/// Ancestors, nearest first.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) ancestors: Vec<Ancestor>,
    /// There were more.
    pub(super) truncated: bool,
}

/// What `/proc` once said of an ancestor.
#[derive(Clone, Default)]
struct Known {
    executable: Option<String>,
    command_line: Option<String>,
}

/// Follows chains, and remembers what the processes in them were.
pub(super) struct Chains {
    known: Recent<Identity, Known>,
}

impl Default for Chains {
    fn default() -> Self {
        Self {
            known: Recent::new(MAX_KNOWN),
        }
    }
}

impl Chains {
    /// The chain that the kernel gave at the moment of the send; `/proc` adds
    /// executables and arguments.
    pub(super) fn of_facts(
        &mut self,
        proc: &ProcRoot,
        facts: &[capture::Ancestor],
        truncated: bool,
    ) -> Chain {
        let ancestors = facts
            .iter()
            .map(|ancestor| {
                let known = self.known_of(proc, &Identity::from(ancestor));
                describe(ancestor.tgid, &ancestor.name, known)
            })
            .collect();
        Chain {
            ancestors,
            truncated,
        }
    }

    /// The chain as `/proc` shows it now, for a sender whose ancestors the kernel
    /// side could not report. Ends at PID 1, or where a process is gone.
    pub(super) fn of_proc(&mut self, proc: &ProcRoot, sender: Option<&Live>) -> Chain {
        let mut chain = Chain::default();
        let mut parent = sender.map_or(0, |live| live.parent);
        while parent != 0 {
            if chain.ancestors.len() == MAX_ANCESTORS {
                chain.truncated = true;
                break;
            }
            let Some(live) = proc.find_any(parent) else {
                break;
            };
            let known = Known::of(&live);
            chain.ancestors.push(describe(parent, &live.name, known));
            parent = live.parent;
        }
        chain
    }

    fn known_of(&mut self, proc: &ProcRoot, identity: &Identity) -> Known {
        if let Some(known) = self.known.get(identity) {
            return known.clone();
        }
        let live = proc
            .find(identity.tgid, identity.start_boottime_ns)
            .filter(|live| live.name == identity.name);
        match live {
            Some(live) => {
                let known = Known::of(&live);
                self.known.insert(identity.clone(), known.clone());
                known
            }
            None => Known::default(),
        }
    }
}

impl Known {
    fn of(live: &Live) -> Self {
        let mut line = redact::args(&live.args).join(" ");
        if let Some((end, _)) = line.char_indices().nth(MAX_COMMAND_LINE) {
            line.truncate(end);
            line.push('…');
        }
        Self {
            executable: live.executable.clone(),
            command_line: Some(line).filter(|line| !line.is_empty()),
        }
    }
}

fn describe(pid: u32, name: &[u8], known: Known) -> Ancestor {
    Ancestor {
        pid,
        name: redact::text(name),
        executable: known.executable,
        command_line: known.command_line,
    }
}
