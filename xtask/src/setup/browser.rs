//! Chromium, which checks the report's page.

use anyhow::Result;

use super::{apt, missing, present};
use crate::command::find_program;
use crate::test::BROWSERS;

/// Installs it where the distribution has a package of it. Elsewhere the test that needs
/// it fails and says so: everything else works without.
pub(super) fn ensure() -> Result<()> {
    if let Some(path) = BROWSERS.iter().find_map(|name| find_program(name)) {
        present("chromium", &path.display().to_string());
        return Ok(());
    }
    missing("chromium", "checks the page of `report --format html`");
    if apt::available() && apt::offers(&["chromium"])? {
        return apt::install(&["chromium"]);
    }
    crate::progress::note("install chromium or google-chrome yourself");
    Ok(())
}
