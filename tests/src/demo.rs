//! To be written.
use anyhow::Result;
use std::path::Path;
/// Demo.
///
/// # Errors
///
/// None.
pub fn run(_analyzer: &Path) -> Result<()> {
    Ok(())
}
