//! A client behind a router, as a container is behind its host: what arrives has one hop
//! less to go.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use anyhow::{Context as _, Result};

use super::{
    IMDS_V4, Netns,
    cable::{device, in_namespace},
    make,
    rtnetlink::{LOOPBACK, Rtnetlink},
};

/// Names of the pairs of devices: between client and router, and router and server.
const INSIDE: &str = "inside";
const OUTSIDE: &str = "outside";
/// Addresses for documentation (RFC 5737), which nobody else has.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ROUTER_INSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Both ends of a pair and no other.
const PREFIX: u8 = 30;

/// A client's namespace, and that of a server with the IPv4 address of IMDS, with a
/// router's namespace between. Nothing else is connected to any of them.
#[derive(Debug)]
pub struct Routed {
    /// Where clients run.
    pub client: Netns,
    /// Where the server runs.
    pub server: Netns,
}

impl Routed {
    /// Makes the three.
    ///
    /// # Errors
    ///
    /// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and a kernel with veth.
    pub fn new() -> Result<Self> {
        let client = Arc::new(make(|| Ok(()))?);
        let server = Arc::new(make(|| Ok(()))?);
        let router = Arc::new(make(|| {
            let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
            for (name, end) in [(INSIDE, &client), (OUTSIDE, &server)] {
                rtnetlink
                    .add_pair(name, &**end)
                    .with_context(|| format!("make the veth pair {name}"))?;
            }
            configure(INSIDE, ROUTER_INSIDE)?;
            configure(OUTSIDE, ROUTER_OUTSIDE)?;
            rtnetlink
                .add_route(IMDS_V4.into(), 32, SERVER.into())
                .context("route to the server")?;
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forward packets")
        })?);
        in_namespace(&client, || {
            configure(INSIDE, CLIENT)?;
            let mut rtnetlink = Rtnetlink::open()?;
            rtnetlink
                .add_route(IMDS_V4.into(), 32, ROUTER_INSIDE.into())
                .context("route of the client")
        })?;
        in_namespace(&server, || {
            configure(OUTSIDE, SERVER)?;
            let mut rtnetlink = Rtnetlink::open()?;
            // Where the mock wants to be beside it, too.
            for address in [IMDS_V4.into(), super::IMDS_V6.into()] {
                rtnetlink
                    .add_local_address(address)
                    .with_context(|| format!("add {address} to lo"))?;
            }
            rtnetlink
                .add_route(CLIENT.into(), 32, ROUTER_OUTSIDE.into())
                .context("route of the server")
        })?;
        let others = |one, other| vec![Arc::clone(one), Arc::clone(other)];
        Ok(Self {
            client: Netns::of(Arc::clone(&client), others(&router, &server))?,
            server: Netns::of(Arc::clone(&server), others(&router, &client))?,
        })
    }
}

/// Brings `lo` and a device up, and gives the device an address.
fn configure(name: &str, address: Ipv4Addr) -> Result<()> {
    let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
    rtnetlink.up(LOOPBACK).context("lo up")?;
    let device = device(&mut rtnetlink, name)?;
    rtnetlink.up(device).context("device up")?;
    rtnetlink
        .add_address(device, IpAddr::V4(address), PREFIX)
        .with_context(|| format!("add {address}"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use super::*;

    #[test]
    fn answer_of_one_hop_does_not_arrive() {
        let Routed { client, server } = Routed::new().expect("tests run as root, with veth");
        let listener = server
            .enter(|| Ok(TcpListener::bind((IMDS_V4, 80))?))
            .expect("the address is there");
        let mut stream = client
            .enter(|| Ok(TcpStream::connect((IMDS_V4, 80))?))
            .expect("the router forwards");
        let (mut accepted, source) = listener.accept().expect("somebody connected");
        assert_eq!(source.ip(), IpAddr::V4(CLIENT));
        accepted.write_all(b"a").expect("is sent");
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("arrives");
        accepted.set_ttl(1).expect("is a valid hop limit");
        accepted.write_all(b"b").expect("is sent");
        let patience = Duration::from_millis(300);
        stream.set_read_timeout(Some(patience)).expect("is valid");
        stream.read_exact(&mut byte).expect_err("goes one hop only");
        // It was sent: TCP sends it again, and now it gets through.
        accepted.set_ttl(64).expect("is a valid hop limit");
        let patience = Duration::from_secs(60);
        stream.set_read_timeout(Some(patience)).expect("is valid");
        stream.read_exact(&mut byte).expect("arrives");
        assert_eq!(byte, *b"b");
    }
}
