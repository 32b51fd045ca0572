//! A kernel socket, and whether it is one that we watch.

use aya_ebpf::{macros::map, maps::HashMap};
use imds_analyzer_common::destination::DestinationKey;

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
/// `TCP_CLOSE`.
pub const TCP_CLOSE: u32 = 7;

/// The destinations to watch; the daemon fills it before it attaches anything.
#[map]
static DESTINATIONS: HashMap<DestinationKey, u32> = HashMap::with_max_entries(64, 0);

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

impl Socket {
    /// The first question of every hook, and the only one for most sends: might
    /// this socket go to a watched destination? One read and one comparison.
    #[inline(always)]
    pub fn may_be_watched(self) -> bool {
        self.raw_port().is_ok_and(is_watched_port)
    }

    /// The socket's destination port in network order, 0 before it is connected.
    #[inline(always)]
    pub fn raw_port(self) -> Result<u16, i32> {
        kernel::read(self.0, &globals::SKC_DPORT)
    }

    /// Route of the socket if its destination and namespace are watched.
    #[inline(always)]
    pub fn route(self) -> Option<Route> {
        let port = u16::from_be(self.raw_port().ok()?);
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
        let port = kernel::read_at::<u16>(name + 2).ok()?;
        if !is_watched_port(port) {
            return None;
        }
        let port = u16::from_be(port);
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

    /// Whether a task holds the socket's lock. If so, and we run below it, that
    /// task is `current`; otherwise we run in an interrupt on top of a stranger.
    #[inline(always)]
    pub fn is_owned(self) -> bool {
        kernel::read::<u32>(self.0, &globals::SK_LOCK_OWNED).is_ok_and(|owned| owned != 0)
    }
}

/// Whether a destination may have this port (network order).
#[inline(always)]
fn is_watched_port(port: u16) -> bool {
    let wanted = globals::WATCHED_PORT.load() as u16;
    port != 0 && (wanted == 0 || port == wanted.to_be())
}
