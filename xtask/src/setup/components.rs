//! rustfmt and clippy of the toolchain that runs this task.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{missing, present};
use crate::command::{CommandExt as _, cargo, find_program};

/// Installs the components that are missing.
pub(super) fn ensure() -> Result<()> {
    if find_program("rustup").is_none() {
        bail!(
            "rustup is not installed, and the BPF toolchain is chosen through it: install it as \
             rustup.rs says, then run `cargo xtask setup` again"
        );
    }
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        match cargo().args([subcommand, "--version"]).read() {
            Ok(version) => present(component, version.trim()),
            Err(_) => {
                missing(component, "`cargo xtask test` runs it");
                Command::new("rustup")
                    .args(["component", "add", component])
                    .run()
                    .with_context(|| {
                        format!("could not add {component} to the toolchain in use")
                    })?;
            }
        }
    }
    Ok(())
}
