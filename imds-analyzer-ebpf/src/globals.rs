//! Values that the daemon sets before the programs are loaded.
//!
//! Each is a scalar of its own, because loading a large struct would copy it to
//! the 512-byte stack. They live in `.rodata`, which is frozen before the
//! programs are verified, so the verifier folds them into constants and drops
//! the branches that they rule out.
//!
//! The defaults are never used: the daemon refuses to load the programs if it
//! cannot set a mandatory one (`capture/layout.rs`).

use aya_ebpf::Global;

/// An offset or enum value that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! globals {
    ($($(#[$doc:meta])* $name:ident = $default:expr;)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub static $name: Global<u32> = Global::new($default);
        )*
    };
}

globals! {
    /// Bits that no watched port has (`other_port_bits` of the common crate).
    OTHER_PORT_BITS = 0;
    /// Inode of the one network namespace to watch, or 0 for all.
    WATCHED_NETNS = 0;
    /// Whether a program on the wire is attached.
    WIRE_HOOKED = 0;
    /// Whether responses are seen as they are taken, and not as they arrive.
    TAKES_HOOKED = 0;

    /// `sock_common.skc_family`
    SKC_FAMILY = ABSENT;
    /// `sock_common.skc_state`
    SKC_STATE = ABSENT;
    /// `sock_common.skc_dport`
    SKC_DPORT = ABSENT;
    /// `sock_common.skc_daddr`
    SKC_DADDR = ABSENT;
    /// `sock_common.skc_v6_daddr`
    SKC_V6_DADDR = ABSENT;
    /// `sock_common.skc_net.net`
    SKC_NET = ABSENT;
    /// `sock.sk_lock.owned`
    SK_LOCK_OWNED = ABSENT;
    /// `tcp_sock.write_seq`
    TCP_WRITE_SEQ = ABSENT;
    /// `tcp_sock.copied_seq`
    TCP_COPIED_SEQ = ABSENT;
    /// `tcp_sock.rcv_nxt`
    TCP_RCV_NXT = ABSENT;
    /// `tcp_sock.snd_una`
    TCP_SND_UNA = ABSENT;
    /// Place of `flags` among the parameters of `tcp_recvmsg`, from 0: 3 (5.19 and later)
    /// or 4.
    RECEIVE_FLAGS = ABSENT;
    /// `net.ns.inum`
    NET_INUM = ABSENT;
    /// `sk_buff.sk`
    SKB_SK = ABSENT;

    /// `msghdr.msg_name`
    MSG_NAME = ABSENT;
    /// `msghdr.msg_flags`
    MSG_FLAGS = ABSENT;
    /// `msghdr.msg_iter`
    MSG_ITER = ABSENT;
    /// `iov_iter.iter_type` (5.14 and later) or `iov_iter.type`
    ITER_TYPE = ABSENT;
    /// Size of that member in bytes, 1 or 4.
    ITER_TYPE_SIZE = ABSENT;
    /// Bits of it that say something else than the type (the direction, before 5.14).
    ITER_TYPE_IGNORED = 0;
    /// `iov_iter.iov_offset`
    ITER_OFFSET = ABSENT;
    /// `iov_iter.count`
    ITER_COUNT = ABSENT;
    /// `iov_iter.__iov` or `iov_iter.iov`
    ITER_IOV = ABSENT;
    /// `iov_iter.ubuf` (6.0 and later)
    ITER_UBUF = ABSENT;
    /// `iov_iter.nr_segs`
    ITER_NR_SEGS = ABSENT;
    /// `ITER_UBUF` (6.0 and later)
    ITER_IS_UBUF = ABSENT;
    /// `ITER_IOVEC`
    ITER_IS_IOVEC = ABSENT;
    /// `ITER_KVEC`
    ITER_IS_KVEC = ABSENT;

    /// `task_struct.pid`
    TASK_PID = ABSENT;
    /// `task_struct.tgid`
    TASK_TGID = ABSENT;
    /// `task_struct.flags`
    TASK_FLAGS = ABSENT;
    /// `task_struct.mm`
    TASK_MM = ABSENT;
    /// `task_struct.comm`
    TASK_COMM = ABSENT;
    /// `task_struct.cred`
    TASK_CRED = ABSENT;
    /// `task_struct.group_leader`
    TASK_GROUP_LEADER = ABSENT;
    /// `task_struct.real_parent`
    TASK_REAL_PARENT = ABSENT;
    /// `task_struct.start_boottime`
    TASK_START_BOOTTIME = ABSENT;
    /// `mm_struct.owner` (kernels with CONFIG_MEMCG)
    MM_OWNER = ABSENT;
    /// `mm_struct.arg_start`
    MM_ARG_START = ABSENT;
    /// `mm_struct.arg_end`
    MM_ARG_END = ABSENT;
    /// `task_struct.self_exec_id`
    TASK_EXEC_ID = ABSENT;
    /// `task_struct.nsproxy`
    TASK_NSPROXY = ABSENT;
    /// `task_struct.thread_pid`
    TASK_THREAD_PID = ABSENT;
    /// `task_struct.cgroups`
    TASK_CGROUPS = ABSENT;
    /// `cred.euid`
    CRED_EUID = ABSENT;
    /// `cred.egid`
    CRED_EGID = ABSENT;

    /// `mm_struct.exe_file`
    MM_EXE_FILE = ABSENT;
    /// `file.f_inode`
    FILE_INODE = ABSENT;
    /// `file.f_path.dentry`
    FILE_DENTRY = ABSENT;
    /// `file.f_path.mnt`
    FILE_MOUNT = ABSENT;
    /// `inode.i_ino`
    INODE_INO = ABSENT;
    /// `inode.i_sb`
    INODE_SB = ABSENT;
    /// `super_block.s_dev`
    SB_DEV = ABSENT;
    /// `dentry.d_parent`
    DENTRY_PARENT = ABSENT;
    /// `dentry.d_name.name`; absent if anything that a path needs is absent.
    DENTRY_NAME = ABSENT;
    /// `dentry.d_hash.pprev`
    DENTRY_HASHED = ABSENT;
    /// `vfsmount.mnt_root`
    VFSMOUNT_ROOT = ABSENT;
    /// `mount.mnt`
    MOUNT_VFSMOUNT = ABSENT;
    /// `mount.mnt_parent`
    MOUNT_PARENT = ABSENT;
    /// `mount.mnt_mountpoint`
    MOUNT_POINT = ABSENT;

    /// `css_set.dfl_cgrp`
    CSS_SET_DEFAULT = ABSENT;
    /// `cgroup.kn`
    CGROUP_NODE = ABSENT;
    /// `kernfs_node.id`
    KERNFS_ID = ABSENT;
    /// `kernfs_node.__parent` (6.15 and later) or `kernfs_node.parent`
    KERNFS_PARENT = ABSENT;
    /// `kernfs_node.name`; absent if anything that a cgroup's path needs is absent.
    KERNFS_NAME = ABSENT;

    /// `nsproxy.mnt_ns`
    NSPROXY_MNT = ABSENT;
    /// `nsproxy.net_ns`
    NSPROXY_NET = ABSENT;
    /// `mnt_namespace.ns.inum`
    MNT_NS_INUM = ABSENT;
    /// `pid_namespace.ns.inum`
    PID_NS_INUM = ABSENT;
    /// `pid.level`
    PID_LEVEL = ABSENT;
    /// Size of `struct upid`.
    UPID_SIZE = 0;
    /// `pid.numbers[0].nr`
    PID_NUMBERS = ABSENT;
    /// `pid.numbers[0].ns`
    PID_NUMBERS_NS = ABSENT;
}
