//! Builds the two programs that suites and demo run: the analyzer, and
//! `imds-tests` (mock IMDS, senders, suite, VM init).
//!
//! One static build serves this machine, its VMs and the demo. It has a target
//! directory of its own because its compiler flags differ: in the main one each
//! change between the two would rebuild every dependency.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command::{CommandExt as _, cargo};
use crate::cross;
use crate::workspace;

/// The programs that suites and demo run.
#[derive(Debug)]
pub(crate) struct Binaries {
    /// `imds-analyzer`.
    pub(crate) analyzer: PathBuf,
    /// `imds-tests`.
    pub(crate) tests: PathBuf,
}

impl Binaries {
    /// Builds them, statically linked, with the profile `suite` of the workspace.
    pub(crate) fn build(target: &str) -> Result<Self> {
        let dir = build(target, "suite", &["imds-analyzer", "imds-analyzer-tests"])?;
        let built = Self {
            analyzer: dir.join("imds-analyzer"),
            tests: dir.join("imds-tests"),
        };
        for program in [&built.analyzer, &built.tests] {
            require(program)?;
        }
        Ok(built)
    }
}

/// Builds the analyzer alone, statically linked, as it is released.
pub(crate) fn build_release(target: &str) -> Result<PathBuf> {
    let program = build(target, "release", &["imds-analyzer"])?.join("imds-analyzer");
    require(&program)?;
    Ok(program)
}

fn build(target: &str, profile: &str, packages: &[&str]) -> Result<PathBuf> {
    let target_dir = workspace::target_dir().join("static");
    let mut rustflags = env::var("RUSTFLAGS").unwrap_or_default();
    rustflags.push_str(" -C target-feature=+crt-static");
    let mut build = cargo();
    build
        .args(["build", "--bins", "--profile", profile, "--target", target])
        .arg("--target-dir")
        .arg(&target_dir)
        // This one would win over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", rustflags.trim());
    cross::prepare(&mut build, target)?;
    for package in packages {
        build.args(["--package", package]);
    }
    build.run()?;
    Ok(target_dir.join(target).join(profile))
}

fn require(program: &Path) -> Result<()> {
    if program.is_file() {
        Ok(())
    } else {
        bail!("the build made no {}", program.display())
    }
}
