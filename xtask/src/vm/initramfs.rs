//! The VM's root file system, as the kernel unpacks it from an initramfs.
//!
//! The lean one holds the two programs under test, modules, and nothing else. The
//! other begins with a base that is cached, to which these are added.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::cell::Guest;
use super::cpio::{Archive, Kind, Member};
use super::guest::{self, Node, Tree};
use crate::binaries::Binaries;
use crate::progress::note;

/// Writes the image for `guest` to `dir/name` and returns its path.
pub(super) fn build(
    dir: &Path,
    name: &str,
    guest: Guest,
    binaries: &Binaries,
    modules: &[PathBuf],
) -> Result<PathBuf> {
    let images = dir.join("images");
    fs::create_dir_all(&images)?;
    let image = images.join(format!("{name}.cpio"));
    let mut file =
        File::create(&image).with_context(|| format!("cannot write {}", image.display()))?;
    let mut tree = overlay(binaries, modules)?;
    match guest {
        Guest::Lean => tree.extend(guest::skeleton()),
        Guest::Clients => {
            io::copy(&mut File::open(base(dir)?)?, &mut file)?;
        }
    }
    write(&tree, &mut file)?;
    Ok(image)
}

/// `imds-tests` is PID 1; the analyzer is where the suite expects it; the modules are in
/// the order in which init loads them.
fn overlay(binaries: &Binaries, modules: &[PathBuf]) -> Result<Tree> {
    let mut tree = Tree::from([
        ("init".into(), Node::Copy(binaries.tests.clone())),
        ("modules".into(), Node::Directory),
        (
            "usr/bin/imds-analyzer".into(),
            Node::Copy(binaries.analyzer.clone()),
        ),
        ("usr/bin/imds-tests".into(), Node::Link("/init".into())),
    ]);
    for module in modules {
        let name = module
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("no name in {}", module.display()))?;
        tree.insert(format!("modules/{name}"), Node::Copy(module.clone()));
    }
    Ok(tree)
}

/// The base archive, written anew only if one of its inputs has changed.
fn base(dir: &Path) -> Result<PathBuf> {
    let archive = dir.join("base.cpio");
    let manifest_file = dir.join("base.manifest");
    let tree = guest::base().context("cannot put the VM's root file system together")?;
    let manifest = manifest(&tree)?;
    if archive.is_file() && fs::read_to_string(&manifest_file).is_ok_and(|old| old == manifest) {
        return Ok(archive);
    }
    // Removed first and written last: an interrupted run leaves no manifest that lies.
    if manifest_file.exists() {
        fs::remove_file(&manifest_file)?;
    }
    write(&tree, &mut File::create(&archive)?)?;
    fs::write(&manifest_file, manifest)?;
    note(format_args!(
        "VM root file system: {} files, {} MB",
        tree.len(),
        archive.metadata()?.len() / 1_000_000
    ));
    Ok(archive)
}

/// Everything that decides what is in an archive of `tree`, as text.
fn manifest(tree: &Tree) -> Result<String> {
    let mut text = String::new();
    for (path, node) in tree {
        let state = match node {
            Node::Copy(source) => {
                let meta = metadata(source)?;
                format!("{} {} {}", meta.len(), meta.mtime(), meta.mtime_nsec())
            }
            _ => String::new(),
        };
        text.push_str(&format!("{path} {node:?} {state}\n"));
    }
    Ok(text)
}

fn write(tree: &Tree, file: &mut File) -> Result<()> {
    let mut archive = Archive::new(BufWriter::new(file));
    for (path, node) in tree {
        let (mut mode, mut mtime, mut data) = (0o755, 0, Vec::new());
        if let Node::Copy(source) = node {
            let meta = metadata(source)?;
            mode = meta.mode() & 0o7777;
            mtime = u32::try_from(meta.mtime()).unwrap_or(0);
            data = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        }
        if path == "tmp" || path == "var/tmp" {
            mode = 0o1777;
        }
        let kind = match node {
            Node::Directory => Kind::Directory,
            Node::Copy(_) => Kind::File(&data),
            Node::Text(text) => Kind::File(text.as_bytes()),
            Node::Link(target) => Kind::Link(target),
            Node::Device(major, minor) => Kind::Device(*major, *minor),
        };
        archive.append(&Member {
            path,
            mode,
            mtime,
            kind,
        })?;
    }
    archive.finish()?.flush()?;
    Ok(())
}

fn metadata(source: &Path) -> Result<fs::Metadata> {
    fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_changes_with_a_file_and_with_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a");
        fs::write(&source, "one").unwrap();
        let tree = Tree::from([("a".into(), Node::Copy(source.clone()))]);
        let before = manifest(&tree).unwrap();
        assert_eq!(manifest(&tree).unwrap(), before);
        fs::write(&source, "three").unwrap();
        assert_ne!(manifest(&tree).unwrap(), before);
        let link = |target: &str| Tree::from([("a".into(), Node::Link(target.into()))]);
        assert_ne!(manifest(&link("b")).unwrap(), manifest(&link("c")).unwrap());
    }
}
