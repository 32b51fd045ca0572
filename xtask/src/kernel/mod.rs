//! The distribution kernels that the VM suite boots: one row each.
//!
//! They are Debian's cloud kernels because any Debian mirror serves them, they
//! boot without modules, and each stands for a series that EC2 hosts run.

mod apt_sources;
mod download;

pub(crate) use download::{KEYRING, mirrors, vmlinuz};

/// A kernel that can be booted, and where Debian keeps it.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What people type: `6.1`.
    pub(crate) name: &'static str,
    /// What it runs on.
    pub(crate) machine: &'static Machine,
    /// Package names begin with this; the ABI or version number follows, …
    package_prefix: &'static str,
    /// … and they end with this. (`-dbg` and `-unsigned` end otherwise.)
    package_suffix: &'static str,
    /// The suites that have it, best first.
    suites: &'static [&'static str],
}

/// An architecture: as Debian, QEMU and Rust call it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Debian's name, as in `linux-image-…-cloud-amd64`.
    pub(crate) debian: &'static str,
    /// The target triple of the binaries that run in the guest.
    pub(crate) target: &'static str,
    /// The QEMU program and the machine it emulates.
    pub(crate) qemu: &'static [&'static str],
    /// The kernel's name of the serial console.
    pub(crate) console: &'static str,
}

const X86_64: Machine = Machine {
    debian: "amd64",
    target: "x86_64-unknown-linux-gnu",
    qemu: &[
        "qemu-system-x86_64",
        "-M",
        "pc",
        "-cpu",
        "max",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ],
    console: "ttyS0",
};

/// The kernel of `cargo xtask test`, and of `vm-test` without `--kernel`.
pub(crate) const DEFAULT: &str = "6.1";

const KERNELS: &[Kernel] = &[
    // Amazon Linux 2.
    Kernel {
        name: "5.10",
        machine: &X86_64,
        package_prefix: "linux-image-5.10.0-",
        package_suffix: "-cloud-amd64",
        suites: &["bullseye-security", "bullseye"],
    },
    // Amazon Linux 2023.
    Kernel {
        name: "6.1",
        machine: &X86_64,
        package_prefix: "linux-image-6.1.0-",
        package_suffix: "-cloud-amd64",
        suites: &["bookworm-security", "bookworm"],
    },
    // Amazon Linux 2023, newer.
    Kernel {
        name: "6.12",
        machine: &X86_64,
        package_prefix: "linux-image-6.12.",
        package_suffix: "-cloud-amd64",
        suites: &["trixie-security", "trixie"],
    },
    Kernel {
        name: "6.18",
        machine: &X86_64,
        package_prefix: "linux-image-6.18.",
        package_suffix: "-cloud-amd64",
        suites: &["trixie-backports"],
    },
    // From 6.19 on linux-image is a metapackage.
    Kernel {
        name: "7.3",
        machine: &X86_64,
        package_prefix: "linux-binary-7.3.",
        package_suffix: "-cloud-amd64",
        suites: &["trixie-backports"],
    },
];

/// The kernel called `name`; the error lists those there are.
pub(crate) fn by_name(name: &str) -> Result<&'static Kernel, String> {
    KERNELS
        .iter()
        .find(|kernel| kernel.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
            format!("no such kernel; there are {}", names.join(", "))
        })
}

impl Kernel {
    /// The packages among `names` that hold this kernel, newest first.
    fn packages<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut packages: Vec<_> = names
            .filter_map(|name| {
                let version = name
                    .strip_prefix(self.package_prefix)?
                    .strip_suffix(self.package_suffix)?;
                // `linux-image-6.1.0-42-rt` has no business here even if a suffix matched.
                version
                    .starts_with(|first: char| first.is_ascii_digit())
                    .then(|| (numbers(version), name))
            })
            .collect();
        packages.sort_by(|a, b| b.cmp(a));
        packages.into_iter().map(|(_, name)| name).collect()
    }
}

/// The numbers in a version, in order: enough to compare two of one package series.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_in_the_table() {
        assert_eq!(by_name(DEFAULT).unwrap().name, DEFAULT);
    }

    #[test]
    fn unknown_kernel_names_the_known_ones() {
        assert!(by_name("2.6").unwrap_err().contains("6.1"));
    }

    #[test]
    fn newest_package_comes_first_and_others_are_left_out() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-42-cloud-amd64",
            "linux-image-6.1.0-42-cloud-amd64-dbg",
            "linux-image-6.1.0-42-cloud-amd64-unsigned",
            "linux-image-6.1.0-42-amd64",
            "linux-image-6.1.0-37-cloud-amd64",
        ];
        assert_eq!(
            by_name("6.1").unwrap().packages(names.into_iter()),
            [
                "linux-image-6.1.0-42-cloud-amd64",
                "linux-image-6.1.0-37-cloud-amd64",
                "linux-image-6.1.0-9-cloud-amd64",
            ]
        );
    }

    #[test]
    fn version_in_the_name_is_compared_as_numbers() {
        let names = [
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.12.43+deb13-cloud-amd64",
        ];
        assert_eq!(
            by_name("6.12").unwrap().packages(names.into_iter())[0],
            "linux-image-6.12.43+deb13-cloud-amd64"
        );
    }
}
