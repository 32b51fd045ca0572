//! The boot test's guest: a Debian system with systemd and cloud-init, on a disk that
//! lasts for three boots, and a machine that cloud-init takes for EC2's.
//!
//! `tests/src/boot` is what happens in it.

mod files;
mod image;

pub(super) use image::{build, manifest_file};

/// How often the guest boots from its disk.
pub(super) const BOOTS: u32 = 3;

/// Id of the machine: those of EC2 begin with `ec2` (EC2 User Guide, "Detect whether a host
/// is an EC2 instance"), which is all that cloud-init's `ds-identify` looks at.
const UUID: &str = "ec2b0075-7e57-4ab1-9c1e-0123456789ab";

/// Words of the kernel's command line for boot number `boot`, from 1.
pub(super) fn kernel_words(boot: u32) -> Vec<String> {
    let words = [
        "root=/dev/nvme0n1",
        "rw",
        "init=/sbin/init",
        "net.ifnames=0",
        "systemd.show_status=false",
    ];
    let words = words.into_iter().map(str::to_owned);
    words.chain([format!("imds.boot={boot}")]).collect()
}

/// What QEMU's machine has besides a disk: EC2's firmware, and a network card with nobody
/// at the other end but QEMU's DHCP server. `restrict` keeps every packet inside.
pub(super) fn devices() -> Vec<String> {
    [
        "-smbios",
        &format!("type=1,manufacturer=Amazon EC2,product=t3.micro,serial={UUID},uuid={UUID}"),
        "-netdev",
        "user,id=net,restrict=on",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_packet_of_the_guest_leaves_it() {
        let devices = devices().join(" ");
        assert!(devices.contains("user,id=net,restrict=on "), "{devices}");
        assert_eq!(devices.matches("-netdev").count(), 1);
    }
}
