//! `cargo xtask demo`: from a fresh clone to real IMDS calls being caught.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::binaries::Binaries;
use crate::command::{line, privileged};
use crate::cross::HOST_TARGET;
use crate::progress::step;
use crate::setup;

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the analyzer writes: lines for people, or its records
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    format: String,
}

/// Sets up what is missing, builds, and becomes the demo.
///
/// The demo replaces this process rather than being its child, so Ctrl-C and
/// `kill` reach the one that has to clean up, and nobody dies before it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // Before minutes of building, not after.
    privileged("true").context("the demo loads eBPF programs and makes a network namespace")?;
    setup::run()?;
    let binaries = step("build", || Binaries::build(HOST_TARGET))?;
    eprintln!("==> demo");
    let mut demo = privileged(&binaries.tests)?;
    demo.args(["demo", "--analyzer"]).arg(&binaries.analyzer);
    demo.args(["--format", &args.format]);
    let error = demo.exec();
    Err(error).with_context(|| format!("cannot start `{}`", line(&demo)))
}
