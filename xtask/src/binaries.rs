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
        let packages = ["imds-analyzer", "imds-analyzer-tests"];
        let dir = build(target, "suite", &packages, &[])?;
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

/// Builds the analyzer alone, statically linked, as it is released: without the paths
/// of the machine that built it.
pub(crate) fn build_release(target: &str) -> Result<PathBuf> {
    // Of two that match, the compiler takes the last.
    let mut flags: Vec<String> = builder_paths()
        .iter()
        .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
        .collect();
    // At a fixed address, as on arm64 anyway: nothing is relocated at the start, so no
    // page of constants has to be copied for that.
    flags.push("-Crelocation-model=static".to_owned());
    let dir = build(target, "release", &["imds-analyzer"], &flags)?;
    let program = dir.join("imds-analyzer");
    require(&program)?;
    Ok(program)
}

/// Directories of this machine that panics and debug information would name, and what
/// they are to be called.
pub(crate) fn builder_paths() -> Vec<(PathBuf, &'static str)> {
    let home = env::home_dir();
    let of_home = |variable: &str, name: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(home.as_ref()?.join(name)))
    };
    let mut paths = Vec::new();
    paths.extend(of_home("RUSTUP_HOME", ".rustup").map(|path| (path, "rustup")));
    paths.extend(of_home("CARGO_HOME", ".cargo").map(|path| (path, "cargo")));
    paths.push((workspace::root().to_owned(), "imds-analyzer"));
    paths
}

fn build(target: &str, profile: &str, packages: &[&str], flags: &[String]) -> Result<PathBuf> {
    let target_dir = workspace::target_dir().join("static");
    let others = env::var("RUSTFLAGS").unwrap_or_default();
    let mut rustflags: Vec<&str> = others.split_whitespace().collect();
    rustflags.extend(["-C", "target-feature=+crt-static"]);
    rustflags.extend(flags.iter().map(String::as_str));
    let mut build = cargo();
    build
        .args(["build", "--bins", "--profile", profile, "--target", target])
        .arg("--target-dir")
        .arg(&target_dir)
        // Unlike RUSTFLAGS, which it wins over, it can hold a path with a space.
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f"));
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
