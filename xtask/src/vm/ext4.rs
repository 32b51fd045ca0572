//! File systems in files: ext4, which Debian's cloud kernels have built in.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{CommandExt as _, privileged, required};
use crate::progress::note;

/// Writes `image`, a file system with all of `tree` and `spare_kib` KiB of room beside.
pub(super) fn pack(tree: &Path, spare_kib: u64, image: &Path) -> Result<()> {
    let usage = privileged("du")?.args(["-sk", "--"]).arg(tree).read()?;
    let used: u64 = usage
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("cannot read what du said: {usage}"))?;
    if image.exists() {
        fs::remove_file(image)?;
    }
    // Ours, though root fills it.
    fs::File::create(image).with_context(|| format!("cannot write {}", image.display()))?;
    privileged(required("mke2fs")?)?
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
        .arg(tree)
        .arg(image)
        .arg(format!("{}k", size_kib(used, spare_kib)))
        .run()?;
    note(format_args!("root image: {} MB of files", used / 1_000));
    Ok(())
}

/// Size of a file system for `used` KiB of files and `spare` more: ext4's own tables take some percent.
fn size_kib(used: u64, spare: u64) -> u64 {
    used + used / 8 + spare
}

/// Copies an image. The copy stays sparse, or shares its blocks where the file system can.
pub(super) fn copy(image: &Path, to: &Path) -> Result<()> {
    Command::new("cp")
        .args(["--sparse=always", "--reflink=auto"])
        .args([image, to])
        .run()
}

/// Writes executable files into an image: from where, and to which path in it, whose
/// directory must be there.
pub(super) fn write_files(image: &Path, files: &[(&Path, &str)]) -> Result<()> {
    let mut commands = String::new();
    for (source, place) in files {
        writeln!(commands, "write \"{}\" {place}", source.display())?;
        writeln!(commands, "set_inode_field {place} mode 0100755")?;
    }
    let script = image.with_extension("debugfs");
    fs::write(&script, commands)?;
    let said = Command::new(required("debugfs")?)
        .arg("-w")
        .arg("-f")
        .arg(&script)
        .arg(image)
        .read()?;
    // debugfs exits with 0 whatever came of its commands; it echoes each.
    if let Some(complaint) = said.lines().find(|line| is_complaint(line)) {
        bail!("could not write into {}: {complaint}", image.display());
    }
    Ok(())
}

fn is_complaint(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("debugfs") && !line.starts_with("Allocated inode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debugfs_complains_of_is_told_from_its_echo() {
        for line in [
            "",
            "debugfs: write \"a\" /b",
            "Allocated inode: 12",
            "debugfs 1.47.0 (5-Feb-2023)",
        ] {
            assert!(!is_complaint(line), "{line}");
        }
        assert!(is_complaint(
            "write: Could not allocate block in ext2 filesystem"
        ));
    }

    #[test]
    fn image_has_room_beside_its_files() {
        assert!(size_kib(800_000, 128_000) > 1_000_000);
    }
}
