//! The few rtnetlink requests a private namespace needs: its addresses and routes.
//!
//! Written by hand because the VM has no `ip` that is sure to understand all
//! of them. Layouts: `include/uapi/linux/{netlink,rtnetlink,if_addr}.h`.

use super::message::{self, attribute};
use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

/// Index of `lo`, the first device of every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// How long the kernel may take to make the route of a new IPv6 address.
const ROUTE_APPEARS_WITHIN: Duration = Duration::from_secs(10);

pub(super) const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_REPLACE: u16 = 0x100;
pub(super) const NLM_F_CREATE: u16 = 0x400;
/// All objects of a kind (`NLM_F_ROOT | NLM_F_MATCH`).
pub(super) const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No duplicate address detection: the address is usable at once.
const IFA_F_NODAD: u8 = 0x02;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_HOST: u8 = 254;

/// A connection to the network configuration of the calling thread's namespace.
pub(super) struct Rtnetlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Rtnetlink {
    /// Opens the connection.
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe {
            libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::NETLINK_ROUTE,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            // SAFETY: `socket` has just returned this descriptor and nobody else owns it.
            socket: unsafe { OwnedFd::from_raw_fd(fd) },
            sequence: 0,
        })
    }

    /// Brings a device up.
    pub(super) fn up(&mut self, device: u32) -> io::Result<()> {
        let mut body = vec![0, 0, 0, 0]; // ifi_family, padding, ifi_type
        body.extend(device.to_ne_bytes());
        body.extend((libc::IFF_UP as u32).to_ne_bytes()); // ifi_flags
        body.extend((libc::IFF_UP as u32).to_ne_bytes()); // ifi_change
        self.request(RTM_NEWLINK, 0, &body)
    }

    /// Gives the loopback device an address of its own, with a host's prefix.
    pub(super) fn add_local_address(&mut self, address: IpAddr) -> io::Result<()> {
        self.add_address(LOOPBACK, address, bits(address))
    }

    /// Gives a device an address; what shares its first `prefix` bits is reached there.
    pub(super) fn add_address(
        &mut self,
        device: u32,
        address: IpAddr,
        prefix: u8,
    ) -> io::Result<()> {
        let octets = octets(address);
        let mut body = vec![family(address), prefix, IFA_F_NODAD, 0];
        body.extend(device.to_ne_bytes());
        attribute(&mut body, IFA_LOCAL, &octets);
        attribute(&mut body, IFA_ADDRESS, &octets);
        self.request(RTM_NEWADDR, NLM_F_CREATE, &body)
    }

    /// Lets connections to `destination`, an address of this namespace, come from
    /// `source` instead of from `destination` itself.
    pub(super) fn set_local_source(
        &mut self,
        destination: IpAddr,
        source: IpAddr,
    ) -> io::Result<()> {
        let mut body = local_route(destination);
        if destination.is_ipv6() {
            // An IPv6 route does not replace one of another metric, and the one
            // the kernel made when the address came would win.
            // That one comes from a work queue, some time after the address.
            let deadline = Instant::now() + ROUTE_APPEARS_WITHIN;
            while let Err(error) = self.request(RTM_DELROUTE, 0, &body) {
                if error.raw_os_error() != Some(libc::ESRCH) || Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::yield_now();
            }
        }
        attribute(&mut body, RTA_PREFSRC, &octets(source));
        self.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body)
    }

    /// Lets what goes to the addresses that share the first `prefix` bits with
    /// `destination` take its way by `gateway`.
    pub(super) fn add_route(
        &mut self,
        destination: IpAddr,
        prefix: u8,
        gateway: IpAddr,
    ) -> io::Result<()> {
        let mut body = vec![
            family(destination),
            prefix,
            0, // source prefix
            0, // type of service
            RT_TABLE_MAIN,
            RTPROT_BOOT,
            RT_SCOPE_UNIVERSE,
            RTN_UNICAST,
            0,
            0,
            0,
            0, // flags
        ];
        attribute(&mut body, RTA_DST, &octets(destination));
        attribute(&mut body, RTA_GATEWAY, &octets(gateway));
        self.request(RTM_NEWROUTE, NLM_F_CREATE, &body)
    }

    /// Asks for a change.
    pub(super) fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.send(kind, flags | NLM_F_ACK, body)?;
        self.replies().map(drop)
    }

    /// Asks for objects, and returns each as its type's header and attributes.
    pub(super) fn query(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let acknowledged = if flags & NLM_F_DUMP == 0 {
            NLM_F_ACK
        } else {
            0
        };
        self.send(kind, flags | acknowledged, body)?;
        self.replies()
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let length = u32::try_from(16 + body.len()).expect("a request has a few dozen bytes");
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0u32.to_ne_bytes()); // port id: the kernel's
        message.extend(body);
        // SAFETY: the pointer and length are those of `message`.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                message.as_ptr().cast(),
                message.len(),
                0,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// What comes up to the acknowledgement or the end of a dump.
    fn replies(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut objects = Vec::new();
        // As large as the kernel makes them (`NLMSG_GOODSIZE` and dumps up to 32 KiB).
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            // SAFETY: the pointer and length are those of `buffer`.
            let received = unsafe {
                libc::recv(
                    self.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                )
            };
            let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
            for (kind, body) in message::messages(&buffer[..received]) {
                match kind {
                    NLMSG_ERROR => return acknowledged(body).map(|()| objects),
                    NLMSG_DONE => return Ok(objects),
                    _ => objects.push(body.to_vec()),
                }
            }
        }
    }
}

fn acknowledged(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().copied().map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("rtnetlink answered without an error code")),
    }
}

fn local_route(destination: IpAddr) -> Vec<u8> {
    let mut body = vec![
        family(destination),
        bits(destination),
        0, // source prefix
        0, // type of service
        RT_TABLE_LOCAL,
        RTPROT_BOOT,
        RT_SCOPE_HOST,
        RTN_LOCAL,
        0,
        0,
        0,
        0, // flags
    ];
    if destination.is_ipv6() {
        // Protocol and scope are matched on deletion; 0 matches the kernel's own route.
        body[5] = 0;
        body[6] = 0;
    }
    attribute(&mut body, RTA_DST, &octets(destination));
    attribute(&mut body, RTA_OIF, &LOOPBACK.to_ne_bytes());
    body
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
