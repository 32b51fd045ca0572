//! `cgroup_skb/egress` on the cgroup2 root: the whole capture where a kernel has
//! neither fentry nor kprobes, a witness elsewhere.

use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};

use crate::wire;

/// Lets the packet pass.
const ALLOW: i32 = 1;

#[cgroup_skb(egress)]
fn imds_egress(context: SkBuffContext) -> i32 {
    wire::egress(&context);
    ALLOW
}
