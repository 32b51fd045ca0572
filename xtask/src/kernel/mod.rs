//! The distribution kernels that the suite runs on, where they come from, and
//! what is taken out of their packages.
//!
//! They are Debian's cloud kernels because any Debian mirror serves them, they
//! boot without modules, and each stands for a series that EC2 hosts run.

mod apt_sources;
mod download;
mod machine;
mod modules;
mod resume;
mod table;

use std::path::PathBuf;

pub(crate) use download::{KEYRING, mirrors, obtain};
pub(crate) use machine::{MACHINES, Machine, machine, of_target};
pub(crate) use modules::Purpose;
pub(crate) use table::{KERNELS, names};

use crate::backend::Backend;

/// A kernel that can be booted, and where Debian keeps it.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What people type: `6.1`.
    pub(crate) name: &'static str,
    /// What it runs on.
    pub(crate) machine: &'static Machine,
    /// The backends that it has, in the order in which `auto` tries them.
    pub(crate) backends: &'static [Backend],
    /// Package names begin with this; the ABI or version number follows, …
    package_prefix: &'static str,
    /// … and they end with this. (`-dbg` and `-unsigned` end otherwise.)
    package_suffix: &'static str,
    /// The suites that have it, best first.
    suites: &'static [&'static str],
}

/// A kernel that is on this machine's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obtained {
    /// The image to boot.
    pub(crate) image: PathBuf,
    /// The modules that the guest needs, uncompressed, in the order in which to load them.
    pub(crate) modules: Vec<PathBuf>,
}

impl Kernel {
    /// Name with architecture, for paths and tables: `6.1-x86_64`.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}", self.name, self.machine.arch)
    }

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

    fn kernel(id: &str) -> &'static Kernel {
        KERNELS.iter().find(|kernel| kernel.id() == id).unwrap()
    }

    #[test]
    fn newest_package_comes_first_and_others_are_left_out() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-42-cloud-amd64",
            "linux-image-6.1.0-42-cloud-amd64-dbg",
            "linux-image-6.1.0-42-cloud-amd64-unsigned",
            "linux-image-6.1.0-42-cloud-arm64",
            "linux-image-6.1.0-42-amd64",
            "linux-image-6.1.0-37-cloud-amd64",
        ];
        assert_eq!(
            kernel("6.1-x86_64").packages(names.into_iter()),
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
            "linux-image-6.12.9+deb13-cloud-arm64",
            "linux-image-6.12.43+deb13-cloud-arm64",
        ];
        assert_eq!(
            kernel("6.12-aarch64").packages(names.into_iter())[0],
            "linux-image-6.12.43+deb13-cloud-arm64"
        );
    }
}
