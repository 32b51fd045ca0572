//! The command line of imds-analyzer.

use std::process::ExitCode;

use clap::Parser as _;
use imds_analyzer::{
    check,
    cli::{Cli, Command, exit},
    diagnostics, run,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = diagnostics::start(cli.log_level) {
        eprintln!("imds-analyzer: {error}");
        return ExitCode::from(exit::USAGE);
    }
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(args),
    };
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            eprintln!("imds-analyzer: {}", diagnostics::chain(error.as_ref()));
            ExitCode::from(exit::FAILED)
        }
    }
}
