use std::{fs, os::unix::fs::symlink};

use super::*;

/// A host without anything.
fn host() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for directory in ["proc/sys/net/ipv4", "sys/class/net"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    process(&root, 1, "systemd", "/sbin/init");
    root
}

fn process(root: &tempfile::TempDir, pid: u32, comm: &str, first: &str) {
    let process = root.path().join(format!("proc/{pid}"));
    fs::create_dir_all(process.join("ns")).unwrap();
    fs::create_dir_all(process.join("fd")).unwrap();
    fs::write(process.join("comm"), format!("{comm}\n")).unwrap();
    fs::write(process.join("cmdline"), format!("{first}\0--x\0")).unwrap();
    symlink(format!("net:[{}]", 100 + pid), process.join("ns/net")).unwrap();
}

fn device(root: &tempfile::TempDir, name: &str, file: &str, text: &str) {
    let device = root.path().join("sys/class/net").join(name);
    fs::create_dir_all(&device).unwrap();
    fs::write(device.join(file), text).unwrap();
}

fn forward(root: &tempfile::TempDir) {
    fs::write(root.path().join("proc/sys/net/ipv4/ip_forward"), "1\n").unwrap();
}

fn kinds(root: &tempfile::TempDir) -> Vec<String> {
    let spots = look(root.path(), None);
    let text = |spot: BlindSpot| {
        let first = spot.detail.split(':').next().unwrap_or_default();
        format!("{} {first}", spot.kind)
    };
    spots.into_iter().map(text).collect()
}

#[test]
fn ordinary_host_has_none() {
    let root = host();
    process(&root, 2, "firecrackers", "a");
    process(&root, 3, "exe", "/usr/bin/chrome");
    device(&root, "eth0", "uevent", "INTERFACE=eth0\n");
    assert_eq!(look(root.path(), None), []);
}

#[test]
fn runtimes_of_guests_are_found_by_name() {
    for (comm, first, expected) in [
        ("firecracker", "x", "guest firecracker"),
        (
            "cloud-hyperviso",
            "/usr/bin/cloud-hypervisor",
            "guest cloud-hypervisor",
        ),
        ("qemu-system-x86", "x", "guest qemu-system"),
        ("containerd-shim", "/usr/bin/containerd-shim-runc-v2", ""),
        (
            "containerd-shim",
            "/opt/kata/bin/containerd-shim-kata-v2",
            "guest containerd-shim-kata",
        ),
        ("exe", "runsc-sandbox", "guest runsc-sandbox"),
        ("runsc", "x", "guest runsc"),
        ("runscript", "x", ""),
        ("kube2iam", "x", "credential_proxy kube2iam"),
        ("kiam-agent", "x", "credential_proxy kiam"),
    ] {
        let root = host();
        process(&root, 7, comm, first);
        let expected: Vec<&str> = Some(expected)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        assert_eq!(kinds(&root), expected, "{comm}");
    }
}

#[test]
fn processes_of_one_kind_are_counted() {
    let root = host();
    for pid in 2..5 {
        process(&root, pid, "firecracker", "x");
    }
    assert_eq!(kinds(&root), ["guest 3 processes, firecracker"]);
}

#[test]
fn guest_of_an_unknown_program_is_found_by_what_it_has_open() {
    let root = host();
    process(&root, 9, "my vmm", "x");
    symlink("anon_inode:kvm-vm", root.path().join("proc/9/fd/11")).unwrap();
    assert_eq!(kinds(&root), Vec::<String>::new());
    fs::create_dir_all(root.path().join("sys/class/misc/kvm")).unwrap();
    assert_eq!(kinds(&root), ["guest my?vmm"]);
}

#[test]
fn tap_devices_are_blind_spots_and_tun_devices_only_if_packets_are_forwarded() {
    let root = host();
    device(&root, "tap0", "tun_flags", "0x1002\n");
    device(&root, "tun0", "tun_flags", "0x1001\n");
    device(&root, "wg0", "uevent", "DEVTYPE=wireguard\n");
    assert_eq!(kinds(&root), ["tap_device tap0"]);
    forward(&root);
    assert_eq!(
        kinds(&root),
        [
            "forwarding packets are forwarded, and tun0, wg0 leads to others, who have no socket here",
            "tap_device tap0"
        ]
    );
}

#[test]
fn containers_of_this_kernel_are_no_blind_spot() {
    let root = host();
    device(&root, "docker0", "uevent", "DEVTYPE=bridge\n");
    device(&root, "veth12ab", "uevent", "INTERFACE=veth12ab\n");
    assert_eq!(forwarding(root.path()), "no packets are forwarded");
    forward(&root);
    assert_eq!(kinds(&root), Vec::<String>::new());
    assert!(forwarding(root.path()).contains("2 veth and bridge devices"));
}

#[test]
fn limited_to_a_network_namespace_only_what_runs_in_it_counts() {
    let root = host();
    process(&root, 5, "firecracker", "x");
    device(&root, "tap0", "tun_flags", "0x1002\n");
    assert_eq!(look(root.path(), Some(105)).len(), 1);
    assert_eq!(look(root.path(), Some(106)), []);
}

#[test]
fn change_is_told_once() {
    let root = host();
    let mut watch = Watch::new(root.path(), None);
    assert_eq!(watch.known(), []);
    assert_eq!(watch.changed_after(Duration::ZERO), None);
    process(&root, 5, "firecracker", "x");
    assert_eq!(watch.changed(), None, "it was looked a moment ago");
    assert_eq!(
        watch.changed_after(Duration::ZERO).map(|spots| spots.len()),
        Some(1)
    );
    assert_eq!(watch.changed_after(Duration::ZERO), None);
    fs::remove_dir_all(root.path().join("proc/5")).unwrap();
    assert_eq!(watch.changed_after(Duration::ZERO), Some(Vec::new()));
}

#[test]
fn host_that_cannot_be_read_has_none() {
    assert_eq!(look(Path::new("/none/such"), None), []);
}
