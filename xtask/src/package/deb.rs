//! The Debian package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::template::fill_file;
use super::tree::{CONFIG, Places, Tree};
use super::{Product, release, source};
use crate::command::CommandExt as _;
use crate::workspace;

const PLACES: Places = Places {
    prefix: "usr/",
    config: CONFIG,
    zsh: "usr/share/zsh/vendor-completions",
    units: "usr/lib/systemd/system",
    sysusers: "usr/lib/sysusers.d",
};
const DOCUMENTS: &str = "usr/share/doc/imds-analyzer";
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Writes it into `out`: `imds-analyzer_0.1.0-1_amd64.deb`.
pub(super) fn pack(product: &Product<'_>, out: &Path) -> Result<PathBuf> {
    let release = product.release;
    let tree = Tree::new(product.stage("deb"))?;
    tree.put_common(product, PLACES)?;
    let repository = workspace::root();
    let version = [
        ("VERSION", &*release.version),
        ("REVISION", &*release.revision.to_string()),
    ];

    let licence = fs::read_to_string(repository.join("LICENSE-MIT"))?;
    let copyright = fill_file("debian/copyright.in", &[("MIT", &as_field(&licence))])?;
    tree.put(
        &format!("{DOCUMENTS}/copyright"),
        copyright.as_bytes(),
        0o644,
    )?;
    let changes = fs::read(repository.join("CHANGELOG.md"))?;
    tree.put_gz(&format!("{DOCUMENTS}/changelog.gz"), &changes)?;
    let mut values = version.to_vec();
    let date = release.date("%a, %d %b %Y %T +0000")?;
    values.push(("DATE_MAIL", &date));
    let changelog = fill_file("debian/changelog.in", &values)?;
    tree.put_gz(
        &format!("{DOCUMENTS}/changelog.Debian.gz"),
        changelog.as_bytes(),
    )?;
    tree.put_file(
        "usr/share/lintian/overrides/imds-analyzer",
        &source("debian/lintian-overrides"),
        0o644,
    )?;

    // What follows is not of the host's tree, so it is counted and summed before that.
    let files = tree.files()?;
    let (sums, size) = describe(&tree, &files)?;
    let mut values = version.to_vec();
    values.push(("ARCH", product.machine.debian));
    values.push(("INSTALLED_KIB", &size));
    let control = fill_file("debian/control.in", &values)?;
    tree.put("DEBIAN/control", control.as_bytes(), 0o644)?;
    tree.put("DEBIAN/conffiles", format!("/{CONFIG}\n").as_bytes(), 0o644)?;
    tree.put("DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
    for script in SCRIPTS {
        tree.put_file(
            &format!("DEBIAN/{script}"),
            &source(&format!("debian/{script}")),
            0o755,
        )?;
    }

    let package = out.join(format!(
        "imds-analyzer_{}_{}.deb",
        release.full(),
        product.machine.debian
    ));
    Command::new("dpkg-deb")
        // bullseye's dpkg reads no zstd, which Ubuntu's would write.
        .args(["--root-owner-group", "-Zxz", "--build"])
        .env(release::EPOCH, release.epoch.to_string())
        .arg(tree.root())
        .arg(&package)
        .read()?;
    Ok(package)
}

/// The text as the value of a field: each line behind a space, and no line empty.
fn as_field(text: &str) -> String {
    let lines = text.trim().lines().map(|line| match line.trim_end() {
        "" => " .".to_owned(),
        line => format!(" {line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The sums of all but the configuration, as dpkg keeps them, and the size in KiB: each
/// file's rounded up, as Debian's policy says (5.6.20).
fn describe(tree: &Tree, files: &[PathBuf]) -> Result<(String, String)> {
    let mut kib = 0;
    for file in files {
        kib += fs::metadata(tree.root().join(file))?.len().div_ceil(1024);
    }
    let sums = Command::new("md5sum")
        .current_dir(tree.root())
        .args(files.iter().filter(|file| *file != Path::new(CONFIG)))
        .read()
        .context("cannot sum up the package's files")?;
    Ok((sums, kib.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_line_of_a_field_is_a_full_stop() {
        assert_eq!(as_field("a\n\n  b\n"), " a\n .\n   b");
    }

    #[test]
    fn sums_leave_out_the_file_that_an_administrator_changes() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree::new(directory.path().join("root")).unwrap();
        tree.put(CONFIG, b"x", 0o644).unwrap();
        tree.put("usr/a", &[0; 1025], 0o644).unwrap();
        let (sums, size) = describe(&tree, &tree.files().unwrap()).unwrap();
        assert_eq!(size, "3");
        assert_eq!(sums.lines().count(), 1);
        assert!(sums.ends_with("  usr/a\n"), "{sums}");
    }
}
