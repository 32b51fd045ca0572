//! `kprobe` and `kretprobe` on `tcp_sendmsg`, where fentry does not attach.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{send, socket::Socket};

#[kprobe]
fn tcp_sendmsg_kprobe(context: ProbeContext) -> u32 {
    // The arguments are read again where they are needed: to keep them would cost
    // the many sends that are not watched.
    if let Some(port) = context.arg(0).map(|socket| Socket(socket).port())
        && port.may_be_watched()
        && let (Some(socket), Some(message)) = (context.arg(0), context.arg(1))
    {
        send::enter(Socket(socket), port, message);
    }
    0
}

/// It does not know which socket it is about: the task's entry tells.
#[kretprobe]
fn tcp_sendmsg_kretprobe(context: RetProbeContext) -> u32 {
    send::exit(context.ret(), None);
    0
}
