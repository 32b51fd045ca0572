//! A Rust compiler that can build the eBPF programs.
//!
//! Two will do, and `imds-analyzer/build.rs` looks for them in this order:
//!
//! 1. the toolchain `imds-analyzer-bpf`, which is Debian's `rustc-web` with its
//!    prebuilt core for the BPF targets, linked into rustup;
//! 2. rustup's `nightly` with `rust-src`, from which cargo builds core.
//!
//! Where apt offers the first it is taken first: it comes from the mirror that
//! the machine uses anyway, while rustup's server is out of reach of many a
//! closed network. Everywhere else it is nightly, with a time limit, because
//! that download can hang for ever.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::{apt, missing, present};
use crate::command::CommandExt as _;
use crate::cross::LINKED_TOOLCHAIN as LINKED;

/// Where Debian installs it: `PREFIX/bin/rustc`.
const LINKED_PREFIX: &str = "/usr";
/// Debian's compiler, and its core library for the BPF targets.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
const NIGHTLY: &str = "nightly";
/// Some 200 MB; a minute on a good line.
const NIGHTLY_LIMIT: Duration = Duration::from_secs(300);
const BPF_TARGET: &str = "bpfel-unknown-none";

/// A compiler that can build the eBPF programs.
#[derive(Debug)]
pub(super) struct BpfToolchain {
    /// Its name in rustup.
    pub(super) name: &'static str,
    /// The major version of its LLVM: bpf-linker has to read its bitcode.
    pub(super) llvm: u32,
}

/// Finds such a toolchain or installs one.
pub(super) fn ensure() -> Result<BpfToolchain> {
    if let Some(toolchain) = find()? {
        present(
            "BPF-capable Rust",
            &format!("toolchain {} (LLVM {})", toolchain.name, toolchain.llvm),
        );
        return Ok(toolchain);
    }
    missing("BPF-capable Rust", "builds the eBPF programs");
    if apt::available() && apt::offers(&DEBIAN_PACKAGES)? {
        install_debian()?;
    } else {
        install_nightly()?;
    }
    find()?.ok_or_else(|| {
        anyhow!(
            "a BPF toolchain was installed without an error, yet it has no core for {BPF_TARGET}"
        )
    })
}

fn find() -> Result<Option<BpfToolchain>> {
    let listed = Command::new("rustup")
        .args(["toolchain", "list", "-q"])
        .read()?;
    if is_listed(&listed, LINKED) && has_prebuilt_core() {
        return describe(LINKED).map(Some);
    }
    if is_listed(&listed, NIGHTLY) && has_core_source() {
        return describe(NIGHTLY).map(Some);
    }
    Ok(None)
}

fn install_debian() -> Result<()> {
    let installed = apt::installed(&DEBIAN_PACKAGES)?;
    if installed.len() < DEBIAN_PACKAGES.len() {
        apt::install(&DEBIAN_PACKAGES)?;
    }
    Command::new("rustup")
        .args(["toolchain", "link", LINKED, LINKED_PREFIX])
        .run()
}

fn install_nightly() -> Result<()> {
    Command::new("rustup")
        .args(["toolchain", "install", NIGHTLY, "--profile", "minimal"])
        .args(["--component", "rust-src"])
        .run_within(NIGHTLY_LIMIT)
        .with_context(|| {
            format!(
                "no BPF-capable Rust. Either let `rustup toolchain install {NIGHTLY} --component \
                 rust-src` succeed, or install a rustc with a core for {BPF_TARGET} (Debian: {}) \
                 and run `rustup toolchain link {LINKED} {LINKED_PREFIX}`; then run \
                 `cargo xtask setup` again",
                DEBIAN_PACKAGES.join(" ")
            )
        })
}

fn has_prebuilt_core() -> bool {
    rustc(
        LINKED,
        &["--print", "target-libdir", "--target", BPF_TARGET],
    )
    .is_ok_and(|dir| {
        Path::new(dir.trim()).read_dir().is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
    })
}

fn has_core_source() -> bool {
    rustc(NIGHTLY, &["--print", "sysroot"]).is_ok_and(|sysroot| {
        Path::new(sysroot.trim())
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
    })
}

fn describe(name: &'static str) -> Result<BpfToolchain> {
    let version = rustc(name, &["-vV"])?;
    match llvm_major(&version) {
        Some(llvm) => Ok(BpfToolchain { name, llvm }),
        None => bail!("`rustc -vV` of toolchain {name} names no LLVM version"),
    }
}

fn rustc(toolchain: &str, args: &[&str]) -> Result<String> {
    Command::new("rustup")
        .args(["run", toolchain, "rustc"])
        .args(args)
        .read()
}

/// Whether `rustup toolchain list -q` has `name`, alone or with a host triple behind it.
fn is_listed(listing: &str, name: &str) -> bool {
    listing.lines().any(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || is_host_triple(rest))
    })
}

/// `-x86_64-unknown-linux-gnu`, but not `-2026-05-19-x86_64-…`: that is another toolchain.
fn is_host_triple(rest: &str) -> bool {
    rest.strip_prefix('-')
        .is_some_and(|triple| triple.starts_with(|first: char| first.is_ascii_alphabetic()))
}

fn llvm_major(version: &str) -> Option<u32> {
    version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_nightly_is_not_nightly() {
        let listing =
            "stable-x86_64-unknown-linux-gnu\nnightly-2026-05-19-x86_64-unknown-linux-gnu\n";
        assert!(!is_listed(listing, NIGHTLY));
        assert!(is_listed("nightly-x86_64-unknown-linux-gnu\n", NIGHTLY));
        assert!(is_listed("imds-analyzer-bpf\n", LINKED));
        assert!(!is_listed("imds-analyzer-bpf2\n", LINKED));
    }

    #[test]
    fn llvm_version_is_read_from_rustc() {
        let version = "rustc 1.96.0\nbinary: rustc\nLLVM version: 22.1.8\n";
        assert_eq!(llvm_major(version), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
