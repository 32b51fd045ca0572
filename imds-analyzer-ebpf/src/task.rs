//! The task that is running: what `/proc` cannot tell once it is gone.
//!
//! Everything is read from `current` by BTF offset, because the helpers for it
//! are not available to every program type: cgroup_skb programs are refused
//! `bpf_get_current_uid_gid` even on 6.12 and `bpf_get_current_pid_tgid` before
//! 6.10, but may read kernel memory.

use aya_ebpf::helpers::bpf_get_current_task;
use imds_analyzer_common::record::{AncestorFacts, TaskFacts};

use crate::{
    globals::{self, ABSENT},
    kernel, program,
};

/// `PF_KTHREAD` (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// Address of the running `task_struct`; identifies a thread while it lives.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: the helper takes no argument and returns the address of `current`.
    unsafe { bpf_get_current_task() }
}

/// What tells one program in one process from every other.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    start_boottime_ns: u64,
    exec_id: u64,
    tgid: u64,
}

impl Identity {
    /// Of the process in `facts`.
    #[inline(always)]
    pub fn of(facts: &TaskFacts) -> Self {
        Self {
            start_boottime_ns: facts.start_boottime_ns,
            exec_id: facts.exec_id,
            tgid: u64::from(facts.tgid),
        }
    }
}

/// Notes the running task in `facts`; says whether that is another process, or
/// another program in the same, than was noted there before. A fact that cannot
/// be read is zero, never a guess.
#[inline(always)]
pub fn note(facts: &mut TaskFacts) -> bool {
    let before = Identity::of(facts);
    let task = sender(current());
    if is_kernel_thread(task) {
        // It works for somebody else, whom we know better (MPTCP's worker).
        return false;
    }
    let leader = kernel::read_or_zero(task, &globals::TASK_GROUP_LEADER);
    let cred = kernel::read_or_zero(task, &globals::TASK_CRED);
    kernel::read_into(
        &mut facts.start_boottime_ns,
        leader,
        &globals::TASK_START_BOOTTIME,
    );
    kernel::read_into(&mut facts.exec_id, leader, &globals::TASK_EXEC_ID);
    kernel::read_into(&mut facts.tgid, task, &globals::TASK_TGID);
    kernel::read_into(&mut facts.tid, task, &globals::TASK_PID);
    kernel::read_into(&mut facts.uid, cred, &globals::CRED_EUID);
    kernel::read_into(&mut facts.gid, cred, &globals::CRED_EGID);
    kernel::read_into(&mut facts.thread_name, task, &globals::TASK_COMM);
    kernel::read_into(&mut facts.process_name, leader, &globals::TASK_COMM);
    before != Identity::of(facts)
}

/// Notes the process whose main thread is `leader` in `facts`; says whether there
/// is one: the idle task, which is the parent of PID 1, is none.
#[inline(always)]
pub fn note_ancestor(facts: &mut AncestorFacts, leader: u64) -> bool {
    let cred = kernel::read_or_zero(leader, &globals::TASK_CRED);
    kernel::read_into(
        &mut facts.start_boottime_ns,
        leader,
        &globals::TASK_START_BOOTTIME,
    );
    kernel::read_into(&mut facts.exec_id, leader, &globals::TASK_EXEC_ID);
    kernel::read_into(&mut facts.tgid, leader, &globals::TASK_TGID);
    kernel::read_into(&mut facts.uid, cred, &globals::CRED_EUID);
    kernel::read_into(&mut facts.name, leader, &globals::TASK_COMM);
    facts.reserved = 0;
    (facts.device, facts.inode) = program::file_identity(program::executable(leader));
    facts.tgid != 0
}

/// Main thread of the parent of the process that `task` belongs to; 0 above the first.
#[inline(always)]
pub fn parent(task: u64) -> u64 {
    let leader = kernel::read_or_zero(task, &globals::TASK_GROUP_LEADER);
    let parent = kernel::read_or_zero(leader, &globals::TASK_REAL_PARENT);
    kernel::read_or_zero(parent, &globals::TASK_GROUP_LEADER)
}

/// Whether there is a process with the main thread `leader`.
#[inline(always)]
pub fn exists(leader: u64) -> bool {
    kernel::read_or_zero::<u32>(leader, &globals::TASK_TGID) != 0
}

/// Where the running task's arguments lie in its memory: address and length, 0 if
/// it has none.
#[inline(always)]
pub fn args() -> (u64, u64) {
    let mm = kernel::read_or_zero(current(), &globals::TASK_MM);
    let start: u64 = kernel::read_or_zero(mm, &globals::MM_ARG_START);
    let end: u64 = kernel::read_or_zero(mm, &globals::MM_ARG_END);
    (start, end.saturating_sub(start))
}

/// The task to name for a send by `task`: itself, unless it is a kernel thread
/// that works in a process's memory (io_uring's SQPOLL thread before 5.12).
#[inline(always)]
pub fn sender(task: u64) -> u64 {
    if globals::MM_OWNER.load() == ABSENT {
        return task;
    }
    if !is_kernel_thread(task) {
        return task;
    }
    let mm = kernel::read_or_zero(task, &globals::TASK_MM);
    match kernel::read_or_zero(mm, &globals::MM_OWNER) {
        0 => task,
        owner => owner,
    }
}

#[inline(always)]
fn is_kernel_thread(task: u64) -> bool {
    kernel::read_or_zero::<u32>(task, &globals::TASK_FLAGS) & PF_KTHREAD != 0
}
