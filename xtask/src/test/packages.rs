//! The packages, around the binary that the suites run: the released one takes minutes to
//! build, and what packages do does not depend on it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::dist;
use crate::package::{Common, Packages, Product, Release, lint, trial};
use crate::progress::step;
use crate::workspace;

/// Packages that lintian and rpmlint are content with.
#[derive(Debug)]
pub(super) struct Packed {
    program: PathBuf,
    release: Release,
    common: Common,
    packages: Packages,
}

/// Packs `program` twice: the packages have to be clean, and the same to the byte.
pub(super) fn pack(program: &Path) -> Result<Packed> {
    let release = Release::of_workspace()?;
    let common = Common::make(&release)?;
    let mut made = Vec::new();
    for directory in ["test", "again"] {
        let out = workspace::target_dir().join("package").join(directory);
        fs::create_dir_all(&out)?;
        made.push(step("packing", || {
            product(program, &release, &common)?.pack(&out)
        })?);
    }
    let again = made.pop().context("both were made")?;
    let packages = made.pop().context("both were made")?;
    for (one, other) in packages.paths().into_iter().zip(again.paths()) {
        ensure!(
            fs::read(one)? == fs::read(other)?,
            "{} and {} differ, and should be the same",
            one.display(),
            other.display()
        );
    }
    step("lintian and rpmlint", || lint::check(&packages))?;
    Ok(Packed {
        program: program.to_owned(),
        release,
        common,
        packages,
    })
}

impl Packed {
    /// Installs, upgrades and removes them in Debian's releases.
    pub(super) fn install(&self) -> Result<()> {
        let product = product(&self.program, &self.release, &self.common)?;
        trial::run(&product, &self.packages)
    }
}

fn product<'a>(program: &'a Path, release: &'a Release, common: &'a Common) -> Result<Product<'a>> {
    Ok(Product {
        machine: dist::this_machine()?,
        program,
        release,
        common,
    })
}
