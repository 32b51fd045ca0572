//! A kernel socket, and whether it is one that we watch.

use aya_ebpf::{macros::map, maps::HashMap};
use imds_analyzer_common::destination::{DestinationKey, MAX_DESTINATIONS};

use crate::{
    globals::{self, ABSENT},
    kernel,
};

/// `AF_INET` (include/linux/socket.h).
const AF_INET: u16 = 2;
/// `AF_INET6` (include/linux/socket.h).
const AF_INET6: u16 = 10;

/// `TCP_ESTABLISHED` (include/net/tcp_states.h; frozen as `BPF_TCP_ESTABLISHED`).
pub const TCP_ESTABLISHED: u32 = 1;
/// `TCP_SYN_SENT`.
pub const TCP_SYN_SENT: u32 = 2;
/// `TCP_TIME_WAIT`.
pub const TCP_TIME_WAIT: u32 = 6;
/// `TCP_CLOSE`.
pub const TCP_CLOSE: u32 = 7;
/// `TCP_CLOSE_WAIT`.
pub const TCP_CLOSE_WAIT: u32 = 8;
/// `TCP_LAST_ACK`.
pub const TCP_LAST_ACK: u32 = 9;
/// `TCP_CLOSING`.
pub const TCP_CLOSING: u32 = 11;

/// The destinations to watch; the daemon fills it before it attaches anything.
#[map]
static DESTINATIONS: HashMap<DestinationKey, u32> = HashMap::with_max_entries(MAX_DESTINATIONS, 0);

/// Where a watched stream goes, and in which network namespace.
#[derive(Clone, Copy)]
pub struct Route {
    /// The destination as it stands in the map.
    pub destination: DestinationKey,
    /// Inode of the namespace.
    pub netns: u32,
}

/// Address of a `struct sock`.
#[derive(Clone, Copy)]
pub struct Socket(pub u64);

/// A destination port in network order; zero before its socket is connected.
#[derive(Clone, Copy)]
pub struct Port(pub u16);

impl Port {
    /// The first question of every hook, and the only one for most sends: might this
    /// be the port of a watched destination? A mask, not a lookup, so that the answer
    /// costs the same however many are watched. Zero may be: nobody knows yet.
    #[inline(always)]
    pub fn may_be_watched(self) -> bool {
        u32::from(self.0) & globals::OTHER_PORT_BITS.load() == 0
    }
}

impl Socket {
    /// Whether the socket is connected and might go to a watched destination.
    #[inline(always)]
    pub fn may_be_watched(self) -> bool {
        let port = self.port();
        port.0 != 0 && port.may_be_watched()
    }

    /// The socket's destination port.
    #[inline(always)]
    pub fn port(self) -> Port {
        Port(kernel::read_or_zero(self.0, &globals::SKC_DPORT))
    }

    /// Route of the socket if its destination and namespace are watched.
    #[inline(always)]
    pub fn route(self) -> Option<Route> {
        let port = u16::from_be(self.port().0);
        let destination = match kernel::read::<u16>(self.0, &globals::SKC_FAMILY).ok()? {
            AF_INET => DestinationKey::v4(kernel::read(self.0, &globals::SKC_DADDR).ok()?, port),
            AF_INET6 if globals::SKC_V6_DADDR.load() != ABSENT => {
                DestinationKey::v6(kernel::read(self.0, &globals::SKC_V6_DADDR).ok()?, port)
            }
            _ => return None,
        };
        self.route_to(destination)
    }

    /// Route of the socket to the address that a `MSG_FASTOPEN` send carries in
    /// `msg_name`, which the kernel has already copied from user space.
    #[inline(always)]
    pub fn route_to_name(self, name: u64) -> Option<Route> {
        // struct sockaddr_in: family, port, address at 4; sockaddr_in6: address at 8.
        let family: u16 = kernel::read_at(name).ok()?;
        let port = u16::from_be(kernel::read_at(name + 2).ok()?);
        let destination = match family {
            AF_INET => DestinationKey::v4(kernel::read_at(name + 4).ok()?, port),
            AF_INET6 => DestinationKey::v6(kernel::read_at(name + 8).ok()?, port),
            _ => return None,
        };
        self.route_to(destination)
    }

    #[inline(always)]
    fn route_to(self, destination: DestinationKey) -> Option<Route> {
        DESTINATIONS.get_ptr(destination)?;
        let net: u64 = kernel::read(self.0, &globals::SKC_NET).ok()?;
        let netns: u32 = kernel::read(net, &globals::NET_INUM).ok()?;
        let wanted = globals::WATCHED_NETNS.load();
        (wanted == 0 || wanted == netns).then_some(Route { destination, netns })
    }

    /// State of the connection (`TCP_*`).
    #[inline(always)]
    pub fn state(self) -> Result<u32, i32> {
        kernel::read::<u8>(self.0, &globals::SKC_STATE).map(u32::from)
    }

    /// Sequence number of the next byte that will be queued.
    #[inline(always)]
    pub fn write_seq(self) -> Result<u32, i32> {
        kernel::read(self.0, &globals::TCP_WRITE_SEQ)
    }

    /// Sequence number of the next byte that will be taken from it.
    #[inline(always)]
    pub fn copied_seq(self) -> Result<u32, i32> {
        kernel::read(self.0, &globals::TCP_COPIED_SEQ)
    }

    /// Sequence number of the next byte that will be received.
    #[inline(always)]
    pub fn receive_next(self) -> Result<u32, i32> {
        kernel::read(self.0, &globals::TCP_RCV_NXT)
    }

    /// Sequence number up to which the server has received.
    #[inline(always)]
    pub fn acknowledged(self) -> Result<u32, i32> {
        kernel::read(self.0, &globals::TCP_SND_UNA)
    }

    /// Whether a task holds the socket's lock. If so, and we run below it, that
    /// task is `current`; otherwise we run in an interrupt on top of a stranger.
    #[inline(always)]
    pub fn is_owned(self) -> bool {
        kernel::read::<u32>(self.0, &globals::SK_LOCK_OWNED).is_ok_and(|owned| owned != 0)
    }
}
