//! Builds the eBPF programs for the architecture that the daemon is built for.
//!
//! They need a compiler with a `core` for BPF, which no stable toolchain brings.
//! `cargo xtask setup` provides one of two: the rustup toolchain
//! `imds-analyzer-bpf` (a distribution's compiler with a prebuilt `core`), or
//! rustup's nightly with `rust-src`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use aya_build::{Package, Toolchain};

/// Name that `cargo xtask setup` gives to a distribution's BPF-capable compiler.
const LINKED_TOOLCHAIN: &str = "imds-analyzer-bpf";

fn main() {
    println!("cargo:rerun-if-changed=../imds-analyzer-common");
    println!("cargo:rerun-if-changed=build.rs");
    // An error that is told this way ends the build with this one line; a failing
    // exit code would add the whole output of this script.
    let Some((toolchain, bootstrap)) = toolchain() else {
        println!(
            "cargo::error=no Rust toolchain here can build for BPF, or bpf-linker is missing: run `cargo xtask setup`"
        );
        return;
    };
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", bootstrap) };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../imds-analyzer-ebpf");
    let package = Package {
        name: "imds-analyzer-ebpf",
        root_dir: root,
        ..Package::default()
    };
    if let Err(error) = aya_build::build_ebpf([package], Toolchain::Custom(toolchain)) {
        println!(
            "cargo::error=the eBPF programs did not build ({error:#}); if a tool is missing, run `cargo xtask setup`"
        );
    }
}

/// The toolchain to use, and the value of `RUSTC_BOOTSTRAP` for it.
///
/// aya-ebpf uses one unstable feature, which a stable compiler allows to the
/// crates named there; naming one crate also keeps aya-build from rebuilding
/// `core`. On nightly nothing needs to be allowed.
fn toolchain() -> Option<(&'static str, &'static str)> {
    if !succeeds(Command::new("bpf-linker").arg("--version")) {
        return None;
    }
    if sysroot(LINKED_TOOLCHAIN).is_some() {
        return Some((LINKED_TOOLCHAIN, "aya_ebpf"));
    }
    let nightly = sysroot("nightly")?;
    Path::new(&nightly)
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
        .then_some(("nightly", "0"))
}

fn sysroot(toolchain: &str) -> Option<String> {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
