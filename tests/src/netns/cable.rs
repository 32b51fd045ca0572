//! Two namespaces and a veth pair between them: client and server are apart, as on
//! a host with containers.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use anyhow::{Context as _, Result};

use super::{
    ECS, EKS_V4, EKS_V6, IMDS_V4, IMDS_V6, Impairment, Netns, make,
    rtnetlink::{LOOPBACK, Rtnetlink},
};

/// Name of the device at either end.
const DEVICE: &str = "cable";
/// The client's addresses, beside those of IMDS.
const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x253);
/// Both IPv4 addresses and no other.
const PREFIX_V4: u8 = 30;
const PREFIX_V6: u8 = 64;

/// A client's namespace, and a server's that has both IMDS addresses, and for itself
/// those of the other services that the mock is. Nothing else is connected to either.
#[derive(Debug)]
pub struct Cable {
    /// Has an address of its own.
    pub client: Netns,
    /// Has the IMDS addresses.
    pub server: Netns,
}

impl Cable {
    /// Makes both.
    ///
    /// # Errors
    ///
    /// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and a kernel with veth.
    pub fn new() -> Result<Self> {
        let server = Arc::new(make(|| Ok(()))?);
        let client = Arc::new(make(|| {
            let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
            rtnetlink
                .add_pair(DEVICE, &*server)
                .context("make a veth pair")?;
            configure([CLIENT_V4.into(), CLIENT_V6.into()])
        })?);
        let cable = Self {
            client: Netns::of(Arc::clone(&client), vec![Arc::clone(&server)])?,
            server: Netns::of(Arc::clone(&server), vec![client])?,
        };
        in_namespace(&server, || {
            configure([IMDS_V4.into(), IMDS_V6.into()])?;
            let mut rtnetlink = Rtnetlink::open()?;
            for address in [ECS.into(), EKS_V4.into(), EKS_V6.into()] {
                rtnetlink
                    .add_local_address(address)
                    .with_context(|| format!("add {address} to lo"))?;
            }
            Ok(())
        })?;
        Ok(cable)
    }
}

impl Netns {
    /// Lets the cable lose, double and hold up what is sent from here.
    ///
    /// # Errors
    ///
    /// If there is no cable, or the kernel has no netem.
    pub fn impair(&self, how: Impairment) -> Result<()> {
        self.enter(|| {
            let mut rtnetlink = Rtnetlink::open()?;
            let device = device(&mut rtnetlink, DEVICE)?;
            rtnetlink.impair(device, how).context("netem")
        })
    }

    /// Makes the cable good again.
    ///
    /// # Errors
    ///
    /// If it was not impaired.
    pub fn repair(&self) -> Result<()> {
        self.enter(|| {
            let mut rtnetlink = Rtnetlink::open()?;
            let device = device(&mut rtnetlink, DEVICE)?;
            rtnetlink.repair(device).context("end netem")
        })
    }
}

/// Before the addresses are there, so without looking for them.
pub(super) fn in_namespace(
    namespace: &File,
    work: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                super::enter(namespace)?;
                work()
            })
            .join()
            .expect("configuring does not panic")
    })
}

fn configure(addresses: [IpAddr; 2]) -> Result<()> {
    let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
    rtnetlink.up(LOOPBACK).context("lo up")?;
    let device = device(&mut rtnetlink, DEVICE)?;
    rtnetlink.up(device).context("device up")?;
    for address in addresses {
        let prefix = if address.is_ipv4() {
            PREFIX_V4
        } else {
            PREFIX_V6
        };
        rtnetlink
            .add_address(device, address, prefix)
            .with_context(|| format!("add {address}"))?;
    }
    Ok(())
}

/// Index of a device.
pub(super) fn device(rtnetlink: &mut Rtnetlink, name: &str) -> Result<u32> {
    rtnetlink
        .links()
        .context("list the devices")?
        .into_iter()
        .find_map(|link| (link.name == name).then_some(link.index))
        .with_context(|| format!("there is no device {name} here"))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn client_reaches_both_addresses_from_its_own() {
        let Cable { client, server } = Cable::new().expect("tests run as root, with veth");
        let listeners = server
            .enter(|| {
                Ok([
                    TcpListener::bind((IMDS_V4, 80))?,
                    TcpListener::bind((IMDS_V6, 80))?,
                ])
            })
            .expect("both addresses are there");
        let sources = client
            .enter(|| {
                let first = TcpStream::connect(listeners[0].local_addr()?)?;
                let second = TcpStream::connect(listeners[1].local_addr()?)?;
                Ok([first.local_addr()?.ip(), second.local_addr()?.ip()])
            })
            .expect("both addresses can be connected to");
        assert_eq!(sources, [IpAddr::V4(CLIENT_V4), IpAddr::V6(CLIENT_V6)]);
    }
}
