//! Who sent: the process, its user, container and unit, and its ancestors.
//!
//! The kernel's facts at the moment of the send are the truth: ids, names,
//! arguments, executable, cgroup, namespaces, ancestors. `/proc` adds what they lack,
//! and is believed only while it shows the same process, which its start time tells.
//! A process may exec after it sent, so executable and arguments are believed only of
//! the same file, see [`executable`]. What `/proc` told while a sender lived, and what
//! processes told as they executed their programs, stays true once they are gone.

mod cgroup;
mod chain;
mod executable;
mod facts;
mod identity;
mod proc;
pub(crate) mod recent;
mod session;
mod users;

use std::{path::PathBuf, sync::Arc};

use crate::{
    capture::{self, Ancestor, Program, Task},
    clock::{self, Clock},
    record, redact,
};

use cgroup::Place;
use chain::{Chain, Chains};
use executable::Shown;
use facts::{FactsOf, News};
use identity::Identity;
use proc::ProcRoot;
use recent::{Recent, Weight};
use users::Users;

/// Room for attributions that are remembered, bytes.
const MAX_LEARNT_BYTES: usize = 1024 * 1024;

/// How long what `/proc` said is used without looking again, nanoseconds: a
/// process may be moved to another cgroup, or lose its parent.
const FRESH_NS: u64 = 1_000_000_000;

fn is_fresh(at_ns: u64, now_ns: u64) -> bool {
    now_ns.saturating_sub(at_ns) < FRESH_NS
}

/// The container that the lines of a `/proc/PID/cgroup` tell.
pub(crate) fn container_of(cgroup: &str) -> Option<record::Container> {
    Place::of(cgroup).container
}

/// The name that a passwd file has for a user.
pub(crate) fn name_in_passwd(passwd: impl std::io::BufRead, uid: u32) -> Option<String> {
    users::find(passwd, uid)
}

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

/// An attribution, to be used again for the same sender.
struct Learnt {
    /// When it was made; `None` once the kernel side told more.
    at_ns: Option<u64>,
    /// Name of the process then, which it may change.
    name: Vec<u8>,
    /// Where the process runs, if that could ever be read.
    place: Option<Place>,
    attribution: Attribution,
}

/// Names senders.
pub struct Attributor {
    proc: ProcRoot,
    users: Users,
    facts: FactsOf,
    learnt: Recent<Identity, Learnt>,
    chains: Chains,
    clock: Arc<Clock>,
}

impl Attributor {
    /// Reads processes below `root/proc` and users from `root/etc/passwd`.
    pub fn new(root: impl Into<PathBuf>, clock: Arc<Clock>) -> Self {
        let root = root.into();
        Self {
            users: Users::new(root.join("etc/passwd")),
            proc: ProcRoot::new(root.join("proc")),
            facts: FactsOf::new(),
            learnt: Recent::new(MAX_LEARNT_BYTES),
            chains: Chains::new(),
            clock,
        }
    }

    /// Takes note of the arguments of a sender, as they were when it sent. An empty
    /// list says that they could not be read.
    pub fn note_args(&mut self, task: &Task, args: &[Vec<u8>], truncated: bool) {
        let news = self.facts.note_args(task, args, truncated);
        self.hear(task, news);
    }

    /// Takes note of what a sender runs, and where.
    pub fn note_program(&mut self, task: &Task, program: Program) {
        let news = self.facts.note_program(task, program);
        self.hear(task, news);
    }

    /// Takes note of the arguments that a process executed a program with: it may be
    /// above a sender later.
    pub fn note_exec_args(&mut self, task: &Task, args: &[Vec<u8>]) {
        self.chains.note_args(task, args);
    }

    /// Takes note of the program that a process executed.
    pub fn note_exec_program(&mut self, task: &Task, program: &Program) {
        self.chains.note_program(task, program);
    }

    /// Takes note of the ancestors of a sender, nearest first.
    pub fn note_ancestors(&mut self, task: &Task, ancestors: Vec<Ancestor>, truncated: bool) {
        let news = self.facts.note_ancestors(task, ancestors, truncated);
        self.hear(task, news);
    }

    /// Brings what was learnt into line with what the kernel side told.
    fn hear(&mut self, task: &Task, news: News) {
        if news == News::Nothing {
            return;
        }
        let identity = Identity::from(task);
        if let Some(mut learnt) = self.learnt.remove(&identity)
            && news != News::OtherArgs
        {
            learnt.at_ns = None;
            self.learnt.insert(identity, learnt);
        }
    }

    /// Names the task that sent, at `now_ns` of the boot-time clock.
    pub fn attribute(&mut self, task: &Task, now_ns: u64) -> Attribution {
        let identity = Identity::from(task);
        if let Some(learnt) = self.learnt.get(&identity)
            && learnt.at_ns.is_some_and(|at_ns| is_fresh(at_ns, now_ns))
            && learnt.attribution.process.user.id == task.uid
            && learnt.name == task.process_name
        {
            let mut attribution = learnt.attribution.clone();
            // Its threads differ in nothing else.
            attribution.process.tid = task.tid;
            attribution.process.thread_name = thread_name(task);
            return attribution;
        }
        let before = self.learnt.remove(&identity);
        let learnt = self.learn(task, &identity, before, now_ns);
        let attribution = learnt.attribution.clone();
        self.learnt.insert(identity, learnt);
        attribution
    }

    fn learn(
        &mut self,
        task: &Task,
        identity: &Identity,
        before: Option<Learnt>,
        now_ns: u64,
    ) -> Learnt {
        let live = self.proc.find(task.tgid, task.start_boottime_ns);
        let (place_before, before) =
            before.map_or((None, None), |it| (it.place, Some(it.attribution)));

        let facts = self.facts.get(identity);
        let told = facts.and_then(|facts| facts.program.clone());
        // Another program in the same process is not the sender.
        let program = live.as_ref().filter(|live| {
            let executable = live.executable.as_ref().zip(told.as_ref());
            executable
                .and_then(|(executable, told)| executable.is_of(told))
                .unwrap_or(live.name == task.process_name)
        });
        let chain = match facts.and_then(|facts| facts.ancestors.as_ref()) {
            Some((ancestors, truncated)) => self
                .chains
                .of_facts(&self.proc, ancestors, *truncated, now_ns),
            None => match (&live, &before) {
                (Some(live), _) => Chains::of_proc(&self.proc, live, now_ns),
                (None, Some(before)) => Chain {
                    ancestors: before.ancestors.clone(),
                    truncated: before.ancestors_truncated,
                    ..Chain::default()
                },
                (None, None) => Chain::default(),
            },
        };
        let (executable_before, file_before, args_before, session_before) =
            before.map_or((None, None, None, None), |before| {
                let process = before.process;
                let executable = process.executable.map(|path| Shown {
                    path,
                    state: process.executable_state,
                });
                let file = process.executable_file;
                (executable, file, process.args, process.session)
            });
        // As stat(2) gives it, if it can still be asked: lookups will ask it too.
        let executable_file = program
            .and_then(|live| live.executable.as_ref()?.file)
            .or(told.as_ref().and_then(|told| told.file))
            .map(|file| record::FileId {
                device: file.device,
                inode: file.inode,
            })
            .or(file_before);
        let executable = told
            .as_ref()
            .and_then(Shown::of)
            .or_else(|| Some(program?.executable.as_ref()?.shown()))
            .or(executable_before);
        let (executable, executable_state) =
            executable.map_or((None, None), |shown| (Some(shown.path), shown.state));
        let args = self
            .facts
            .args(identity, program.map(|live| live.args.as_slice()))
            .or(args_before);
        let place = told.as_ref().and_then(Place::told);
        let place = match (place, live.as_ref().map(|live| Place::of(&live.cgroup))) {
            // The kernel side knows the unified hierarchy only.
            (Some(told), Some(live)) => Some(told.completed_by(live)),
            (told, live) => told.or(live).or(place_before),
        };
        let is_on_host = match &place {
            // A container's users are in its own passwd file.
            Some(place) => place.container.is_none(),
            // Nobody can say any more; a user of the host is what it inherited.
            None => chain.host_user == Some(task.uid),
        };
        let name = redact::text(&task.process_name);
        let session = session::of(
            place.as_ref(),
            live.as_ref().and_then(|live| live.login),
            chain.scheduler,
            &mut self.users,
        );
        let process = record::Process {
            pid: task.tgid,
            tid: task.tid,
            start_time: (task.start_boottime_ns != 0)
                .then(|| clock::rfc3339(self.clock.at(task.start_boottime_ns))),
            thread_name: thread_name(task),
            executable,
            executable_state,
            executable_file,
            package: None,
            args,
            user: record::User {
                id: task.uid,
                name: if is_on_host {
                    self.users.name(task.uid)
                } else {
                    None
                },
            },
            container: place.as_ref().and_then(|place| place.container.clone()),
            kubernetes: place.as_ref().and_then(|place| place.kubernetes.clone()),
            ecs: place.as_ref().and_then(|place| place.ecs.clone()),
            systemd_unit: place.as_ref().and_then(|place| place.systemd_unit.clone()),
            systemd_user_unit: place
                .as_ref()
                .and_then(|place| place.systemd_user_unit.clone()),
            systemd_slice: place.as_ref().and_then(|place| place.systemd_slice.clone()),
            session: session.or(session_before),
            cgroup: told
                .as_ref()
                .and_then(|told| told.cgroup.as_deref())
                .map(redact::text),
            namespaced_pid: told
                .as_ref()
                .map(|told| told.ns_tgid)
                .filter(|pid| *pid != 0 && *pid != task.tgid),
            namespaces: told.as_ref().and_then(|told| namespaces(told.namespaces)),
            exited: live.is_none(),
            name,
        };
        Learnt {
            at_ns: Some(now_ns),
            name: task.process_name.clone(),
            place,
            attribution: Attribution {
                lineage: lineage(&process, &chain.ancestors),
                process,
                ancestors: chain.ancestors,
                ancestors_truncated: chain.truncated,
            },
        }
    }
}

/// `None` if one of them is unknown: the kernel's type information lacks it.
fn namespaces(told: capture::Namespaces) -> Option<record::Namespaces> {
    let capture::Namespaces { pid, mount, net } = told;
    (pid != 0 && mount != 0 && net != 0).then_some(record::Namespaces { pid, mount, net })
}

fn thread_name(task: &Task) -> Option<String> {
    (task.thread_name != task.process_name).then(|| redact::text(&task.thread_name))
}

/// A name that holds the separator must not look like two.
fn lineage(process: &record::Process, ancestors: &[record::Ancestor]) -> String {
    let mut lineage = process.name.replace('<', "\\x3c");
    for ancestor in ancestors {
        lineage.push_str(" < ");
        lineage.push_str(&ancestor.name.replace('<', "\\x3c"));
    }
    lineage
}

impl Weight for Learnt {
    fn heap_bytes(&self) -> usize {
        let process = &self.attribution.process;
        // Where it runs is in the place and in the record.
        let place = 2 * self.place.as_ref().map_or(0, Weight::heap_bytes);
        place
            + process.start_time.heap_bytes()
            + process.name.heap_bytes()
            + process.thread_name.heap_bytes()
            + self.name.capacity()
            + process.executable.heap_bytes()
            + process.cgroup.heap_bytes()
            + process.args.heap_bytes()
            + process.user.name.heap_bytes()
            + process.session.as_ref().map_or(0, |session| {
                let user = session.user.as_ref();
                session.id.heap_bytes() + user.map_or(0, |user| user.name.heap_bytes())
            })
            + self.attribution.lineage.heap_bytes()
            + self.attribution.ancestors.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
