//! `cargo xtask dist`: what is released, into `target/dist`. The static binaries of both
//! architectures, the packages around them, and the sums of all; checked.

mod binary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::CommandExt as _;
use crate::cross::HOST_TARGET;
use crate::kernel::{self, MACHINES, Machine};
use crate::package::{Common, Product, Release, lint, trial};
use crate::progress::step;
use crate::workspace;

pub(crate) use binary::build;

/// In the format that `sha256sum --check` reads.
const SUMS: &str = "SHA256SUMS";

/// Words of the subcommand.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pack this static binary of this machine's architecture, and build none: for work on
    /// the packages
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Leave out installing the packages into Debian 11 to 13
    #[arg(long)]
    no_trial: bool,
}

/// Builds, packs, checks, and prints path, size and SHA-256 of each file.
pub(crate) fn run(args: &Args) -> Result<()> {
    let dir = workspace::target_dir().join("dist");
    if dir.exists() {
        // A checksum must not be of another build's file.
        fs::remove_dir_all(&dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let release = Release::of_workspace()?;
    let programs = match &args.binary {
        Some(file) => vec![(this_machine()?, file.clone())],
        None => build_all()?,
    };
    let common = Common::make(&release)?;
    let mut files = Vec::new();
    for (machine, program) in &programs {
        let product = Product {
            machine,
            program,
            release: &release,
            common: &common,
        };
        let packages = step(format_args!("packages for {}", machine.arch), || {
            product.pack(&dir)
        })?;
        step(format_args!("lints for {}", machine.arch), || {
            lint::check(&packages)
        })?;
        if machine.target == HOST_TARGET && !args.no_trial {
            step("installing, upgrading, removing", || {
                trial::run(&product, &packages)
            })?;
        }
        if args.binary.is_none() {
            files.push(program.clone());
        }
        files.extend(packages.paths().map(Path::to_owned));
    }
    publish(&dir, &files)
}

/// The machine that this runs on, among those that there are releases for.
pub(crate) fn this_machine() -> Result<&'static Machine> {
    kernel::of_target(HOST_TARGET).context("there is no release for this machine")
}

fn build_all() -> Result<Vec<(&'static Machine, PathBuf)>> {
    let mut programs = Vec::new();
    for machine in MACHINES {
        let name = format!("release build for {}", machine.arch);
        programs.push((machine, step(name, || build(machine))?));
    }
    Ok(programs)
}

/// Writes the sums of `files`, which are in `dir`, and lists them.
fn publish(dir: &Path, files: &[PathBuf]) -> Result<()> {
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
    let sums = Command::new("sha256sum")
        .current_dir(dir)
        .args(&names)
        .read()?;
    fs::write(dir.join(SUMS), &sums)?;
    for (file, line) in files.iter().zip(sums.lines()) {
        println!(
            "{}\n  {} bytes\n  sha256 {}",
            file.display(),
            file.metadata()?.len(),
            line.split(' ').next().unwrap_or_default()
        );
    }
    println!("{}", dir.join(SUMS).display());
    Ok(())
}
