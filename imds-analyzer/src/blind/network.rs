//! Devices that packets of others come out of.

use std::{fs, path::Path};

use super::processes::harmless;
use crate::record::BlindSpot;

/// Most devices that are looked at.
const MAX_DEVICES: usize = 10_000;

/// Most devices that are named.
const MAX_NAMED: usize = 4;

/// A tap device, which carries Ethernet, in `tun_flags` (`IFF_TAP`,
/// include/uapi/linux/if_tun.h). A tun device carries IP.
const IFF_TAP: u32 = 0x0002;

#[derive(Default)]
struct Devices {
    /// Guests' ends, and what is attached to a host's interface for one.
    taps: Vec<String>,
    /// Tunnels, at whose other end somebody else is.
    tunnels: Vec<String>,
    /// Those of containers, whose sockets are this kernel's.
    containers: usize,
}

pub(super) fn look(root: &Path) -> Vec<BlindSpot> {
    let devices = Devices::of(root);
    let mut spots = Vec::new();
    if !devices.taps.is_empty() {
        spots.push(BlindSpot {
            kind: "tap_device".to_owned(),
            detail: format!(
                "{}: what comes out of it has no socket here",
                named(&devices.taps)
            ),
        });
    }
    if forwards(root) && !devices.tunnels.is_empty() {
        spots.push(BlindSpot {
            kind: "forwarding".to_owned(),
            detail: format!(
                "packets are forwarded, and {} leads to others, who have no socket here",
                named(&devices.tunnels)
            ),
        });
    }
    spots
}

pub(super) fn forwarding(root: &Path) -> String {
    let devices = Devices::of(root);
    match (forwards(root), devices.containers) {
        (false, _) => "no packets are forwarded".to_owned(),
        (true, 0) => "packets are forwarded, for nobody on this host".to_owned(),
        (true, count) => format!(
            "packets are forwarded, with {count} veth and bridge devices: calls of containers are seen at their sockets"
        ),
    }
}

impl Devices {
    fn of(root: &Path) -> Self {
        let mut devices = Self::default();
        let Ok(entries) = fs::read_dir(root.join("sys/class/net")) else {
            return devices;
        };
        for entry in entries.filter_map(Result::ok).take(MAX_DEVICES) {
            let name = harmless(&entry.file_name().to_string_lossy());
            devices.add(name, &entry.path());
        }
        devices.taps.sort();
        devices.tunnels.sort();
        devices
    }

    fn add(&mut self, name: String, device: &Path) {
        let line = |file: &str| fs::read_to_string(device.join(file)).unwrap_or_default();
        let flags = line("tun_flags");
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok();
        // `DEVTYPE` names the kind of those that have one (SET_NETDEV_DEVTYPE).
        let uevent = line("uevent");
        let kind = uevent
            .lines()
            .find_map(|line| line.strip_prefix("DEVTYPE="));
        match (flags, kind) {
            (Some(flags), _) if flags & IFF_TAP != 0 => self.taps.push(name),
            (Some(_), _) | (_, Some("wireguard" | "ppp")) => self.tunnels.push(name),
            (_, Some("macvtap" | "ipvtap")) => self.taps.push(name),
            (_, Some("bridge" | "veth")) => self.containers += 1,
            // veth has no DEVTYPE; its other end is another device.
            _ if name.starts_with("veth") => self.containers += 1,
            _ => {}
        }
    }
}

fn forwards(root: &Path) -> bool {
    let is_on = |file: &str| {
        fs::read_to_string(root.join("proc/sys/net").join(file))
            .is_ok_and(|text| text.trim() == "1")
    };
    is_on("ipv4/ip_forward") || is_on("ipv6/conf/all/forwarding")
}

fn named(names: &[String]) -> String {
    let mut text = names[..names.len().min(MAX_NAMED)].join(", ");
    if names.len() > MAX_NAMED {
        text.push_str(&format!(" and {} more", names.len() - MAX_NAMED));
    }
    text
}
