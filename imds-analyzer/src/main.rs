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

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = diagnostics::start(cli.log_level) {
        eprintln!("imds-analyzer: {error}");
        return ExitCode::from(exit::USAGE);
    }
    let done = match &cli.command {
        Command::Run(args) => run::run(args).map(|()| exit::DONE),
        Command::Check(args) => check::check(args).map(|()| exit::DONE),
        Command::Report(args) => args.report().map(|verdict| match verdict {
            Verdict::Safe => exit::DONE,
            Verdict::NotSafe => exit::NOT_SAFE,
            Verdict::CannotTell => exit::CANNOT_TELL,
        }),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("imds-analyzer: {}", diagnostics::chain(error.as_ref()));
            ExitCode::from(exit::FAILED)
        }
    }
}
