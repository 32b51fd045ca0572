//! `fentry` and `fexit` on `tcp_sendmsg`: the cheapest hooks, where a kernel has them.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{send, socket::Socket};

#[fentry(function = "tcp_sendmsg")]
fn tcp_sendmsg_fentry(context: FEntryContext) -> i32 {
    send::enter(Socket(context.arg(0)), context.arg(1));
    0
}

/// The result of the function is its fourth argument here: `FExitContext::ret`
/// needs a helper of 5.17.
#[fexit(function = "tcp_sendmsg")]
fn tcp_sendmsg_fexit(context: FExitContext) -> i32 {
    send::exit(context.arg(3), Some(Socket(context.arg(0))));
    0
}
