//! The architectures that the analyzer runs on: as Debian, QEMU and Rust call them.

/// An architecture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The kernel's name of it, and the first word of the target triple.
    pub(crate) arch: &'static str,
    /// Debian's name, as in `linux-image-…-cloud-amd64`.
    pub(crate) debian: &'static str,
    /// The target triple of the binaries that run on it.
    pub(crate) target: &'static str,
    /// Begins the names of the GNU tools for it, as in `aarch64-linux-gnu-gcc`.
    pub(crate) gnu: &'static str,
    /// The QEMU program and the machine it emulates.
    pub(crate) qemu: &'static [&'static str],
    /// How it emulates it.
    pub(crate) accelerator: &'static str,
    /// Debian's package of that program.
    pub(crate) qemu_package: &'static str,
    /// The kernel's name of the serial console.
    pub(crate) console: &'static str,
    /// QEMU's exit code when the guest's init has said `pass`.
    pub(crate) pass_exit_code: i32,
}

/// Both of them.
pub(crate) const MACHINES: [&Machine; 2] = [&X86_64, &AARCH64];

pub(super) const X86_64: Machine = Machine {
    arch: "x86_64",
    debian: "amd64",
    target: "x86_64-unknown-linux-gnu",
    gnu: "x86_64-linux-gnu",
    qemu: &[
        "qemu-system-x86_64",
        "-M",
        "pc",
        "-cpu",
        // Without fast string instructions the kernel moves eight bytes at a time, not
        // one: each store into a page that held code is slow under emulation, and a
        // page that a program has left took half a minute to clear.
        "max,erms=off,fsrm=off",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ],
    // With 400 MiB of translated code kept. Of the 1 GiB that is QEMU's default, most is of
    // programs that have ended, and a guest that writes to such memory waits until each
    // piece is found and dropped: an analyzer then takes 20 s to start in place of 2.
    accelerator: "tcg,thread=single,tb-size=400",
    qemu_package: "qemu-system-x86",
    console: "ttyS0",
    // The guest writes V to the debug-exit port and QEMU exits with `V << 1 | 1`
    // (hw/misc/debugexit.c); the init writes 0x10.
    pass_exit_code: 33,
};

/// What a Graviton 2 has: Neoverse N1.
pub(super) const AARCH64: Machine = Machine {
    arch: "aarch64",
    debian: "arm64",
    target: "aarch64-unknown-linux-gnu",
    gnu: "aarch64-linux-gnu",
    qemu: &["qemu-system-aarch64", "-M", "virt", "-cpu", "neoverse-n1"],
    // That needs more, or it translates again and again.
    accelerator: "tcg,thread=single",
    qemu_package: "qemu-system-arm",
    console: "ttyAMA0",
    // There is no debug exit; the init powers the machine off.
    pass_exit_code: 0,
};

/// The architecture called `arch`.
pub(crate) fn machine(arch: &str) -> Result<&'static Machine, String> {
    MACHINES
        .into_iter()
        .find(|machine| machine.arch == arch)
        .ok_or_else(|| {
            let names = MACHINES.map(|machine| machine.arch).join(", ");
            format!("no such architecture; there are {names}")
        })
}

/// The architecture whose binaries are built for `target`.
pub(crate) fn of_target(target: &str) -> Option<&'static Machine> {
    MACHINES
        .into_iter()
        .find(|machine| machine.target == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_architecture_names_the_known_ones() {
        assert_eq!(machine("aarch64").unwrap().debian, "arm64");
        assert!(machine("riscv64").unwrap_err().contains("x86_64"));
    }
}
