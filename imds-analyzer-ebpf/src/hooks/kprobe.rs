//! `kprobe` and `kretprobe` on `tcp_sendmsg`, where fentry does not attach.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{send, socket::Socket};

#[kprobe]
fn tcp_sendmsg_kprobe(context: ProbeContext) -> u32 {
    if let (Some(socket), Some(message)) = (context.arg(0), context.arg(1)) {
        send::enter(Socket(socket), message);
    }
    0
}

#[kretprobe]
fn tcp_sendmsg_kretprobe(context: RetProbeContext) -> u32 {
    send::exit(context.ret(), None);
    0
}
