//! Raw tracepoint `inet_sock_set_state`: streams begin and end here.
//!
//! It attaches also where kprobes and tracing programs do not. A connect passes
//! `SYN_SENT` in the context of the task that connects, with the destination
//! already set (`tcp_v4_connect`, net/ipv4/tcp_ipv4.c), which is why no
//! `cgroup/connect` program is needed.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::info;

use crate::{
    chunk, draft, globals, kernel, process,
    socket::{Socket, TCP_CLOSE, TCP_ESTABLISHED, TCP_SYN_SENT},
    stream::{self, ORIGIN_ESTABLISHED, ORIGIN_UNKNOWN},
    taken,
};

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn inet_sock_set_state(context: RawTracePointContext) -> i32 {
    let socket = Socket(context.arg(0));
    let state: u32 = context.arg(2);
    if state == TCP_SYN_SENT {
        if socket.may_be_watched() {
            connecting(socket);
        }
    } else if state == TCP_ESTABLISHED {
        if socket.may_be_watched() {
            established(socket);
        }
    } else if state == TCP_CLOSE {
        closed(socket);
    }
    0
}

/// The running task connects, and will most likely send.
#[inline(always)]
fn connecting(socket: Socket) {
    if let Some(route) = socket.route()
        && let Some(stream) = stream::open(socket)
    {
        info!((), "stream opened by process {}", stream.task.tgid);
        if let Some(header) = draft::begin(socket.0) {
            chunk::describe(header, socket, stream, &route, stream.opened_ns);
            process::tell(header);
            draft::end(socket.0);
        }
    }
}

/// The handshake is over: the next byte is the stream's first.
#[inline(always)]
fn established(socket: Socket) {
    if let Some(stream) = stream::get(socket)
        && stream.origin_from == ORIGIN_UNKNOWN
        && let Ok(write_seq) = socket.write_seq()
    {
        stream.set_origin(write_seq, ORIGIN_ESTABLISHED);
    }
    if globals::TAKES_HOOKED.load() != 0 {
        taken::established(socket);
    }
}

/// The connection is gone. A send that the end interrupted is still delivered: it
/// returns after this, and the daemon expects it.
#[inline(always)]
fn closed(socket: Socket) {
    if let Some(stream) = stream::get(socket)
        && stream.closed_ns == 0
        && let Some(route) = socket.route()
    {
        info!((), "stream closed");
        stream.closed_ns = kernel::boottime_ns();
        if globals::TAKES_HOOKED.load() != 0 {
            taken::closed(socket, stream);
        }
        chunk::emit_closed(socket, stream, &route);
    }
}
