//! `cargo xtask vm-test`: the integration suite on stock distribution kernels.
//!
//! A cell is a kernel, a backend and a guest. Each has a VM of its own: kernel,
//! initramfs with the static programs, QEMU; the test program is PID 1, runs the
//! suite and says what came of it on the console.

mod boot;
mod cell;
mod cpio;
mod debian;
mod ext4;
mod guest;
mod initramfs;
mod outcome;
mod qemu;
mod root_image;
mod runner;
mod table;
mod verdict;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

pub(crate) use cell::{Cell, core};
pub(crate) use outcome::Outcome;
pub(crate) use runner::{Options, run as run_cells};
pub(crate) use table::Table;
pub(crate) use verdict::SuiteCount;

use crate::backend::Backend;
use crate::kernel::{self, Machine};
use crate::workspace;
use cell::{Guest, Selection, matrix};

/// Where a whole run writes its table.
const DOCUMENT: &str = "docs/kernel-support.md";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Architectures to run [default: all]
    #[arg(long, value_delimiter = ',', value_parser = kernel::machine)]
    arch: Vec<&'static Machine>,
    /// Kernels to boot [default: all]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(kernel::names()))]
    kernel: Vec<String>,
    /// Backends to run the suite with [default: those that the kernel has]
    #[arg(long, value_delimiter = ',')]
    backend: Vec<Backend>,
    /// What the guests hold, and so which cases run [default: both]
    #[arg(long)]
    guest: Option<Guest>,
    /// Only the boot test: the package in a whole Debian that boots three times
    #[arg(long, conflicts_with_all = ["arch", "kernel", "backend", "guest", "filter"])]
    boot: bool,
    /// Run only the cases whose name contains this
    #[arg(long, value_name = "SUBSTRING", value_parser = kernel_word)]
    filter: Option<String>,
    /// Test the analyzer as it is released: without overflow checks, stripped
    #[arg(long)]
    release: bool,
    /// Take over the cells that passed earlier with the same kernels and programs
    #[arg(long)]
    resume: bool,
    /// Write the table into docs/kernel-support.md if every cell passed
    #[arg(long, conflicts_with_all = ["arch", "kernel", "backend", "guest", "boot", "filter", "release"])]
    doc: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let selection = Selection {
        machines: args.arch.clone(),
        kernels: args.kernel.clone(),
        backends: args.backend.clone(),
        guest: if args.boot {
            Some(Guest::Boot)
        } else {
            args.guest
        },
        released: args.release,
    };
    let cells = selection.cells();
    if cells.is_empty() {
        bail!("there is no such cell: that kernel has no such backend, or there is no such kernel");
    }
    let options = Options {
        filter: args.filter.clone(),
        resume: args.resume,
    };
    let outcomes = run_cells(&cells, &options)?;
    print!("{}", Table(&outcomes));
    if selection.is_everything() && args.filter.is_none() {
        // The matrix comes first.
        let passed = outcomes[..matrix().len()]
            .iter()
            .filter(|outcome| outcome.verdict.is_ok())
            .count();
        println!("{passed} of {} cells of the matrix passed", matrix().len());
    }
    if outcomes.iter().any(|outcome| outcome.verdict.is_err()) {
        return Ok(ExitCode::FAILURE);
    }
    if args.doc {
        Table(&outcomes).write_into(&workspace::root().join(DOCUMENT))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A filter travels on the kernel's command line, which is split at white space.
fn kernel_word(word: &str) -> Result<String, String> {
    if word.is_empty()
        || word.len() > 200
        || word.contains(|c: char| !c.is_ascii_graphic() || c == '"')
    {
        return Err("must be 1 to 200 ASCII characters without spaces and quotes".into());
    }
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_cannot_add_words_to_the_kernel_command_line() {
        assert!(kernel_word("split_token").is_ok());
        assert!(kernel_word("a init=/bin/sh").is_err());
        assert!(kernel_word("a\"b").is_err());
        assert!(kernel_word("").is_err());
    }
}
