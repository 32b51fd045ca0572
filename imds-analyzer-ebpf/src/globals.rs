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
    /// `cred.euid`
    CRED_EUID = ABSENT;
    /// `cred.egid`
    CRED_EGID = ABSENT;
}
