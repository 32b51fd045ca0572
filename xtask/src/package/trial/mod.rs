//! The packages where they are meant for: installed, upgraded, removed and purged in
//! copies of Debian 11, 12 and 13.
//!
//! systemd does not run there, as it does not where images are built. The scripts are
//! shown a stand-in for `systemctl` that notes how it is called; the boot test of
//! `cargo xtask vm-test` has the real one.

mod deb;
mod root;
mod rpm;
mod tarball;

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::{Packages, Product, directory};
use crate::distribution::SUITES;
use crate::progress::note;

/// Tries `packages`, which are of `product` and of this machine.
pub(crate) fn run(product: &Product<'_>, packages: &Packages) -> Result<()> {
    let newer = directory().join("newer");
    fs::create_dir_all(&newer)?;
    let release = product.release.next();
    let product = Product {
        release: &release,
        ..*product
    };
    let newer = product.pack(&newer)?;
    for suite in SUITES {
        deb::run(suite, &packages.deb, &newer.deb)
            .with_context(|| format!("the .deb in {suite}"))?;
        note(format_args!("the .deb works in {suite}"));
        tarball::run(suite, &packages.tarball)
            .with_context(|| format!("the tarball in {suite}"))?;
        note(format_args!("the tarball works in {suite}"));
    }
    let suite = SUITES[SUITES.len() - 1];
    rpm::run(suite, &packages.rpm, &newer.rpm).with_context(|| format!("the .rpm in {suite}"))?;
    note(format_args!("the .rpm works in {suite}"));
    Ok(())
}

/// Fails if `left` and `expected` are not the same paths; `when` says what had happened.
fn expect_left(left: &[String], expected: &[&str], when: &str) -> Result<()> {
    ensure!(
        left == expected,
        "{when}, what differs is\n  {}\nand should be\n  {}",
        left.join("\n  "),
        expected.join("\n  ")
    );
    Ok(())
}
