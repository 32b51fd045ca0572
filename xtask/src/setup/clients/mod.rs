//! The clients of IMDS that the integration suite runs: programs of the distribution,
//! and below `target/clients` what comes from elsewhere.

mod parts;
mod programs;

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace;

/// Installs the programs that are missing and makes the parts that are not up to date.
pub(super) fn ensure() -> Result<()> {
    programs::ensure()?;
    parts::ensure(&dir())
}

/// Where the parts are: Python packages in `python`, Node's in `node/node_modules`, Java
/// classes in `java`, the client with the AWS SDK for Rust in `bin`.
pub(crate) fn dir() -> PathBuf {
    workspace::target_dir().join("clients")
}
