//! What the eBPF programs must know of this kernel, looked up in its BTF.
//!
//! The table says which global of the programs takes which offset. Members moved
//! and were renamed over the years: `iov_iter` changed in 5.14, 6.0, 6.4, 6.5
//! and 6.7. No kernel version is mentioned here; the kernel says it itself.

use super::btf::{Btf, BtfError};

/// Value of a global whose member or enum value this kernel does not have.
const ABSENT: u32 = u32::MAX;

/// Which programs need an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Every program: sockets, tasks, namespaces.
    Common,
    /// The hooks on `tcp_sendmsg`.
    Send,
    /// The program on the wire.
    Wire,
    /// The hooks on what receives.
    Take,
    /// Every program, where there is one: absent on some kernels, and done without
    /// there. In a damaged blob nobody can tell, so it is needed.
    CommonIfAny,
    /// The hooks on `tcp_sendmsg`, likewise.
    SendIfAny,
    /// Nobody: without it, records say less of their senders.
    Optional,
}

/// Global, need, struct, and the member under its names through the years.
type Entry = (&'static str, Need, &'static str, &'static [&'static str]);

const MEMBERS: &[Entry] = &[
    ("SKC_FAMILY", Need::Common, "sock_common", &["skc_family"]),
    ("SKC_STATE", Need::Common, "sock_common", &["skc_state"]),
    ("SKC_DPORT", Need::Common, "sock_common", &["skc_dport"]),
    ("SKC_DADDR", Need::Common, "sock_common", &["skc_daddr"]),
    // Absent in kernels without IPv6.
    (
        "SKC_V6_DADDR",
        Need::CommonIfAny,
        "sock_common",
        &["skc_v6_daddr"],
    ),
    ("SKC_NET", Need::Common, "sock_common", &["skc_net.net"]),
    ("NET_INUM", Need::Common, "net", &["ns.inum"]),
    ("TCP_WRITE_SEQ", Need::Common, "tcp_sock", &["write_seq"]),
    ("TCP_COPIED_SEQ", Need::Take, "tcp_sock", &["copied_seq"]),
    ("TCP_RCV_NXT", Need::Take, "tcp_sock", &["rcv_nxt"]),
    ("TCP_SND_UNA", Need::Take, "tcp_sock", &["snd_una"]),
    ("SK_LOCK_OWNED", Need::Wire, "sock", &["sk_lock.owned"]),
    ("SKB_SK", Need::Wire, "sk_buff", &["sk"]),
    ("MSG_NAME", Need::Send, "msghdr", &["msg_name"]),
    ("MSG_FLAGS", Need::Send, "msghdr", &["msg_flags"]),
    ("MSG_ITER", Need::Send, "msghdr", &["msg_iter"]),
    ("ITER_OFFSET", Need::Send, "iov_iter", &["iov_offset"]),
    ("ITER_COUNT", Need::Send, "iov_iter", &["count"]),
    ("ITER_IOV", Need::Send, "iov_iter", &["__iov", "iov"]),
    ("ITER_UBUF", Need::SendIfAny, "iov_iter", &["ubuf"]),
    ("ITER_NR_SEGS", Need::Send, "iov_iter", &["nr_segs"]),
    ("TASK_PID", Need::Common, "task_struct", &["pid"]),
    ("TASK_TGID", Need::Common, "task_struct", &["tgid"]),
    ("TASK_FLAGS", Need::Common, "task_struct", &["flags"]),
    ("TASK_MM", Need::Common, "task_struct", &["mm"]),
    ("TASK_COMM", Need::Common, "task_struct", &["comm"]),
    ("TASK_CRED", Need::Common, "task_struct", &["cred"]),
    (
        "TASK_REAL_PARENT",
        Need::Common,
        "task_struct",
        &["real_parent"],
    ),
    (
        "TASK_GROUP_LEADER",
        Need::Common,
        "task_struct",
        &["group_leader"],
    ),
    (
        "TASK_START_BOOTTIME",
        Need::Common,
        "task_struct",
        &["start_boottime", "real_start_time"],
    ),
    ("MM_OWNER", Need::CommonIfAny, "mm_struct", &["owner"]),
    ("MM_ARG_START", Need::Common, "mm_struct", &["arg_start"]),
    ("MM_ARG_END", Need::Common, "mm_struct", &["arg_end"]),
    ("CRED_EUID", Need::Common, "cred", &["euid"]),
    ("CRED_EGID", Need::Common, "cred", &["egid"]),
    (
        "TASK_EXEC_ID",
        Need::Common,
        "task_struct",
        &["self_exec_id"],
    ),
    ("TASK_NSPROXY", Need::Optional, "task_struct", &["nsproxy"]),
    (
        "TASK_THREAD_PID",
        Need::Optional,
        "task_struct",
        &["thread_pid"],
    ),
    ("TASK_CGROUPS", Need::Optional, "task_struct", &["cgroups"]),
    ("MM_EXE_FILE", Need::Optional, "mm_struct", &["exe_file"]),
    ("FILE_INODE", Need::Optional, "file", &["f_inode"]),
    ("FILE_DENTRY", Need::Optional, "file", &["f_path.dentry"]),
    ("FILE_MOUNT", Need::Optional, "file", &["f_path.mnt"]),
    ("INODE_INO", Need::Optional, "inode", &["i_ino"]),
    ("INODE_SB", Need::Optional, "inode", &["i_sb"]),
    ("SB_DEV", Need::Optional, "super_block", &["s_dev"]),
    ("DENTRY_PARENT", Need::Optional, "dentry", &["d_parent"]),
    ("DENTRY_NAME", Need::Optional, "dentry", &["d_name.name"]),
    ("DENTRY_HASHED", Need::Optional, "dentry", &["d_hash.pprev"]),
    ("VFSMOUNT_ROOT", Need::Optional, "vfsmount", &["mnt_root"]),
    ("MOUNT_VFSMOUNT", Need::Optional, "mount", &["mnt"]),
    ("MOUNT_PARENT", Need::Optional, "mount", &["mnt_parent"]),
    ("MOUNT_POINT", Need::Optional, "mount", &["mnt_mountpoint"]),
    ("CSS_SET_DEFAULT", Need::Optional, "css_set", &["dfl_cgrp"]),
    ("CGROUP_NODE", Need::Optional, "cgroup", &["kn"]),
    ("KERNFS_ID", Need::Optional, "kernfs_node", &["id"]),
    (
        "KERNFS_PARENT",
        Need::Optional,
        "kernfs_node",
        &["__parent", "parent"],
    ),
    ("KERNFS_NAME", Need::Optional, "kernfs_node", &["name"]),
    ("NSPROXY_MNT", Need::Optional, "nsproxy", &["mnt_ns"]),
    ("NSPROXY_NET", Need::Optional, "nsproxy", &["net_ns"]),
    ("MNT_NS_INUM", Need::Optional, "mnt_namespace", &["ns.inum"]),
    ("PID_NS_INUM", Need::Optional, "pid_namespace", &["ns.inum"]),
    ("PID_LEVEL", Need::Optional, "pid", &["level"]),
    ("PID_NUMBERS", Need::Optional, "pid", &["numbers"]),
];

/// Walks through the kernel's objects: the global that programs ask whether they can
/// go, and those that they need on the way. None is begun that cannot be finished.
const WALKS: &[(&str, &[&str])] = &[
    (
        "DENTRY_NAME",
        &[
            "MM_EXE_FILE",
            "FILE_DENTRY",
            "FILE_MOUNT",
            "DENTRY_PARENT",
            "DENTRY_HASHED",
            "VFSMOUNT_ROOT",
            "MOUNT_VFSMOUNT",
            "MOUNT_PARENT",
            "MOUNT_POINT",
        ],
    ),
    (
        "KERNFS_NAME",
        &[
            "TASK_CGROUPS",
            "CSS_SET_DEFAULT",
            "CGROUP_NODE",
            "KERNFS_ID",
            "KERNFS_PARENT",
        ],
    ),
];

/// The function that [`Layout::copied`] is: where there are both, the second is a short
/// one around the first, which a compiler might leave out.
const COPIED: &[&str] = &["__tcp_cleanup_rbuf", "tcp_cleanup_rbuf"];

/// Globals that take a number of `enum iter_type`.
const ITER_TYPES: &[(&str, Need, &str)] = &[
    ("ITER_IS_UBUF", Need::SendIfAny, "ITER_UBUF"),
    ("ITER_IS_IOVEC", Need::Send, "ITER_IOVEC"),
    ("ITER_IS_KVEC", Need::Send, "ITER_KVEC"),
];

/// The direction bit (`WRITE`) that `iov_iter.type` carried beside the type
/// before 5.14 split it off (include/linux/uio.h of 5.10).
const TYPE_DIRECTION: u32 = 1;

/// Globals for the programs, and what is missing for which of them.
#[derive(Debug, Default)]
pub struct Layout {
    /// Name and value of each global.
    pub globals: Vec<(&'static str, u32)>,
    /// Why no program can run.
    pub common: Option<BtfError>,
    /// Why the hooks on `tcp_sendmsg` cannot run.
    pub send: Option<BtfError>,
    /// Why the program on the wire cannot run.
    pub wire: Option<BtfError>,
    /// Why the hooks on what receives cannot run, where those on `tcp_sendmsg` can.
    pub take: Option<BtfError>,
    /// The function that `tcp_recvmsg` calls when it has copied something, with the socket
    /// and the number of bytes.
    pub copied: &'static str,
}

impl Layout {
    /// Looks everything up.
    pub fn resolve(btf: &Btf<'_>) -> Self {
        let mut layout = Self::default();
        for (global, need, structure, names) in MEMBERS {
            let offset = first_found(names, |name| btf.member(structure, name));
            layout.set(global, *need, offset.map(|(_, member)| member.offset));
        }
        for (global, need, value) in ITER_TYPES {
            layout.set(global, *need, btf.enum_value("iter_type", value));
        }
        match first_found(&["iter_type", "type"], |name| btf.member("iov_iter", name)) {
            Ok((name, member)) => {
                let ignored = if name == "type" { TYPE_DIRECTION } else { 0 };
                layout.set("ITER_TYPE", Need::Send, Ok(member.offset));
                layout.set("ITER_TYPE_SIZE", Need::Send, Ok(member.size.unwrap_or(4)));
                layout.set("ITER_TYPE_IGNORED", Need::Send, Ok(ignored));
            }
            Err(error) => layout.set("ITER_TYPE", Need::Send, Err(error)),
        }
        let flags = btf.parameter("tcp_recvmsg", "flags");
        layout.set("RECEIVE_FLAGS", Need::Take, flags);
        match first_found(COPIED, |name| btf.parameter(name, "copied")) {
            Ok((name, _)) => layout.copied = name,
            Err(error) => _ = layout.take.get_or_insert(error),
        }
        layout.set_pid_numbers(btf);
        for (walk, needed) in WALKS {
            if needed.iter().any(|name| layout.get(name) == Some(ABSENT)) {
                layout.globals.retain(|(global, _)| global != walk);
                layout.globals.push((walk, ABSENT));
            }
        }
        layout
    }

    /// Elements of `pid.numbers`, an array of `struct upid`.
    fn set_pid_numbers(&mut self, btf: &Btf<'_>) {
        let numbers = self.get("PID_NUMBERS").filter(|offset| *offset != ABSENT);
        let namespace = btf
            .member("upid", "ns")
            .ok()
            .zip(numbers)
            .map_or(ABSENT, |(ns, numbers)| numbers + ns.offset);
        self.globals.push(("PID_NUMBERS_NS", namespace));
        self.globals
            .push(("UPID_SIZE", btf.size_of("upid").unwrap_or(0)));
    }

    fn get(&self, global: &str) -> Option<u32> {
        let mut known = self.globals.iter();
        known
            .find(|(name, _)| *name == global)
            .map(|(_, value)| *value)
    }

    fn set(&mut self, global: &'static str, need: Need, value: Result<u32, BtfError>) {
        match value {
            Ok(value) => self.globals.push((global, value)),
            Err(error) => {
                self.globals.push((global, ABSENT));
                let slot = match need {
                    Need::Optional => return,
                    Need::CommonIfAny | Need::SendIfAny if !error.is_of_damage() => return,
                    Need::Common | Need::CommonIfAny => &mut self.common,
                    Need::Send | Need::SendIfAny => &mut self.send,
                    Need::Wire => &mut self.wire,
                    Need::Take => &mut self.take,
                };
                slot.get_or_insert(error);
            }
        }
    }
}

/// The first of `names` that `look_up` finds, or the error for the first one.
fn first_found<T>(
    names: &[&'static str],
    look_up: impl Fn(&str) -> Result<T, BtfError>,
) -> Result<(&'static str, T), BtfError> {
    let (first, others) = names.split_first().expect("the table names each member");
    look_up(first)
        .map(|found| (*first, found))
        .or_else(|error| {
            let mut found = others.iter().map(|name| (*name, look_up(name)));
            found
                .find_map(|(name, found)| Some((name, found.ok()?)))
                .ok_or(error)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of `sock_common` are an ABI of a kind; 0, 12
    /// and 16 on every kernel tried (include/net/sock.h).
    /// The running kernel's blob with another name in the place of `name`.
    fn without(name: &str) -> Vec<u8> {
        let mut blob = std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF");
        let wanted = format!("\0{name}\0").into_bytes();
        let at = memchr::memmem::find(&blob, &wanted).expect("this kernel has the name");
        blob[at + 1] = b'~';
        blob
    }

    #[test]
    fn missing_member_stands_in_the_way_of_those_who_need_it() {
        for (name, [common, send, wire, take]) in [
            ("skc_dport", [true, false, false, false]),
            ("arg_start", [true, false, false, false]),
            ("iov_offset", [false, true, false, false]),
            ("msg_flags", [false, true, false, false]),
            ("ITER_KVEC", [false, true, false, false]),
            ("owned", [false, false, true, false]),
            ("copied_seq", [false, false, false, true]),
            ("tcp_recvmsg", [false, false, false, true]),
            ("copied", [false, false, false, true]),
            ("skc_v6_daddr", [false, false, false, false]),
        ] {
            let blob = without(name);
            let layout = Layout::resolve(&Btf::parse(&blob).unwrap());
            for (found, wanted) in [
                (&layout.common, common),
                (&layout.send, send),
                (&layout.wire, wire),
                (&layout.take, take),
            ] {
                let text = found.as_ref().map(ToString::to_string);
                let named = text.as_ref().is_some_and(|text| text.contains(name));
                assert_eq!(named, wanted, "{name}: {text:?}");
                assert_eq!(text.is_some(), wanted, "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn what_some_kernels_lack_is_not_done_without_if_the_blob_is_damaged() {
        let mut blob = without("skc_v6_daddr");
        blob.pop();
        let layout = Layout::resolve(&Btf::parse(&blob).unwrap());
        let reason = layout.common.expect("IPv6 may be lost").to_string();
        assert!(
            reason.contains("skc_v6_daddr") && reason.contains("truncated"),
            "{reason}"
        );
    }

    #[test]
    fn running_kernel_has_every_member_that_is_needed() {
        let blob = std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF");
        let layout = Layout::resolve(&Btf::parse(&blob).unwrap());
        for missing in [&layout.common, &layout.send, &layout.wire, &layout.take] {
            assert_eq!(*missing, None);
        }
        for walk in [
            "DENTRY_NAME",
            "KERNFS_NAME",
            "PID_NUMBERS_NS",
            "MNT_NS_INUM",
        ] {
            assert_ne!(layout.get(walk), Some(ABSENT), "{walk}");
        }
        let global = |name| layout.get(name).unwrap();
        assert_eq!(global("SKC_DADDR"), 0);
        assert_eq!(global("SKC_DPORT"), 12);
        assert_eq!(global("SKC_FAMILY"), 16);
        assert_eq!(global("MSG_ITER"), 16);
        assert!([3, 4].contains(&global("RECEIVE_FLAGS")));
    }
}
