//! What TCP puts on the wire: all there is for the cgroup backend, the witness of
//! the others. It delivers every byte that was not delivered before, whichever
//! call it came from (sendfile, splice, MPTCP), and whether or not a hook saw that
//! call.

use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_skb_load_bytes, programs::SkBuffContext};
use aya_log_ebpf::info;
use imds_analyzer_common::{
    loss::LossCause,
    record::{FLAG_MID_STREAM, MAX_CHUNK, MISSING_OVERSIZED, RecordHeader},
};

use crate::{
    chunk::{self, NO_ROOM, Source, WHOLE},
    draft, globals, kernel, loss,
    packet::Segment,
    process, send,
    socket::{Route, Socket},
    stream::{self, ORIGIN_DATA, ORIGIN_UNKNOWN, Stream},
    task,
};

/// Chunks that one packet can fill: 64 KiB, the longest segment that is not a
/// jumbogram.
const MAX_CHUNKS: u32 = 65_536 / MAX_CHUNK as u32;

struct Packet<'a>(&'a SkBuffContext);

impl Source for Packet<'_> {
    #[inline(always)]
    unsafe fn copy(&self, to: *mut u8, len: u32, from: u64) -> i64 {
        // SAFETY: the caller vouches for `to`; the helper checks the range.
        unsafe { bpf_skb_load_bytes(self.0.as_ptr(), from as u32, to.cast(), len) }
    }

    #[inline(always)]
    fn has_witness(&self) -> bool {
        false
    }
}

/// A packet leaves.
#[inline(always)]
pub fn egress(context: &SkBuffContext) {
    // SAFETY: the context is valid while the program runs. The kernel makes the
    // field a load from the packet's socket, which every packet here has
    // (net/core/filter.c, bpf_convert_ctx_access; kernel/bpf/cgroup.c).
    let port = unsafe { (*context.skb.skb).remote_port };
    if port & globals::OTHER_PORT_BITS.load() != 0 {
        return;
    }
    let skb = context.as_ptr() as u64;
    if let Ok(socket) = kernel::read(skb, &globals::SKB_SK).map(Socket) {
        // Not TCP, or cut short: nothing that a request could be in.
        let _ = watch(context, socket);
    }
}

#[inline(always)]
fn watch(context: &SkBuffContext, socket: Socket) -> Option<()> {
    let segment = Segment::parse(context)?;
    if segment.len == 0 && !segment.is_syn {
        return None;
    }
    let route = socket.route()?;
    if segment.is_syn
        && stream::get(socket).is_none_or(|stream| stream.is_before_syn(segment.sequence))
    {
        stream::begin(socket)?;
    }
    let stream = match stream::get(socket) {
        Some(stream) => stream,
        None => stream::join(socket, segment.sequence)?,
    };
    if segment.is_syn {
        if stream.origin_from != ORIGIN_DATA {
            stream.set_origin(segment.sequence, ORIGIN_DATA);
        }
    } else if stream.origin_from == ORIGIN_UNKNOWN {
        stream.set_origin(segment.sequence, ORIGIN_DATA);
        stream.flags |= FLAG_MID_STREAM;
    }
    deliver(context, socket, stream, &route, &segment)
}

/// Emits what the segment holds beyond what was delivered before.
#[inline(always)]
fn deliver(
    context: &SkBuffContext,
    socket: Socket,
    stream: &mut Stream,
    route: &Route,
    segment: &Segment,
) -> Option<()> {
    let ahead = stream.delivered.wrapping_sub(segment.sequence) as i32;
    let known = if ahead > 0 { ahead as u32 } else { 0 };
    info!(
        (),
        "segment of {} bytes, {} of them delivered before", segment.len, known
    );
    if known >= segment.len {
        return None;
    }
    let is_new = socket.is_owned() && task::note(&mut stream.task);
    let packet = context.as_ptr() as u64;
    let header = draft::begin(packet)?;
    chunk::describe(header, socket, stream, route, kernel::boottime_ns());
    if is_new {
        process::tell(header);
    }
    let sequence = segment.sequence.wrapping_add(known);
    header.position = sequence.wrapping_sub(stream.origin);
    let complete = emit(
        context,
        socket,
        header,
        segment.payload + known,
        segment.len - known,
    );
    draft::end(packet);
    // A segment that found no room may come again as a retransmission.
    if ahead >= 0 && complete {
        stream.delivered = segment.sequence.wrapping_add(segment.len);
    }
    Some(())
}

/// Emits `left` bytes of the packet, from offset `from` on; says whether all of them
/// are in the ring buffer.
#[inline(always)]
fn emit(
    context: &SkBuffContext,
    socket: Socket,
    header: &mut RecordHeader,
    mut from: u32,
    mut left: u32,
) -> bool {
    let mut complete = true;
    for _ in 0..MAX_CHUNKS {
        left = kernel::forget(left);
        from = kernel::forget(from);
        if left == 0 {
            break;
        }
        let len = if left > MAX_CHUNK as u32 {
            MAX_CHUNK as u32
        } else {
            left
        };
        let outcome = chunk::emit(header, &Packet(context), u64::from(from), len);
        complete &= outcome == WHOLE;
        if outcome == NO_ROOM && !send::tries_again(socket) {
            loss::count(LossCause::RingFull);
        }
        header.position = header.position.wrapping_add(len);
        from += len;
        left -= len;
    }
    if left != 0 {
        chunk::emit_missing(header, left, MISSING_OVERSIZED);
    }
    complete
}
