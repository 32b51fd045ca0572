//! `cgroup_skb` on the cgroup2 root. Egress is the whole capture where a kernel has
//! neither fentry nor kprobes, a witness elsewhere; ingress sees what is answered.

use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};

use crate::{arriving, wire};

/// Lets the packet pass.
const ALLOW: i32 = 1;

#[cgroup_skb(egress)]
fn imds_egress(context: SkBuffContext) -> i32 {
    wire::egress(&context);
    ALLOW
}

#[cgroup_skb(ingress)]
fn imds_ingress(context: SkBuffContext) -> i32 {
    arriving::ingress(&context);
    ALLOW
}
