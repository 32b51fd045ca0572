//! `cargo xtask bench`: what the analyzer costs on this machine.

use anyhow::Result;

use crate::binaries::Binaries;
use crate::command::{CommandExt as _, privileged};
use crate::cross::HOST_TARGET;
use crate::progress::step;
use crate::workspace;

/// What can be measured, in this order.
const SUBJECTS: [&str; 4] = ["send", "exec", "requests", "report"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; all if none is named
    #[arg(value_parser = SUBJECTS)]
    subject: Vec<String>,
}

/// Measures each subject with the analyzer as it is released.
pub(crate) fn run(args: &Args) -> Result<()> {
    let binaries = step("build", || Binaries::build(HOST_TARGET))?;
    let wanted = |subject: &str| {
        args.subject.is_empty() || args.subject.iter().any(|wanted| wanted == subject)
    };
    for subject in SUBJECTS.into_iter().filter(|subject| wanted(subject)) {
        println!("{subject}:");
        privileged(&binaries.tests)?
            // The paths that it names are below it.
            .current_dir(workspace::root())
            .args(["bench", subject, "--analyzer"])
            .arg(&binaries.analyzer)
            .run()?;
    }
    Ok(())
}
