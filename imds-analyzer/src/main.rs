//! The command line of imds-analyzer.

use std::process::ExitCode;

use clap::Parser as _;
use imds_analyzer::{
    check,
    cli::{Cli, Command, exit},
    diagnostics,
    report::Verdict,
    run,
};

/// The exit code for what a report says.
fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Safe => exit::DONE,
        Verdict::NotSafe => exit::NOT_SAFE,
        Verdict::CannotTell => exit::CANNOT_TELL,
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = diagnostics::start(cli.log_level) {
        eprintln!("imds-analyzer: {error}");
        return ExitCode::from(exit::USAGE);
    }
    let done = match &cli.command {
        Command::Run(args) => run::run(args).map(|()| exit::DONE),
        Command::Check(args) => check::check(args).map(|()| exit::DONE),
        Command::Report(args) => args.report().map(code),
        Command::RebootCycle(args) => args
            .take_step()
            .map(|verdict| verdict.map_or(exit::DONE, code)),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("imds-analyzer: {}", diagnostics::chain(error.as_ref()));
            ExitCode::from(exit::FAILED)
        }
    }
}
