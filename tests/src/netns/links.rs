//! Devices of a namespace: what they are and where their other ends are, making a
//! pair, and making one bad.
//!
//! Layouts: `include/uapi/linux/{if_link,net_namespace,veth,pkt_sched}.h`.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

use super::{
    message::{attribute, find},
    rtnetlink::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, RTM_NEWLINK, Rtnetlink},
};

const RTM_GETLINK: u16 = 18;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETNSID: u16 = 90;

/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_NETEM_REORDER: u16 = 3;
const TC_H_ROOT: u32 = u32::MAX;
/// Nanoseconds of netem's unit of time (`PSCHED_SHIFT`, include/net/pkt_sched.h).
const TICK_NS: u32 = 64;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Index in its namespace.
    pub(super) index: u32,
    /// Name.
    pub(super) name: String,
    /// What it is, such as `veth`; hardware and `lo` don't say.
    pub(super) kind: Option<String>,
    /// The namespace of its other end, by the number that this one knows it by;
    /// absent if it is this one.
    pub(super) peer_namespace: Option<i32>,
}

impl Link {
    fn read(object: &[u8]) -> Option<Self> {
        let index = u32::from_ne_bytes(*object.get(4..)?.first_chunk()?);
        let attributes = object.get(LINK_HEADER..)?;
        let text = |bytes: &[u8]| {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        Some(Self {
            index,
            name: find(attributes, IFLA_IFNAME).map(text)?,
            kind: find(attributes, IFLA_LINKINFO)
                .and_then(|info| find(info, IFLA_INFO_KIND))
                .map(text),
            peer_namespace: find(attributes, IFLA_LINK_NETNSID).and_then(number),
        })
    }
}

fn number(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().copied().map(i32::from_ne_bytes)
}

/// What a bad cable does to the packets that leave a device, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impairment {
    /// Packets that are lost.
    pub loss: u8,
    /// Packets that arrive twice.
    pub duplicate: u8,
    /// Packets that overtake those before them, which all others are held up for.
    pub reorder: u8,
    /// How long packets are held up, in microseconds.
    pub delay_us: u32,
}

impl Rtnetlink {
    /// All devices.
    pub(super) fn links(&mut self) -> io::Result<Vec<Link>> {
        let objects = self.query(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_HEADER])?;
        objects
            .iter()
            .map(|object| Link::read(object))
            .collect::<Option<_>>()
            .ok_or_else(|| io::Error::other("rtnetlink described a device without a name"))
    }

    /// The number by which this namespace knows another one; `None` if it doesn't.
    pub(super) fn number_of(&mut self, namespace: impl AsFd) -> io::Result<Option<i32>> {
        let mut body = vec![0; 4]; // struct rtgenmsg, padded
        let fd = namespace.as_fd().as_raw_fd();
        attribute(&mut body, NETNSA_FD, &fd.to_ne_bytes());
        let objects = self.query(RTM_GETNSID, 0, &body)?;
        let id = objects
            .first()
            .and_then(|object| number(find(object.get(4..)?, NETNSA_NSID)?))
            .ok_or_else(|| io::Error::other("rtnetlink told no namespace's number"))?;
        Ok((id >= 0).then_some(id))
    }

    /// Makes a pair of devices, `name` in both namespaces: one here, one in `peer`.
    pub(super) fn add_pair(&mut self, name: &str, peer: impl AsFd) -> io::Result<()> {
        let name = [name.as_bytes(), b"\0"].concat();
        let mut other = vec![0; LINK_HEADER];
        attribute(&mut other, IFLA_IFNAME, &name);
        let fd = peer.as_fd().as_raw_fd();
        attribute(&mut other, IFLA_NET_NS_FD, &fd.to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, VETH_INFO_PEER, &other);
        let mut info = Vec::new();
        attribute(&mut info, IFLA_INFO_KIND, b"veth");
        attribute(&mut info, IFLA_INFO_DATA, &data);
        let mut body = vec![0; LINK_HEADER];
        attribute(&mut body, IFLA_IFNAME, &name);
        attribute(&mut body, IFLA_LINKINFO, &info);
        self.request(RTM_NEWLINK, NLM_F_CREATE, &body)
    }

    /// Impairs what leaves a device, with the queueing discipline netem.
    pub(super) fn impair(&mut self, device: u32, how: Impairment) -> io::Result<()> {
        let share = |percent: u8| u32::MAX / 100 * u32::from(percent);
        let mut body = queue_of(device);
        attribute(&mut body, TCA_KIND, b"netem\0");
        // struct tc_netem_qopt, then its own attributes.
        let mut options = Vec::new();
        for field in [
            how.delay_us * 1000 / TICK_NS,
            1000, // packets that it holds
            share(how.loss),
            u32::from(how.reorder > 0), // gap: any packet may overtake
            share(how.duplicate),
            0, // jitter
        ] {
            options.extend(field.to_ne_bytes());
        }
        let mut reorder = share(how.reorder).to_ne_bytes().to_vec();
        reorder.extend(0u32.to_ne_bytes()); // correlation
        attribute(&mut options, TCA_NETEM_REORDER, &reorder);
        attribute(&mut body, TCA_OPTIONS, &options);
        self.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &body)
    }

    /// Ends what [`Self::impair`] began.
    pub(super) fn repair(&mut self, device: u32) -> io::Result<()> {
        self.request(RTM_DELQDISC, 0, &queue_of(device))
    }
}

/// `struct tcmsg` of a device's root queueing discipline.
fn queue_of(device: u32) -> Vec<u8> {
    let mut body = vec![0; 4]; // family, padding
    body.extend(device.to_ne_bytes());
    body.extend(0u32.to_ne_bytes()); // handle
    body.extend(TC_H_ROOT.to_ne_bytes());
    body.extend(0u32.to_ne_bytes()); // info
    body
}
