//! `fentry` and `fexit` on `tcp_sendmsg`: the cheapest hooks, where a kernel has them; and
//! on what receives, where no program on the wire sees what is answered.

use core::hint::black_box;

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    globals, kernel, send,
    socket::{Port, Socket},
    taken,
};

#[fentry(function = "tcp_sendmsg")]
fn tcp_sendmsg_fentry(context: FEntryContext) -> i32 {
    let port = port(context.arg(0));
    if port.may_be_watched() {
        send::enter(Socket(context.arg(0)), port, context.arg(1));
    }
    0
}

/// The result of the function is its fourth argument here: `FExitContext::ret`
/// needs a helper of 5.17.
///
/// A socket that another task connects elsewhere while this one sends on it leaves
/// an entry behind, which is abandoned when its task next begins a send, or ends.
#[fexit(function = "tcp_sendmsg")]
fn tcp_sendmsg_fexit(context: FExitContext) -> i32 {
    if port(context.arg(0)).may_be_watched() {
        send::exit(context.arg(3), Some(Socket(context.arg(0))));
    }
    0
}

#[fentry(function = "tcp_recvmsg")]
fn tcp_recvmsg_fentry(context: FEntryContext) -> i32 {
    if port(context.arg(0)).may_be_watched() {
        // Of one offset or the other: the verifier refuses a load at a sum.
        let flags = if globals::RECEIVE_FLAGS.load() == 3 {
            black_box(context.arg(3))
        } else {
            black_box(context.arg(4))
        };
        taken::enter(Socket(context.arg(0)), context.arg(1), flags);
    }
    0
}

#[fentry(function = "tcp_cleanup_rbuf")]
fn tcp_cleanup_rbuf_fentry(context: FEntryContext) -> i32 {
    if port(context.arg(0)).may_be_watched() {
        taken::copied(&context, Socket(context.arg(0)), context.arg(1));
    }
    0
}

/// Port of the `struct sock` that is an argument of the hooked function. The verifier
/// knows its type, so it can be read without a helper.
#[inline(always)]
fn port(socket: *const u8) -> Port {
    // SAFETY: the verifier lets only members of the struct be read, and the kernel
    // makes a fault a zero.
    Port(unsafe { kernel::load(socket, &globals::SKC_DPORT) })
}
