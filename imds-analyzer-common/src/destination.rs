//! The map that says which destinations are watched: its key, its size, and the
//! filter that answers for most sends without it.

/// Most destinations that can be watched at once: the size of the map.
pub const MAX_DESTINATIONS: u32 = 64;

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

/// The bits that none of `ports` has (each in host order), as the eBPF programs want
/// them: of a port in network order, in both halves of the word.
///
/// A port that shares a bit with it is not watched. The others, a port of zero (not
/// connected yet) among them, may be: of the ports that nobody watches, the ones
/// whose bits are all bits of watched ports. For port 80 alone they are 16 and 64.
pub fn other_port_bits(ports: impl IntoIterator<Item = u16>) -> u32 {
    let watched = ports.into_iter().fold(0, |bits, port| bits | port.to_be());
    let others = u32::from(!watched);
    others << 16 | others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ports that the filter lets pass.
    fn passing(ports: &[u16]) -> impl Iterator<Item = u16> {
        let others = other_port_bits(ports.iter().copied());
        (0..=u16::MAX).filter(move |port| u32::from(port.to_be()) & others == 0)
    }

    #[test]
    fn port_80_alone_lets_few_others_pass() {
        assert!(passing(&[80]).eq([0, 16, 64, 80]));
    }

    #[test]
    fn every_watched_port_passes() {
        for ports in [&[80, 8080, 51_679][..], &[1], &[u16::MAX], &[443, 80]] {
            for port in ports {
                assert!(passing(ports).any(|passed| passed == *port), "{port}");
            }
        }
    }

    /// `remote_port` of `struct __sk_buff` holds the port in network order in the
    /// word's first two bytes in memory.
    #[test]
    fn both_halves_filter_alike() {
        let others = other_port_bits([80, 443]);
        for port in [0_u16, 16, 22, 80, 443, 8080] {
            let half = u32::from(port.to_be()) & others;
            let word = u32::from(port).to_be() & others;
            assert_eq!(half == 0, word == 0, "{port}");
        }
    }
}
