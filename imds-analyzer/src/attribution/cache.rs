//! What was learnt of recent senders, so that a busy one is not read from
//! `/proc` at every request, and one that is gone is still known.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::Attribution;
use crate::capture::Task;

/// Senders that are remembered.
const MAX_SENDERS: usize = 1024;

/// How long an attribution is used without looking again, nanoseconds: a process
/// may be moved to another cgroup, or lose its parent.
const FRESH_NS: u64 = 1_000_000_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sender {
    start_boottime_ns: u64,
    tgid: u32,
    tid: u32,
    uid: u32,
    gid: u32,
    process_name: Vec<u8>,
    thread_name: Vec<u8>,
}

impl From<&Task> for Sender {
    fn from(task: &Task) -> Self {
        Self {
            start_boottime_ns: task.start_boottime_ns,
            tgid: task.tgid,
            tid: task.tid,
            uid: task.uid,
            gid: task.gid,
            process_name: task.process_name.clone(),
            thread_name: task.thread_name.clone(),
        }
    }
}

struct Entry {
    learnt_ns: u64,
    order: u64,
    attribution: Rc<Attribution>,
}

#[derive(Default)]
pub(super) struct Cache {
    senders: HashMap<Sender, Entry>,
    /// Senders by when they were learnt.
    by_age: BTreeMap<u64, Sender>,
    next: u64,
}

impl Cache {
    /// What was learnt of the task within the last second.
    pub(super) fn fresh(&self, task: &Task, now_ns: u64) -> Option<Rc<Attribution>> {
        let entry = self.senders.get(&Sender::from(task))?;
        let age = now_ns.saturating_sub(entry.learnt_ns);
        (age < FRESH_NS).then(|| Rc::clone(&entry.attribution))
    }

    /// What was ever learnt of the task.
    pub(super) fn any(&self, task: &Task) -> Option<Rc<Attribution>> {
        let entry = self.senders.get(&Sender::from(task))?;
        Some(Rc::clone(&entry.attribution))
    }

    /// Remembers what was learnt, and forgets the oldest if there is no room.
    pub(super) fn keep(
        &mut self,
        task: &Task,
        now_ns: u64,
        attribution: Attribution,
    ) -> Rc<Attribution> {
        let attribution = Rc::new(attribution);
        let (sender, order) = (Sender::from(task), self.next);
        self.next += 1;
        let entry = Entry {
            learnt_ns: now_ns,
            order,
            attribution: Rc::clone(&attribution),
        };
        if let Some(former) = self.senders.insert(sender.clone(), entry) {
            self.by_age.remove(&former.order);
        }
        self.by_age.insert(order, sender);
        if self.senders.len() > MAX_SENDERS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.senders.remove(&oldest);
        }
        attribution
    }
}
