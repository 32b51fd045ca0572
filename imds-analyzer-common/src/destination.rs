//! The key of the map that says which destinations are watched.

/// An address and port, in the one form that both families share.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationKey {
    /// IPv6 address, or an IPv4 address mapped into it (RFC 4291 2.5.5.2), in
    /// network order. Java's sockets use the mapped form, so it is the one that
    /// both kinds of socket can be brought to.
    pub address: [u8; 16],
    /// TCP port in host order.
    pub port: u32,
}

const _: () = assert!(size_of::<DestinationKey>() == 20, "no padding");

impl DestinationKey {
    /// Key of an IPv4 destination.
    #[inline(always)]
    pub const fn v4(address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        Self {
            address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
            port: port as u32,
        }
    }

    /// Key of an IPv6 destination; a v4-mapped one equals the [`v4`](Self::v4) key.
    #[inline(always)]
    pub const fn v6(address: [u8; 16], port: u16) -> Self {
        Self {
            address,
            port: port as u32,
        }
    }
}
