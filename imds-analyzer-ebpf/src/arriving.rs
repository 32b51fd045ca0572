//! Packets that arrive for a watched stream, on their way to its socket.
//!
//! One is handled where the interrupts below it are held off, and those of one stream
//! one after the other.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_skb_load_bytes, macros::map, maps::ProgramArray,
    programs::SkBuffContext,
};

use crate::{
    globals, kernel,
    packet::Segment,
    received::{self, Part, Source},
    socket::Socket,
    stream::{self, ORIGIN_UNKNOWN},
};

/// The program itself, which the daemon puts here.
#[map]
static AGAIN: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// The payload of a packet.
struct Payload<'a> {
    context: &'a SkBuffContext,
    /// Its offset from the IP header.
    begins: u32,
}

impl Source for Payload<'_> {
    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool {
        let from = self.begins.wrapping_add(offset);
        // SAFETY: the caller vouches for `to`; the helper checks the range of the packet.
        unsafe { bpf_skb_load_bytes(self.context.skb.skb.cast(), from, to, len) == 0 }
    }
}

/// A packet arrives.
#[inline(always)]
pub fn ingress(context: &SkBuffContext) {
    // SAFETY: as in `wire::egress`.
    let port = unsafe { (*context.skb.skb).remote_port };
    if port & globals::OTHER_PORT_BITS.load() != 0 {
        return;
    }
    // A socket that listens has none.
    if port == 0 {
        return;
    }
    let skb = context.as_ptr() as u64;
    if let Ok(socket) = kernel::read(skb, &globals::SKB_SK).map(Socket)
        && let Some(stream) = stream::get(socket)
        && stream.closed_ns == 0
        // Without it the records would have no coordinates.
        && stream.origin_from != ORIGIN_UNKNOWN
        && let Some(segment) = Segment::parse(context)
    {
        let payload = Payload {
            context,
            begins: segment.payload,
        };
        let part = Part {
            sequence: segment.sequence,
            acknowledged: segment.acknowledged,
            len: segment.len,
            is_first: segment.is_syn,
            is_last: segment.is_fin,
        };
        if received::read_on(&payload, socket, stream, &part) {
            // SAFETY: nothing here has to be dropped.
            unsafe { AGAIN.tail_call(context, 0) };
            // That was the last run that a packet can have.
            received::give_up(&payload, socket, stream, &part);
        }
    }
}
