//! `cargo xtask setup`: brings what the build and the tests need.
//!
//! Each need is checked first and printed as one line, so a second run installs
//! nothing and takes well under two seconds. On Debian and Ubuntu missing
//! packages are installed with apt; elsewhere the error says exactly what to
//! install.

mod apt;
mod bpf_linker;
mod bpf_rust;
mod browser;
pub(crate) mod clients;
mod components;
mod cross;
mod tools;

use anyhow::Result;

use crate::progress::step;

/// Checks every need and installs what is missing.
pub(crate) fn run() -> Result<()> {
    step("setup", || {
        tools::ensure()?;
        components::ensure()?;
        let toolchain = bpf_rust::ensure()?;
        bpf_linker::ensure(&toolchain)?;
        cross::ensure()?;
        browser::ensure()?;
        clients::ensure()
    })
}

/// The line of a need that is satisfied.
fn present(need: &str, detail: &str) {
    crate::progress::note(format_args!("ok       {need:<24} {detail}"));
}

/// The line of a need that is about to be installed.
fn missing(need: &str, why: &str) {
    crate::progress::note(format_args!("missing  {need:<24} {why}"));
}
