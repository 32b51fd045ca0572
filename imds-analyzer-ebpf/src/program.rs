//! The program that a process runs, and where it runs it: what `/proc` says of a
//! live process, taken while it lives.
//!
//! A path is walked up from the executable's directory entry, name by name, as
//! `d_path` does it, and out of each mount at its mount point. The walk takes no
//! lock: a directory that is renamed meanwhile may make a path that never was, so
//! the daemon trusts device and inode, which cannot change.
//!
//! Each walk is a function of its own for the verifier's sake: inlined into a large
//! program, its counter may be spilled to the stack as 32 bits, which kernels before
//! 5.16 forget, and then every loop is an infinite one to them.

use core::ffi::c_void;

use aya_ebpf::{Global, helpers::generated::bpf_probe_read_kernel_str};
use imds_analyzer_common::record::{
    CGROUP_NAME_LEN, MAX_CGROUP, MAX_PATH, PATH_IS_MOUNT, PATH_NAME_LEN, PROGRAM_CGROUP_WHOLE,
    PROGRAM_DELETED, PROGRAM_DETACHED, PROGRAM_PATH_WHOLE, ProgramFacts,
};

use crate::{
    globals::{self, ABSENT},
    kernel,
};

/// A program as it lies in the ring buffer.
#[repr(C)]
pub struct Program {
    facts: ProgramFacts,
    path: [[u8; PATH_NAME_LEN]; MAX_PATH],
    cgroup: [[u8; CGROUP_NAME_LEN]; MAX_CGROUP],
}

/// Notes what the process of `task` runs.
///
/// # Safety
/// `to` must be valid for writes of a [`Program`].
#[inline(always)]
pub unsafe fn note(to: *mut Program, task: u64) {
    // SAFETY: the caller vouches for `to`, and each walk is given its own part.
    unsafe {
        let facts = &mut (*to).facts;
        facts.flags = 0;
        facts.path_names = 0;
        let file = executable(task);
        (facts.device, facts.inode) = file_identity(file);
        if globals::DENTRY_NAME.load() != ABSENT {
            walk_path(facts, &raw mut (*to).path, file);
        }
        walk_cgroup(facts, &raw mut (*to).cgroup, task);
        note_namespaces(facts, task);
    }
}

/// Address of the file that the process of `task` executes; 0 for a kernel thread.
#[inline(always)]
pub fn executable(task: u64) -> u64 {
    // Of no memory it reads nothing, and no branch makes the verifier look twice.
    let mm = kernel::read_or_zero(task, &globals::TASK_MM);
    kernel::read_known(mm, &globals::MM_EXE_FILE)
}

/// Device and inode of a file.
#[inline(always)]
pub fn file_identity(file: u64) -> (u32, u64) {
    let inode = kernel::read_known(file, &globals::FILE_INODE);
    let superblock = kernel::read_known(inode, &globals::INODE_SB);
    (
        kernel::read_known(superblock, &globals::SB_DEV),
        kernel::read_known(inode, &globals::INODE_INO),
    )
}

/// Walks from the entry of `file` up to the root of its mount tree.
///
/// # Safety
/// `to` must be valid for writes.
#[inline(never)]
unsafe fn walk_path(facts: &mut ProgramFacts, to: *mut [[u8; PATH_NAME_LEN]; MAX_PATH], file: u64) {
    let mut entry: u64 = kernel::read_or_zero(file, &globals::FILE_DENTRY);
    let mut mount: u64 = kernel::read_or_zero(file, &globals::FILE_MOUNT);
    if kernel::read_or_zero::<u64>(entry, &globals::DENTRY_HASHED) == 0 {
        facts.flags |= PROGRAM_DELETED;
    }
    for index in 0..MAX_PATH {
        // SAFETY: `index` is below MAX_PATH; the caller vouches for `to`.
        let name = unsafe { &raw mut (*to)[index] };
        let root: u64 = kernel::read_or_zero(mount, &globals::VFSMOUNT_ROOT);
        let above: u64 = kernel::read_or_zero(entry, &globals::DENTRY_PARENT);
        if entry == root {
            // SAFETY: as above.
            unsafe { (*name)[0] = PATH_IS_MOUNT };
            let tree = mount.wrapping_sub(u64::from(globals::MOUNT_VFSMOUNT.load()));
            let parent: u64 = kernel::read_or_zero(tree, &globals::MOUNT_PARENT);
            if parent == tree {
                facts.flags |= PROGRAM_PATH_WHOLE;
                break;
            }
            entry = kernel::read_or_zero(tree, &globals::MOUNT_POINT);
            mount = parent.wrapping_add(u64::from(globals::MOUNT_VFSMOUNT.load()));
        } else {
            // SAFETY: as above.
            unsafe { copy_name(name.cast(), PATH_NAME_LEN, entry, &globals::DENTRY_NAME) };
            if above == entry || above == 0 {
                // A root that is mounted nowhere: the file never had a path.
                facts.flags |= PROGRAM_DETACHED;
                facts.path_names = index as u32 + 1;
                break;
            }
            entry = above;
        }
        facts.path_names = index as u32 + 1;
    }
}

/// Walks from the cgroup of `task` in the unified hierarchy up to its root.
///
/// # Safety
/// `to` must be valid for writes.
#[inline(never)]
unsafe fn walk_cgroup(
    facts: &mut ProgramFacts,
    to: *mut [[u8; CGROUP_NAME_LEN]; MAX_CGROUP],
    task: u64,
) {
    facts.cgroup_names = 0;
    facts.cgroup_id = 0;
    if globals::KERNFS_NAME.load() == ABSENT {
        return;
    }
    let set: u64 = kernel::read_or_zero(task, &globals::TASK_CGROUPS);
    let cgroup: u64 = kernel::read_or_zero(set, &globals::CSS_SET_DEFAULT);
    let mut node: u64 = kernel::read_or_zero(cgroup, &globals::CGROUP_NODE);
    kernel::read_into(&mut facts.cgroup_id, node, &globals::KERNFS_ID);
    for index in 0..MAX_CGROUP {
        let above: u64 = kernel::read_or_zero(node, &globals::KERNFS_PARENT);
        if above == 0 {
            facts.flags |= PROGRAM_CGROUP_WHOLE;
            break;
        }
        // SAFETY: `index` is below MAX_CGROUP; the caller vouches for `to`.
        unsafe {
            let name = &raw mut (*to)[index];
            copy_name(name.cast(), CGROUP_NAME_LEN, node, &globals::KERNFS_NAME);
        }
        facts.cgroup_names = index as u32 + 1;
        node = above;
    }
}

/// Copies the name that the object at `address` points to. One that cannot be read
/// becomes empty, one that does not fit is cut: the daemon takes neither for a name.
///
/// # Safety
/// `to` must be valid for writes of `len` bytes.
#[inline(always)]
unsafe fn copy_name(to: *mut c_void, len: usize, address: u64, pointer: &Global<u32>) {
    let name: u64 = kernel::read_or_zero(address, pointer);
    // SAFETY: the caller vouches for `to`; the helper checks `name`, ends what it
    // copies with a NUL, and clears `to` if it cannot read.
    unsafe { bpf_probe_read_kernel_str(to, len as u32, name as *const c_void) };
}

#[inline(never)]
fn note_namespaces(facts: &mut ProgramFacts, task: u64) {
    let namespaces: u64 = kernel::read_known(task, &globals::TASK_NSPROXY);
    let mount: u64 = kernel::read_known(namespaces, &globals::NSPROXY_MNT);
    let net: u64 = kernel::read_known(namespaces, &globals::NSPROXY_NET);
    facts.mount_ns = kernel::read_known(mount, &globals::MNT_NS_INUM);
    facts.net_ns = kernel::read_known(net, &globals::NET_INUM);
    let leader: u64 = kernel::read_or_zero(task, &globals::TASK_GROUP_LEADER);
    let pid: u64 = kernel::read_known(leader, &globals::TASK_THREAD_PID);
    let level: u32 = kernel::read_known(pid, &globals::PID_LEVEL);
    // `struct upid numbers[]`: the innermost namespace's is the last.
    let size = globals::UPID_SIZE.load();
    let innermost = pid.wrapping_add(u64::from(level) * u64::from(size));
    facts.ns_tgid = kernel::read_known(innermost, &globals::PID_NUMBERS);
    let namespace: u64 = kernel::read_known(innermost, &globals::PID_NUMBERS_NS);
    facts.pid_ns = kernel::read_known(namespace, &globals::PID_NS_INUM);
}

/// Inode of the network namespace of `task`.
#[inline(always)]
pub fn net_ns(task: u64) -> u32 {
    let namespaces: u64 = kernel::read_known(task, &globals::TASK_NSPROXY);
    let net: u64 = kernel::read_known(namespaces, &globals::NSPROXY_NET);
    kernel::read_known(net, &globals::NET_INUM)
}
