//! `cargo xtask test`: everything that has to hold before a change is merged.
//!
//! Every step runs whatever became of the ones before it. At the end there is
//! one table, and a last line that counts all cases: `N passed, N failed`.

mod cases;
mod lints;
mod packages;
mod page;
mod released;
mod report;
mod suites;
mod units;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::binaries::Binaries;
use crate::cross::HOST_TARGET;
use crate::setup;
use crate::vm;
use report::Report;

pub(crate) use page::BROWSERS;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the virtual machine out: the quick loop
    #[arg(long)]
    no_vm: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut report = Report::new();
    report.check("setup", setup::run);
    report.check("format", lints::format);
    report.check("clippy", lints::clippy);
    report.check("clippy (eBPF)", lints::clippy_ebpf);
    report.cases("unit tests", lints::unit_tests);

    let mut binaries = None;
    report.check("build", || {
        binaries = Some(Binaries::build(HOST_TARGET)?);
        Ok(())
    });
    let built = || binaries.as_ref().context("not run: the build failed");
    report.check("systemd units", || units::verify(&built()?.analyzer));
    report.check("report in a browser", || page::shows(built()?));
    let mut packed = None;
    report.check("packages", || {
        packed = Some(packages::pack(&built()?.analyzer)?);
        Ok(())
    });
    report.cases("suite, this kernel", || suites::on_this_machine(built()?));
    if !args.no_vm {
        report.many("core of the matrix", || suites::in_vms(&vm::core()));
        report.check("released binary", released::verify);
        report.check("packages, Debian 11 to 13", || {
            packed
                .as_ref()
                .context("not run: there are none")?
                .install()
        });
    }
    if !args.no_vm {
        println!("\nOf the VMs this is the core; `cargo xtask vm-test` runs every cell.");
    }
    print!("{report}");
    Ok(if report.total().failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
