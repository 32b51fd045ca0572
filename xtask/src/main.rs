//! `cargo xtask`: sets up, tests, demonstrates and packages imds-analyzer.
//!
//! Each subcommand is one module; this file only wires them. Progress goes to
//! stderr, results (the table of `test`, the paths of `dist`) to stdout.

mod backend;
mod bench;
mod binaries;
mod command;
mod cross;
mod demo;
mod dist;
mod distribution;
mod kernel;
mod package;
mod progress;
mod setup;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and demonstrates imds-analyzer.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install whatever the build and the tests need and this machine lacks
    Setup,
    /// Set up, build, and watch the analyzer catch real IMDS calls on this machine
    Demo(demo::Args),
    /// Everything CI runs: format, lints, unit tests, this machine's kernel, VM, systemd units
    Test(test::Args),
    /// The integration suite in virtual machines: every kernel, both architectures
    VmTest(vm::Args),
    /// What the analyzer costs on this machine, as ratios measured in one run
    Bench(bench::Args),
    /// What is released: static binaries of both architectures and the packages around them
    Dist(dist::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Setup => setup::run().map(|()| ExitCode::SUCCESS),
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::VmTest(args) => vm::run(&args),
        Task::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Dist(args) => dist::run(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
