//! Who sent: the process, its user, container and unit, and its ancestors.
//!
//! The kernel's facts at the moment of the send are the truth: ids, names,
//! arguments, ancestors. `/proc` adds what they lack, and is believed only while
//! it shows the same process: the same start time, and the same name, because a
//! process may exec after it sent.

mod cgroup;
mod chain;
mod identity;
mod proc;
mod recent;
mod users;

use std::{path::PathBuf, rc::Rc, sync::Arc};

use crate::{
    capture::{Ancestor, Task},
    clock::{self, Clock},
    record, redact,
};

use identity::Identity;
use proc::{Live, ProcRoot};
use recent::Recent;
use users::Users;

/// Senders whose facts and attributions are remembered.
const MAX_SENDERS: usize = 2048;

/// How long an attribution is used without looking again, nanoseconds: a process
/// may be moved to another cgroup, or lose its parent.
const FRESH_NS: u64 = 1_000_000_000;

/// What the record says of the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The process.
    pub process: record::Process,
    /// Names from the process up: `curl < backup.sh < cron < systemd`.
    pub lineage: String,
    /// The processes above it, nearest first.
    pub ancestors: Vec<record::Ancestor>,
    /// The chain was longer than what is kept.
    pub ancestors_truncated: bool,
}

/// What the kernel side told of a sender beside its chunks.
#[derive(Clone, Default)]
struct Facts {
    /// Escaped and free of secrets.
    args: Option<Vec<String>>,
    ancestors: Option<(Vec<Ancestor>, bool)>,
}

struct Learnt {
    at_ns: u64,
    task: Task,
    attribution: Rc<Attribution>,
}

/// Names senders.
pub struct Attributor {
    proc: ProcRoot,
    users: Users,
    facts: Recent<Identity, Facts>,
    learnt: Recent<Identity, Learnt>,
    chain: chain::Chains,
    clock: Arc<Clock>,
}

impl Attributor {
    /// Reads processes below `root/proc` and users from `root/etc/passwd`.
    pub fn new(root: impl Into<PathBuf>, clock: Arc<Clock>) -> Self {
        let root = root.into();
        Self {
            users: Users::new(root.join("etc/passwd")),
            proc: ProcRoot::new(root.join("proc")),
            facts: Recent::new(MAX_SENDERS),
            learnt: Recent::new(MAX_SENDERS),
            chain: chain::Chains::default(),
            clock,
        }
    }

    /// Takes note of the arguments of a sender, as they were when it sent.
    pub fn note_args(&mut self, task: &Task, args: &[Vec<u8>], truncated: bool) {
        let mut args = redact::args(args);
        if truncated {
            args.push("…".to_owned());
        }
        self.facts_of(task).args = Some(args).filter(|args| !args.is_empty());
    }

    /// Takes note of the ancestors of a sender, nearest first.
    pub fn note_ancestors(&mut self, task: &Task, ancestors: Vec<Ancestor>, truncated: bool) {
        self.facts_of(task).ancestors = Some((ancestors, truncated));
    }

    fn facts_of(&mut self, task: &Task) -> &mut Facts {
        let identity = Identity::from(task);
        if self.facts.get(&identity).is_none() {
            self.facts.insert(identity.clone(), Facts::default());
        }
        // It was inserted just now; a map of capacity 0 would be a bug.
        self.facts.get_mut(&identity).expect("just inserted")
    }

    /// Names the task that sent, at `now_ns` of the boot-time clock.
    pub fn attribute(&mut self, task: &Task, now_ns: u64) -> Rc<Attribution> {
        let identity = Identity::from(task);
        let known = self.learnt.get(&identity);
        if let Some(known) = known
            && known.task == *task
            && now_ns.saturating_sub(known.at_ns) < FRESH_NS
        {
            return Rc::clone(&known.attribution);
        }
        let live = self.proc.find(task.tgid, task.start_boottime_ns);
        let mut found = self.describe(task, &identity, live);
        if found.process.exited
            && let Some(known) = self.learnt.get(&identity)
        {
            // What was learnt while it lived is still true of it.
            let before = &known.attribution.process;
            found.process.executable = before.executable.clone();
            found.process.container = before.container.clone();
            found.process.systemd_unit = before.systemd_unit.clone();
        }
        let attribution = Rc::new(found);
        let learnt = Learnt {
            at_ns: now_ns,
            task: task.clone(),
            attribution: Rc::clone(&attribution),
        };
        self.learnt.insert(identity, learnt);
        attribution
    }

    fn describe(&mut self, task: &Task, identity: &Identity, live: Option<Live>) -> Attribution {
        let exited = live.is_none();
        // Another name means another program in the same process.
        let live = live.filter(|live| live.name == task.process_name);
        let facts = self.facts.get(identity).cloned().unwrap_or_default();
        let chain = match facts.ancestors {
            Some((ancestors, truncated)) => self.chain.of_facts(&self.proc, &ancestors, truncated),
            None => self.chain.of_proc(&self.proc, live.as_ref()),
        };
        let place = live.as_ref().map(|live| cgroup::Place::of(&live.cgroup));
        let place = place.unwrap_or_default();
        let name = redact::text(&task.process_name);
        let lineage = std::iter::once(name.as_str())
            .chain(
                chain
                    .ancestors
                    .iter()
                    .map(|ancestor| ancestor.name.as_str()),
            )
            .collect::<Vec<_>>()
            .join(" < ");
        let user_name = match place.container {
            // Its users are in its own passwd file.
            Some(_) => None,
            None => self.users.name(task.uid),
        };
        let args_of_live = || live.as_ref().map(|live| redact::args(&live.args));
        Attribution {
            process: record::Process {
                pid: task.tgid,
                tid: task.tid,
                start_time: (task.start_boottime_ns != 0)
                    .then(|| clock::rfc3339(self.clock.at(task.start_boottime_ns))),
                name,
                thread_name: (task.thread_name != task.process_name)
                    .then(|| redact::text(&task.thread_name)),
                executable: live.as_ref().and_then(|live| live.executable.clone()),
                args: facts
                    .args
                    .or_else(args_of_live)
                    .filter(|args| !args.is_empty()),
                user: record::User {
                    id: task.uid,
                    name: user_name,
                },
                container: place.container,
                systemd_unit: place.systemd_unit,
                exited,
            },
            lineage,
            ancestors: chain.ancestors,
            ancestors_truncated: chain.truncated,
        }
    }
}

#[cfg(test)]
mod tests;
