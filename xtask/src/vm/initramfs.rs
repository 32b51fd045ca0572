//! The VM's root file system, as the kernel unpacks it from an initramfs.
//!
//! It holds the two programs under test, modules, and nothing else.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::cpio::{Archive, Kind, Member};
use super::guest::{self, Node, Tree};
use crate::binaries::Binaries;

/// Writes the image to `dir/name` and returns its path.
pub(super) fn build(
    dir: &Path,
    name: &str,
    binaries: &Binaries,
    modules: &[PathBuf],
) -> Result<PathBuf> {
    let images = dir.join("images");
    fs::create_dir_all(&images)?;
    let image = images.join(format!("{name}.cpio"));
    let mut file =
        File::create(&image).with_context(|| format!("cannot write {}", image.display()))?;
    let mut tree = overlay(binaries, modules)?;
    tree.extend(guest::skeleton());
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
