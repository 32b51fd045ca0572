//! Format, lints and unit tests: what cargo can check.

use anyhow::Result;

use super::cases::Cases;
use crate::command::{CommandExt as _, cargo};

/// Built for its own target only.
const EBPF_PACKAGE: &str = "imds-analyzer-ebpf";

/// A client of the suite that is a workspace of its own.
const CLIENT_MANIFEST: &str = "tests/clients/aws-config/Cargo.toml";

/// rustfmt on every crate, the eBPF one included.
pub(super) fn format() -> Result<()> {
    cargo().args(["fmt", "--all", "--check"]).run()?;
    cargo()
        .args(["fmt", "--check", "--manifest-path", CLIENT_MANIFEST])
        .run()
}

/// Clippy on everything that runs in user space, tests included.
pub(super) fn clippy() -> Result<()> {
    cargo()
        .args([
            "clippy",
            "--workspace",
            "--exclude",
            EBPF_PACKAGE,
            "--all-targets",
        ])
        .args(["--", "-D", "warnings"])
        .run()
}

/// Clippy on the eBPF programs, compiled for this machine: clippy isn't part of
/// every BPF-capable toolchain, and what it looks at is the same.
pub(super) fn clippy_ebpf() -> Result<()> {
    cargo()
        // aya-ebpf uses one unstable feature.
        .env("RUSTC_BOOTSTRAP", "aya_ebpf")
        // A no_std program can't unwind. Not `--release`: that would compile every
        // build script and macro a second time.
        .args(["clippy", "--config", "profile.dev.panic='abort'"])
        .args(["--package", EBPF_PACKAGE, "--bins"])
        .args(["--", "-D", "warnings"])
        .run()
}

/// The unit tests of every crate but the eBPF one.
pub(super) fn unit_tests() -> Result<Cases> {
    let mut cases = Cases::default();
    let status = cargo()
        .args([
            "test",
            "--workspace",
            "--exclude",
            EBPF_PACKAGE,
            "--no-fail-fast",
        ])
        .relay(|line| {
            if let Some(counted) = Cases::of_libtest(line) {
                cases += counted;
            }
        })?;
    cases.checked(status)
}
