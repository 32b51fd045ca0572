//! Who sent: the process, its user, container and unit, and its ancestors.
//!
//! The kernel's facts at the moment of the send are the truth. `/proc` adds what
//! they lack, and is believed only while it shows the same process: the same
//! start time, and the same name, because a process may exec after it sent. Of a
//! process that is gone the facts remain, and its parent, from which the chain
//! is followed on.

mod cache;
mod cgroup;
mod chain;
mod proc;
mod users;

use std::{path::PathBuf, rc::Rc};

use crate::{capture::Task, clock, clock::Clock, record, redact};

use cache::Cache;
use chain::Chain;
use proc::ProcRoot;
use users::Users;

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

/// Names senders.
pub struct Attributor {
    proc: ProcRoot,
    users: Users,
    cache: Cache,
    clock: std::sync::Arc<Clock>,
}

impl Attributor {
    /// Reads processes below `root/proc` and users from `root/etc/passwd`.
    pub fn new(root: impl Into<PathBuf>, clock: std::sync::Arc<Clock>) -> Self {
        let root = root.into();
        Self {
            users: Users::new(root.join("etc/passwd")),
            proc: ProcRoot::new(root.join("proc")),
            cache: Cache::default(),
            clock,
        }
    }

    /// Names the task that sent at `now_ns` of the boot-time clock.
    pub fn attribute(&mut self, task: &Task, now_ns: u64) -> Rc<Attribution> {
        if let Some(known) = self.cache.fresh(task, now_ns) {
            return known;
        }
        let found = self.look_up(task);
        if found.process.exited
            && let Some(known) = self.cache.any(task)
        {
            // What was learnt while it lived is still true of it.
            let mut known = (*known).clone();
            known.process.exited = true;
            return self.cache.keep(task, now_ns, known);
        }
        self.cache.keep(task, now_ns, found)
    }

    fn look_up(&mut self, task: &Task) -> Attribution {
        let live = self.proc.find(task.tgid, task.start_boottime_ns);
        let exited = live.is_none();
        // Another name means another program in the same process.
        let live = live.filter(|process| process.name == redact::text(&task.process_name));
        let parent = match &live {
            Some(process) => Some(process.parent),
            None => self.proc.parent_of_gone(task),
        };
        let chain = Chain::follow(&self.proc, parent);
        let place = live
            .as_ref()
            .map(|process| cgroup::Place::of(&process.cgroup));
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
        Attribution {
            process: record::Process {
                pid: task.tgid,
                tid: task.tid,
                start_time: (task.start_boottime_ns != 0)
                    .then(|| clock::rfc3339(self.clock.at(task.start_boottime_ns))),
                name,
                thread_name: (task.thread_name != task.process_name)
                    .then(|| redact::text(&task.thread_name)),
                executable: live.as_ref().and_then(|process| process.executable.clone()),
                args: live
                    .map(|process| redact::args(&process.args))
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
