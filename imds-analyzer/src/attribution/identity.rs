//! What tells one program in one process from every other.

use crate::capture::{Ancestor, Task};

/// A process id is used again, a start time with it is not; and a process that
/// executes another program keeps both and counts that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) tgid: u32,
    pub(super) start_boottime_ns: u64,
    pub(super) exec_id: u64,
}

impl From<&Task> for Identity {
    fn from(task: &Task) -> Self {
        Self {
            tgid: task.tgid,
            start_boottime_ns: task.start_boottime_ns,
            exec_id: task.exec_id,
        }
    }
}

impl From<&Ancestor> for Identity {
    fn from(ancestor: &Ancestor) -> Self {
        Self {
            tgid: ancestor.tgid,
            start_boottime_ns: ancestor.start_boottime_ns,
            exec_id: ancestor.exec_id,
        }
    }
}
