//! `cargo xtask dist`: the binary that is released.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::binaries;
use crate::command::CommandExt as _;
use crate::cross::HOST_TARGET;
use crate::progress::step;
use crate::workspace;

/// The size that the static binary promises to stay below, in bytes.
const SIZE_LIMIT: u64 = 5_000_000;

/// Builds it into `target/dist` and prints its path, size and SHA-256.
pub(crate) fn run() -> Result<()> {
    let program = step("release build", || binaries::build_release(HOST_TARGET))?;
    let dir = workspace::target_dir().join("dist");
    fs::create_dir_all(&dir)?;
    let architecture = HOST_TARGET.split('-').next().unwrap_or(HOST_TARGET);
    let name = format!("imds-analyzer-{architecture}");
    let path = dir.join(&name);
    fs::copy(&program, &path).with_context(|| format!("cannot write {}", path.display()))?;
    // In the format that `sha256sum --check` reads.
    let sum = Command::new("sha256sum")
        .current_dir(&dir)
        .arg(&name)
        .read()?;
    fs::write(dir.join(format!("{name}.sha256")), &sum)?;
    let size = path.metadata()?.len();
    println!(
        "{}\n{size} bytes\nsha256 {}",
        path.display(),
        sum.split(' ').next().unwrap_or("")
    );
    if size > SIZE_LIMIT {
        bail!("the binary has {size} bytes, more than the {SIZE_LIMIT} that are promised");
    }
    Ok(())
}
