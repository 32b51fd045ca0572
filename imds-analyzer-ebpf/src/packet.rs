//! The headers of a packet that a socket sends or receives.

use aya_ebpf::programs::SkBuffContext;

/// `NEXTHDR_HOP`, `NEXTHDR_ROUTING`, `NEXTHDR_DEST` (include/net/ipv6.h).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
/// Extension headers that are passed over.
const MAX_EXTENSIONS: u32 = 4;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The FIN bit of a TCP header's 14th byte (RFC 9293 3.1).
const FIN: u8 = 0x01;
/// The SYN bit.
const SYN: u8 = 0x02;

/// What a TCP segment says of itself.
#[derive(Clone, Copy)]
pub struct Segment {
    /// Sequence number of its first byte.
    pub sequence: u32,
    /// Sequence number up to which its sender has received.
    pub acknowledged: u32,
    /// It opens the stream.
    pub is_syn: bool,
    /// It ends its direction of the stream.
    pub is_fin: bool,
    /// Offset of the payload from the IP header.
    pub payload: u32,
    /// Length of the payload.
    pub len: u32,
}

impl Segment {
    /// Reads the IP and TCP headers. `None` for anything but a whole TCP segment.
    #[inline(always)]
    pub fn parse(context: &SkBuffContext) -> Option<Self> {
        let version_and_length: u8 = context.load(0).ok()?;
        let (protocol, transport): (u8, u32) = match version_and_length >> 4 {
            4 => (
                context.load(9).ok()?,
                u32::from(version_and_length & 0x0f) * 4,
            ),
            6 => transport_of_v6(context)?,
            _ => return None,
        };
        if protocol != TCP {
            return None;
        }
        let tcp: [u8; 16] = context.load(transport as usize).ok()?;
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let is_syn = tcp[13] & SYN != 0;
        let payload = transport + u32::from(tcp[12] >> 4) * 4;
        Some(Self {
            sequence: sequence.wrapping_add(is_syn as u32),
            acknowledged: u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]),
            is_syn,
            is_fin: tcp[13] & FIN != 0,
            payload,
            len: context.skb.len().checked_sub(payload)?,
        })
    }
}

/// Protocol and offset of what follows an IPv6 header and its extension headers.
#[inline(always)]
fn transport_of_v6(context: &SkBuffContext) -> Option<(u8, u32)> {
    let mut protocol: u8 = context.load(6).ok()?;
    let mut offset = 40;
    for _ in 0..MAX_EXTENSIONS {
        match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [next, len]: [u8; 2] = context.load(offset as usize).ok()?;
                protocol = next;
                // In units of 8 bytes, the first not counted (RFC 8200 4.2).
                offset += (u32::from(len) + 1) * 8;
            }
            _ => break,
        }
    }
    Some((protocol, offset))
}
