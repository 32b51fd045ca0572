//! The task that is running: what `/proc` cannot tell once it is gone.
//!
//! Everything is read from `current` by BTF offset, because the helpers for it
//! are not available to every program type: cgroup_skb programs are refused
//! `bpf_get_current_uid_gid` even on 6.12 and `bpf_get_current_pid_tgid` before
//! 6.10, but may read kernel memory.

use aya_ebpf::helpers::bpf_get_current_task;
use imds_analyzer_common::record::{AncestorFacts, COMM_LEN, TaskFacts};

use crate::{
    globals::{self, ABSENT},
    kernel,
};

/// `PF_KTHREAD` (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// No task: every fact is unknown.
pub const NOBODY: TaskFacts = TaskFacts {
    start_boottime_ns: 0,
    tgid: 0,
    tid: 0,
    uid: 0,
    gid: 0,
    thread_name: [0; COMM_LEN],
    process_name: [0; COMM_LEN],
};

/// Address of the running `task_struct`; identifies a thread while it lives.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: the helper takes no argument and returns the address of `current`.
    unsafe { bpf_get_current_task() }
}

/// Facts of the running task. A fact that cannot be read is zero, never a guess.
#[inline(always)]
pub fn facts() -> TaskFacts {
    let task = sender(current());
    let leader = kernel::read(task, &globals::TASK_GROUP_LEADER).unwrap_or(task);
    let cred = cred(task);
    TaskFacts {
        start_boottime_ns: kernel::read(leader, &globals::TASK_START_BOOTTIME).unwrap_or(0),
        tgid: kernel::read(task, &globals::TASK_TGID).unwrap_or(0),
        tid: kernel::read(task, &globals::TASK_PID).unwrap_or(0),
        uid: kernel::read(cred, &globals::CRED_EUID).unwrap_or(0),
        gid: kernel::read(cred, &globals::CRED_EGID).unwrap_or(0),
        thread_name: comm(task),
        process_name: comm(leader),
    }
}

/// Whether two notes are of the same program in the same process.
#[inline(always)]
pub fn is_same_process(one: &TaskFacts, other: &TaskFacts) -> bool {
    one.start_boottime_ns == other.start_boottime_ns
        && one.tgid == other.tgid
        && u128::from_ne_bytes(one.process_name) == u128::from_ne_bytes(other.process_name)
}

/// Main thread of the parent of the process that `task` belongs to; 0 above the first.
#[inline(always)]
pub fn parent(task: u64) -> u64 {
    let leader: u64 = kernel::read(task, &globals::TASK_GROUP_LEADER).unwrap_or(0);
    let parent: u64 = kernel::read(leader, &globals::TASK_REAL_PARENT).unwrap_or(0);
    kernel::read(parent, &globals::TASK_GROUP_LEADER).unwrap_or(0)
}

/// What is kept of an ancestor, given its main thread. `None` for the idle task,
/// which is the parent of PID 1.
#[inline(always)]
pub fn ancestor(leader: u64) -> Option<AncestorFacts> {
    let tgid: u32 = kernel::read(leader, &globals::TASK_TGID).ok()?;
    if tgid == 0 {
        return None;
    }
    Some(AncestorFacts {
        start_boottime_ns: kernel::read(leader, &globals::TASK_START_BOOTTIME).unwrap_or(0),
        tgid,
        uid: kernel::read(cred(leader), &globals::CRED_EUID).unwrap_or(0),
        name: comm(leader),
    })
}

/// Where the running task's arguments lie in its memory: address and length.
#[inline(always)]
pub fn args() -> Option<(u64, u64)> {
    let mm: u64 = kernel::read(current(), &globals::TASK_MM).ok()?;
    let start: u64 = kernel::read(mm, &globals::MM_ARG_START).ok()?;
    let end: u64 = kernel::read(mm, &globals::MM_ARG_END).ok()?;
    (start != 0 && end > start).then(|| (start, end - start))
}

#[inline(always)]
fn cred(task: u64) -> u64 {
    kernel::read(task, &globals::TASK_CRED).unwrap_or(0)
}

#[inline(always)]
fn comm(task: u64) -> [u8; COMM_LEN] {
    kernel::read(task, &globals::TASK_COMM).unwrap_or([0; COMM_LEN])
}

/// The task to name for a send by `task`: itself, unless it is a kernel thread
/// that works in a process's memory (io_uring's SQPOLL thread before 5.12).
#[inline(always)]
pub fn sender(task: u64) -> u64 {
    if globals::MM_OWNER.load() == ABSENT {
        return task;
    }
    let flags: u32 = kernel::read(task, &globals::TASK_FLAGS).unwrap_or(0);
    if flags & PF_KTHREAD == 0 {
        return task;
    }
    let mm: u64 = kernel::read(task, &globals::TASK_MM).unwrap_or(0);
    if mm == 0 {
        return task;
    }
    match kernel::read(mm, &globals::MM_OWNER) {
        Ok(owner) if owner != 0 => owner,
        _ => task,
    }
}
