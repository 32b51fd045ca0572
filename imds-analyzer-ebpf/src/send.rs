//! What a task hands to TCP: the entry and the end of `tcp_sendmsg`, a pair.
//!
//! The entry decides whether the send is watched and notes where its bytes lie.
//! The end commits what the kernel took: `ret` bytes, at the position that the
//! stream now says. It reads the bytes only then, because a page that was never
//! touched is mapped by the send itself and cannot be read before, and because a
//! send that fails must leave nothing behind. What the wire has delivered during
//! the send is not delivered again.

use aya_ebpf::{
    bindings::BPF_ANY,
    macros::map,
    maps::{Array, HashMap},
};
use aya_log_ebpf::info;
use imds_analyzer_common::{loss::LossCause, record::FLAG_POSITION_UNCERTAIN};

use crate::{
    chunk, globals, kernel, loss, process,
    segments::{OPAQUE, Segments, Walk},
    socket::{Port, Route, Socket, TCP_CLOSE, TCP_SYN_SENT},
    stream::{self, ORIGIN_DATA, ORIGIN_UNKNOWN, Stream},
    task,
};

/// `MSG_FASTOPEN` (include/linux/socket.h).
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// Sends in progress, by the address of the sending task.
#[map]
static SENDS: HashMap<u64, Send> = HashMap::with_max_entries(4096, 0);

/// A new entry of [`SENDS`]. It lies in a map because the stack is too short to
/// build one there.
#[map]
static BLANK_SEND: Array<Send> = Array::with_max_entries(1, 0);

/// A send between its entry and its end.
#[repr(C)]
#[derive(Clone, Copy)]
struct Send {
    socket: u64,
    entered_ns: u64,
    segments: Segments,
    route: Route,
    /// State of the connection at entry.
    state: u32,
    /// Next sequence number at entry.
    write_seq: u32,
    /// Used at the end.
    walk: Walk,
}

/// `tcp_sendmsg(sk, msg, size)` is entered, on a socket whose port may be watched.
#[inline(always)]
pub fn enter(socket: Socket, port: Port, message: u64) {
    let route = if port.0 != 0 {
        socket.route()
    } else {
        fast_open_route(socket, message)
    };
    if let Some(route) = route
        && note(socket, message, route).is_err()
    {
        loss::count_unless_on_wire(LossCause::Unreadable);
    }
}

/// Route of a send that connects its socket as it goes (TCP Fast Open).
#[inline(always)]
fn fast_open_route(socket: Socket, message: u64) -> Option<Route> {
    let flags: u32 = kernel::read(message, &globals::MSG_FLAGS).ok()?;
    if flags & MSG_FASTOPEN == 0 {
        return None;
    }
    match kernel::read::<u64>(message, &globals::MSG_NAME).ok()? {
        0 => None,
        name => socket.route_to_name(name),
    }
}

#[inline(always)]
fn note(socket: Socket, message: u64, route: Route) -> Result<(), i32> {
    let segments = Segments::of_message(message)?;
    let state = socket.state()?;
    let write_seq = socket.write_seq()?;
    let Some(send) = begin(task::current()) else {
        loss::count_unless_on_wire(LossCause::SendTableFull);
        return Ok(());
    };
    send.socket = socket.0;
    send.entered_ns = kernel::boottime_ns();
    send.segments = segments;
    send.route = route;
    send.state = state;
    send.write_seq = write_seq;
    info!(
        (),
        "send of {} bytes, iterator kind {}, in state {}", segments.count, segments.kind, state
    );
    Ok(())
}

/// The running task's entry, blank.
#[inline(always)]
fn begin(task: u64) -> Option<&'static mut Send> {
    abandon(task);
    // SAFETY: nobody writes the blank one.
    let blank = unsafe { &*BLANK_SEND.get_ptr(0)? };
    SENDS.insert(task, blank, u64::from(BPF_ANY)).ok()?;
    get(task)
}

/// Forgets a send of a task whose end was not reported: the kernel had no
/// kretprobe instance left, or replaced the trampoline of fexit meanwhile. The
/// wire has seen its bytes; without a witness they are lost.
#[inline(always)]
pub fn abandon(task: u64) {
    let Some(send) = get(task) else {
        return;
    };
    lose(send, LossCause::ExitMissed);
    // It was there a moment ago, and only this task removes it.
    let _ = SENDS.remove(task);
}

/// Counts what the end of a send could not see, unless the wire did.
#[inline(always)]
fn lose(send: &Send, cause: LossCause) {
    if globals::WIRE_HOOKED.load() == 0 {
        loss::count(cause);
    } else if send.walk.is_last_try() {
        loss::count(LossCause::RingFull);
    }
}

/// Whether the running task is in a send on `socket`, whose end will try again to emit
/// what found no room on the wire. Then the end counts it if there is none still.
#[inline(always)]
pub fn tries_again(socket: Socket) -> bool {
    match get(task::current()) {
        Some(send) if send.socket == socket.0 && send.segments.kind != OPAQUE => {
            send.walk.leave_to_end();
            true
        }
        _ => false,
    }
}

/// The entry of a task.
#[inline(always)]
fn get(task: u64) -> Option<&'static mut Send> {
    let send = SENDS.get_ptr_mut(task)?;
    // SAFETY: only the task itself reads, writes and removes its entry.
    Some(unsafe { &mut *send })
}

/// `tcp_sendmsg` returned `ret`; on which socket is known to fexit only.
#[inline(always)]
pub fn exit(ret: i32, socket: Option<Socket>) {
    let task = task::current();
    let Some(send) = get(task) else {
        return;
    };
    if socket.is_some_and(|socket| socket.0 != send.socket) {
        // The end of another send: the one that was noted never reported its own.
        return abandon(task);
    }
    info!((), "send returned {}", ret);
    if ret > 0 {
        commit(send, ret as u32, socket.is_some());
    }
    // It was there a moment ago, and only this task removes it.
    let _ = SENDS.remove(task);
}

/// Emits the bytes that the kernel took and that were not seen on the wire.
///
/// `certain` says that it is the end of this very send. A kretprobe cannot tell,
/// but the stream can: it then stands where the send has left it.
#[inline(always)]
fn commit(send: &mut Send, taken: u32, certain: bool) {
    let socket = Socket(send.socket);
    let committed = if u64::from(taken) > send.segments.count {
        send.segments.count as u32
    } else {
        taken
    };
    let Ok(write_seq) = socket.write_seq() else {
        return lose(send, LossCause::Unreadable);
    };
    let sequence = write_seq.wrapping_sub(committed);
    let connecting = send.state == TCP_CLOSE || send.state == TCP_SYN_SENT;
    let overlapped = !connecting && sequence != send.write_seq;
    if overlapped && !certain {
        return lose(send, LossCause::ExitMissed);
    }
    let stream = match stream::get(socket) {
        Some(stream) if !stream.ended_before(send.entered_ns) => stream,
        _ => match stream::join(socket, sequence) {
            Some(stream) => stream,
            None => return,
        },
    };
    // A send that was entered before the handshake ended carries the first byte.
    if stream.origin_from == ORIGIN_UNKNOWN || (connecting && stream.origin_from != ORIGIN_DATA) {
        stream.set_origin(sequence, ORIGIN_DATA);
    }
    if task::note(&mut stream.task) {
        describe(send, socket, stream);
        process::tell(&mut send.walk.header);
    }
    let ahead = stream.delivered.wrapping_sub(sequence) as i32;
    if ahead >= committed as i32
        || (send.segments.kind == OPAQUE && globals::WIRE_HOOKED.load() != 0)
    {
        return;
    }
    describe(send, socket, stream);
    let header = &mut send.walk.header;
    header.position = sequence.wrapping_sub(stream.origin);
    if overlapped {
        header.flags |= FLAG_POSITION_UNCERTAIN;
    }
    let complete = send.segments.emit(&mut send.walk, committed);
    // What is not all there is delivered by the wire, from its beginning.
    if complete && !overlapped && ahead >= 0 {
        stream.delivered = write_seq;
    }
}

/// Makes the header of what the send emits.
#[inline(always)]
fn describe(send: &mut Send, socket: Socket, stream: &Stream) {
    let header = &mut send.walk.header;
    chunk::describe(header, socket, stream, &send.route, send.entered_ns);
}
