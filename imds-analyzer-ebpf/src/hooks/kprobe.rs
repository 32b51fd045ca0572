//! `kprobe` and `kretprobe` on `tcp_sendmsg`, where fentry does not attach; and on what
//! receives, where no program on the wire sees what is answered.

use core::hint::black_box;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{globals, send, socket::Socket, taken};

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

#[kprobe]
fn tcp_recvmsg_kprobe(context: ProbeContext) -> u32 {
    if let Some(port) = context.arg(0).map(|socket| Socket(socket).port())
        && port.may_be_watched()
        && let (Some(socket), Some(message)) = (context.arg(0), context.arg(1))
        // Of one offset or the other: the verifier refuses a load at a sum.
        && let Some(flags) = if globals::RECEIVE_FLAGS.load() == 3 {
            black_box(context.arg(3))
        } else {
            black_box(context.arg(4))
        }
    {
        taken::enter(Socket(socket), message, flags);
    }
    0
}

#[kprobe]
fn tcp_cleanup_rbuf_kprobe(context: ProbeContext) -> u32 {
    if let Some(port) = context.arg(0).map(|socket| Socket(socket).port())
        && port.may_be_watched()
        && let (Some(socket), Some(copied)) = (context.arg(0), context.arg(1))
    {
        taken::copied(&context, Socket(socket), copied);
    }
    0
}

/// It does not know which socket it is about: the task's entry tells.
#[kretprobe]
fn tcp_sendmsg_kretprobe(context: RetProbeContext) -> u32 {
    send::exit(context.ret(), None);
    0
}
