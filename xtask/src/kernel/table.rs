//! The kernels, one row each.

use super::machine::{AARCH64, X86_64};
use super::{Kernel, Machine};
use crate::backend::Backend;

const ALL: &[Backend] = &[Backend::Fentry, Backend::Kprobe, Backend::Cgroup];
/// arm64 has trampolines for fentry since 6.4 (commit efc9909fdce0, "bpf, arm64: Add bpf
/// trampoline for arm64" brought them with 6.0, ftrace's direct calls followed in 6.4):
/// before, loading succeeds and attaching gives ENOTSUPP.
const NO_FENTRY: &[Backend] = &[Backend::Kprobe, Backend::Cgroup];

/// All of them, by architecture and age.
pub(crate) const KERNELS: &[Kernel] = &[
    v5_10(&X86_64, ALL, "-cloud-amd64"),
    v6_1(&X86_64, ALL, "-cloud-amd64"),
    v6_12(&X86_64, "-cloud-amd64"),
    Kernel {
        name: "6.18",
        machine: &X86_64,
        backends: ALL,
        package_prefix: "linux-image-6.18.",
        package_suffix: "-cloud-amd64",
        suites: &["trixie-backports"],
    },
    // From 6.19 on linux-image is a metapackage.
    Kernel {
        name: "7.3",
        machine: &X86_64,
        backends: ALL,
        package_prefix: "linux-binary-7.3.",
        package_suffix: "-cloud-amd64",
        suites: &["trixie-backports"],
    },
    v5_10(&AARCH64, NO_FENTRY, "-cloud-arm64"),
    v6_1(&AARCH64, NO_FENTRY, "-cloud-arm64"),
    v6_12(&AARCH64, "-cloud-arm64"),
];

/// As Amazon Linux 2 has it.
const fn v5_10(
    machine: &'static Machine,
    backends: &'static [Backend],
    package_suffix: &'static str,
) -> Kernel {
    Kernel {
        name: "5.10",
        machine,
        backends,
        package_prefix: "linux-image-5.10.0-",
        package_suffix,
        suites: &["bullseye-security", "bullseye"],
    }
}

/// As Amazon Linux 2023 has it.
const fn v6_1(
    machine: &'static Machine,
    backends: &'static [Backend],
    package_suffix: &'static str,
) -> Kernel {
    Kernel {
        name: "6.1",
        machine,
        backends,
        package_prefix: "linux-image-6.1.0-",
        package_suffix,
        suites: &["bookworm-security", "bookworm"],
    }
}

/// As Amazon Linux 2023 has it since 2025.
const fn v6_12(machine: &'static Machine, package_suffix: &'static str) -> Kernel {
    Kernel {
        name: "6.12",
        machine,
        backends: ALL,
        package_prefix: "linux-image-6.12.",
        package_suffix,
        suites: &["trixie-security", "trixie"],
    }
}

/// The kernels' names, each once, oldest first.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for kernel in KERNELS {
        if !names.contains(&kernel.name) {
            names.push(kernel.name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_is_there_once() {
        let mut ids: Vec<_> = KERNELS.iter().map(Kernel::id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), KERNELS.len());
        assert_eq!(names(), ["5.10", "6.1", "6.12", "6.18", "7.3"]);
    }

    #[test]
    fn every_kernel_has_the_backend_that_needs_least() {
        assert!(
            KERNELS
                .iter()
                .all(|kernel| kernel.backends.contains(&Backend::Cgroup))
        );
    }
}
