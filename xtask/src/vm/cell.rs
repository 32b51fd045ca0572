//! The cells of the test matrix: which kernel, which backend, what is in the guest.

use std::{fmt, iter};

use crate::backend::Backend;
use crate::kernel::{KERNELS, Kernel, Machine};

/// One VM: a kernel that boots, and the suite that runs in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// The kernel.
    pub(crate) kernel: &'static Kernel,
    /// What the suite asks the analyzer for.
    pub(crate) backend: Backend,
    /// The file system that the kernel boots into.
    pub(crate) guest: Guest,
    /// The analyzer is as it is released, not the one with overflow checks.
    pub(crate) released: bool,
}

/// What a guest's file system holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Guest {
    /// The test program as init, the analyzer, a few modules, and nothing else.
    Lean,
    /// As the lean one; another group of cases runs in it: ten thousand callers.
    Crowd,
    /// The clients that people use, too.
    Clients,
    /// A whole Debian, with systemd and cloud-init, that boots more than once.
    Boot,
}

/// The kernels on which the clients run.
const CLIENT_KERNELS: [&str; 3] = ["5.10", "6.1", "7.3"];
/// The kernel on which ten thousand callers come, with each backend.
const CROWD_KERNEL: &str = "6.1";
/// The kernel that the whole Debian boots with: its own.
const BOOT_KERNEL: &str = "6.1";
/// The kernels on which each hook shows that it works without the witness, the first one on
/// arm64 too. Not 7.3: it can preempt a program, and
/// skips others on that CPU meanwhile, so there only the wire sees everything.
const ALONE_KERNELS: [&str; 2] = ["6.1", "5.10"];
/// The kernel on which `cargo xtask test` runs the hooks without the witness, and arm64.
const CORE_KERNEL: &str = ALONE_KERNELS[0];
/// The one on which it runs every backend: where programs start fastest.
const EVERY_BACKEND_KERNEL: &str = "6.12";

impl Guest {
    /// The group of cases that it can run, as `imds-tests suite --group` spells it.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Lean => "senders",
            Self::Crowd => "crowd",
            Self::Clients => "clients",
            Self::Boot => "boot",
        }
    }
}

impl Cell {
    const fn lean(kernel: &'static Kernel, backend: Backend) -> Self {
        Self {
            kernel,
            backend,
            guest: Guest::Lean,
            released: false,
        }
    }

    /// Names its files: `6.1-x86_64-kprobe-senders`, or `…-boot-released`.
    pub(crate) fn file_name(&self) -> String {
        format!(
            "{}-{}-{}{}",
            self.kernel.id(),
            self.backend,
            self.guest.group(),
            if self.released { "-released" } else { "" }
        )
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}{}",
            self.kernel.machine.arch,
            self.kernel.name,
            self.backend,
            self.guest.group(),
            if self.released { ", released" } else { "" }
        )
    }
}

/// Every kernel with every backend that it has.
pub(crate) fn matrix() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kernel in KERNELS {
        cells.extend(kernel.backends.iter().map(|one| Cell::lean(kernel, *one)));
    }
    cells
}

/// What `vm-test` runs besides: clients, crowds, the hooks without the witness, which would
/// make up for what they miss, and the boot test.
pub(crate) fn beside_the_matrix() -> Vec<Cell> {
    let mut cells = clients();
    cells.extend(crowds());
    cells.extend(alone());
    cells.extend(boots());
    cells
}

/// The boot test; what is installed there is what is released.
pub(crate) fn boots() -> Vec<Cell> {
    KERNELS
        .iter()
        .filter(|kernel| kernel.machine.arch == "x86_64" && kernel.name == BOOT_KERNEL)
        .map(|kernel| Cell {
            kernel,
            backend: Backend::Auto,
            guest: Guest::Boot,
            released: true,
        })
        .collect()
}

fn crowds() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kernel in KERNELS {
        if kernel.machine.arch == "x86_64" && kernel.name == CROWD_KERNEL {
            cells.extend(kernel.backends.iter().map(|backend| Cell {
                kernel,
                backend: *backend,
                guest: Guest::Crowd,
                released: false,
            }));
        }
    }
    cells
}

fn clients() -> Vec<Cell> {
    KERNELS
        .iter()
        .filter(|kernel| kernel.machine.arch == "x86_64" && CLIENT_KERNELS.contains(&kernel.name))
        .map(|kernel| Cell {
            kernel,
            backend: Backend::Auto,
            guest: Guest::Clients,
            released: false,
        })
        .collect()
}

fn alone() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kernel in KERNELS.iter().filter(|kernel| {
        kernel.name == CORE_KERNEL
            || (kernel.machine.arch == "x86_64" && ALONE_KERNELS.contains(&kernel.name))
    }) {
        for backend in kernel.backends {
            cells.extend(without_witness(*backend).map(|alone| Cell::lean(kernel, alone)));
        }
    }
    cells
}

fn without_witness(backend: Backend) -> Option<Backend> {
    match backend {
        Backend::Fentry => Some(Backend::FentryAlone),
        Backend::Kprobe => Some(Backend::KprobeAlone),
        _ => None,
    }
}

/// What `cargo xtask test` runs: each x86_64 kernel and one of arm64 with `auto`, on one
/// kernel the other backends, and on one the hooks without the witness too. There it is
/// the released analyzer that is asked for `auto`.
pub(crate) fn core() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kernel in KERNELS {
        match (kernel.machine.arch, kernel.name) {
            ("x86_64", CORE_KERNEL) => {
                let alone = kernel.backends.iter().copied().filter_map(without_witness);
                cells.extend(alone.map(|one| Cell::lean(kernel, one)));
                // And that what is released needs nothing beside it.
                cells.push(Cell {
                    released: true,
                    ..Cell::lean(kernel, Backend::Auto)
                });
            }
            ("x86_64", EVERY_BACKEND_KERNEL) => {
                // The first is what `auto` takes.
                let others = kernel.backends.iter().copied().skip(1);
                let all = iter::once(Backend::Auto).chain(others);
                cells.extend(all.map(|one| Cell::lean(kernel, one)));
            }
            ("x86_64", _) | (_, CORE_KERNEL) => cells.push(Cell::lean(kernel, Backend::Auto)),
            _ => {}
        }
    }
    // The slowest first: nothing waits for it in the end.
    cells.sort_by_key(|cell| cell.kernel.machine.arch == "x86_64");
    cells
}

/// What of the cells is wanted; empty means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) machines: Vec<&'static Machine>,
    /// Names of kernels.
    pub(crate) kernels: Vec<String>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) guest: Option<Guest>,
    /// Not which cells, but with the released analyzer.
    pub(crate) released: bool,
}

impl Selection {
    /// Whether it leaves nothing out.
    pub(crate) fn is_everything(&self) -> bool {
        self.machines.is_empty()
            && self.kernels.is_empty()
            && self.backends.is_empty()
            && self.guest.is_none()
            && !self.released
    }

    /// The cells, those of the matrix first. Empty if the selection contradicts itself.
    ///
    /// A backend that is asked for by name can be any that the kernel has: `auto` too.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let candidates: Vec<Cell> = if self.guest == Some(Guest::Boot) {
            boots()
        } else if self.backends.is_empty() {
            matrix().into_iter().chain(beside_the_matrix()).collect()
        } else {
            self.by_backend()
        };
        candidates
            .into_iter()
            .filter(|cell| {
                let machine = cell.kernel.machine;
                (self.machines.is_empty() || self.machines.contains(&machine))
                    && (self.kernels.is_empty()
                        || self.kernels.iter().any(|name| name == cell.kernel.name))
                    && self.guest.is_none_or(|guest| guest == cell.guest)
            })
            .map(|cell| Cell {
                released: self.released || cell.guest == Guest::Boot,
                ..cell
            })
            .collect()
    }

    fn by_backend(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for kernel in KERNELS {
            for backend in &self.backends {
                let needed = kernel.backends.iter().copied();
                let mut available = needed.clone().chain(needed.filter_map(without_witness));
                if *backend == Backend::Auto || available.any(|one| one == *backend) {
                    cells.push(Cell {
                        kernel,
                        backend: *backend,
                        guest: self.guest.unwrap_or(Guest::Lean),
                        released: false,
                    });
                }
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::machine;

    fn names(cells: &[Cell]) -> Vec<String> {
        cells.iter().map(Cell::to_string).collect()
    }

    #[test]
    fn matrix_has_its_22_cells() {
        let cells = matrix();
        let of = |arch: &str, backend: Backend| {
            let is_one = |cell: &&Cell| cell.kernel.machine.arch == arch && cell.backend == backend;
            let kernels = cells.iter().filter(is_one).map(|cell| cell.kernel.name);
            kernels.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(cells.len(), 22);
        for backend in [Backend::Fentry, Backend::Kprobe, Backend::Cgroup] {
            assert_eq!(of("x86_64", backend), "5.10 6.1 6.12 6.18 7.3");
        }
        assert_eq!(of("aarch64", Backend::Fentry), "6.12");
        assert_eq!(of("aarch64", Backend::Kprobe), "5.10 6.1 6.12");
        assert_eq!(of("aarch64", Backend::Cgroup), "5.10 6.1 6.12");
    }

    #[test]
    fn core_has_every_x86_64_kernel_and_an_arm64_one_with_auto() {
        let auto: Vec<_> = core()
            .iter()
            .filter(|cell| cell.backend == Backend::Auto)
            .map(|cell| cell.kernel.id())
            .collect();
        assert_eq!(
            auto,
            [
                "6.1-aarch64",
                "5.10-x86_64",
                "6.1-x86_64",
                "6.12-x86_64",
                "6.18-x86_64",
                "7.3-x86_64"
            ]
        );
        let all = names(&core());
        for backend in ["12 kprobe", "12 cgroup", "1 fentry-alone", "1 kprobe-alone"] {
            let cell = format!("x86_64 6.{backend} senders");
            assert!(all.contains(&cell), "no {cell} in {all:?}");
        }
    }

    #[test]
    fn nothing_selected_is_the_matrix_and_what_is_beside_it() {
        let selection = Selection::default();
        assert!(selection.is_everything());
        let count = selection.cells().len();
        assert_eq!(count, matrix().len() + beside_the_matrix().len());
    }

    #[test]
    fn boot_test_installs_what_is_released_with_the_backend_that_is_found() {
        let selection = Selection {
            guest: Some(Guest::Boot),
            ..Selection::default()
        };
        let alone = names(&selection.cells());
        assert_eq!(alone, ["x86_64 6.1 auto boot, released"]);
        assert!(names(&Selection::default().cells()).contains(&alone[0]));
    }

    #[test]
    fn selection_narrows_by_architecture_kernel_and_backend() {
        let selection = Selection {
            machines: vec![machine("aarch64").unwrap()],
            kernels: vec!["6.1".into(), "6.12".into()],
            backends: vec![Backend::Fentry, Backend::Auto],
            guest: None,
            released: true,
        };
        assert_eq!(
            names(&selection.cells()),
            [
                "aarch64 6.1 auto senders, released",
                "aarch64 6.12 fentry senders, released",
                "aarch64 6.12 auto senders, released"
            ]
        );
    }

    #[test]
    fn every_cell_has_files_of_its_own() {
        let mut cells = Selection::default().cells();
        let core = core();
        cells.extend(&core);
        let mut names: Vec<_> = cells.iter().map(Cell::file_name).collect();
        names.sort();
        names.dedup();
        // Of the core, all but its cells with `auto` are in the matrix or beside it.
        let twice = core.iter().filter(|cell| cell.backend != Backend::Auto);
        assert_eq!(names.len(), cells.len() - twice.count());
    }
}
