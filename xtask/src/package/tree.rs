//! The files of a package, laid out as they will be on a host.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};

use super::Product;
use crate::workspace;

/// The configuration, which no package manager overwrites once it was changed.
pub(super) const CONFIG: &str = "etc/imds-analyzer/imds-analyzer.toml";

/// A directory that becomes the root of a host, and what is put into it.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// Where distributions differ. Paths are relative to `/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// `usr/`, or nothing where it is not known yet.
    pub(super) prefix: &'static str,
    /// The configuration.
    pub(super) config: &'static str,
    /// Directory of functions of zsh.
    pub(super) zsh: &'static str,
    /// Directory of the unit.
    pub(super) units: &'static str,
    /// Directory of sysusers.d(5).
    pub(super) sysusers: &'static str,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot clear {}", root.display()))?;
        }
        fs::create_dir_all(&root)?;
        fs::set_permissions(&root, Permissions::from_mode(0o755))?;
        Ok(Self { root })
    }

    /// Its own root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts what every package has: all but what is said of its licence and its changes.
    pub(super) fn put_common(&self, product: &Product<'_>, places: Places) -> Result<()> {
        let repository = workspace::root();
        let of = |path: &str| repository.join(path);
        let under = |path: &str| format!("{}{path}", places.prefix);
        self.put_file(&under("bin/imds-analyzer"), product.program, 0o755)?;
        for (path, source) in [
            (places.config.to_owned(), of("systemd/imds-analyzer.toml")),
            (
                format!("{}/imds-analyzer.service", places.units),
                of("systemd/imds-analyzer.service"),
            ),
            (
                format!("{}/imds-analyzer.conf", places.sysusers),
                of("systemd/imds-analyzer.sysusers"),
            ),
            (
                under("share/bash-completion/completions/imds-analyzer"),
                product.common.pages.join("imds-analyzer.bash"),
            ),
            (
                under("share/fish/vendor_completions.d/imds-analyzer.fish"),
                product.common.pages.join("imds-analyzer.fish"),
            ),
            (
                format!("{}/_imds-analyzer", places.zsh),
                product.common.pages.join("_imds-analyzer"),
            ),
            // Not with the documentation: minimal images leave that out.
            (
                under("share/imds-analyzer/amazon-cloudwatch-agent.json"),
                of("systemd/amazon-cloudwatch-agent.json"),
            ),
            (
                under("share/imds-analyzer/imds-analyzer.logrotate"),
                of("systemd/imds-analyzer.logrotate"),
            ),
            (
                under("share/imds-analyzer/record.schema.json"),
                of("docs/record.schema.json"),
            ),
        ] {
            self.put_file(&path, &source, 0o644)?;
        }
        for page in sorted(&product.common.pages)? {
            if page.extension().is_some_and(|extension| extension == "1") {
                let name = file_name(&page)?;
                self.put_gz(
                    &under(&format!("share/man/man1/{name}.gz")),
                    &fs::read(&page)?,
                )?;
            }
        }
        for document in sorted(&of("docs"))? {
            if document
                .extension()
                .is_some_and(|extension| extension == "md")
            {
                let name = file_name(&document)?;
                self.put_file(
                    &under(&format!("share/doc/imds-analyzer/{name}")),
                    &document,
                    0o644,
                )?;
            }
        }
        self.put_gz(
            &under("share/doc/imds-analyzer/third-party.txt.gz"),
            product.common.notices.as_bytes(),
        )
    }

    /// Puts `bytes` at `path`.
    pub(super) fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let file = self.root.join(path);
        self.make_parents(Path::new(path))?;
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Puts a copy of `source` at `path`.
    pub(super) fn put_file(&self, path: &str, source: &Path, mode: u32) -> Result<()> {
        let bytes =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.put(path, &bytes, mode)
    }

    /// Puts `bytes` at `path` as `gzip -9n` writes them: the same every time.
    pub(super) fn put_gz(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let mut gz = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::best());
        gz.write_all(bytes)?;
        self.put(path, &gz.finish()?, 0o644)
    }

    /// What is in it, relative to its root and sorted.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for path in sorted(&directory)? {
                if path.is_dir() {
                    directories.push(path);
                } else {
                    files.push(path.strip_prefix(&self.root)?.to_owned());
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Directories with the mode that they have on a host, whatever this process's umask.
    fn make_parents(&self, path: &Path) -> Result<()> {
        let mut directory = self.root.clone();
        for part in path.parent().into_iter().flat_map(Path::components) {
            directory.push(part);
            if !directory.is_dir() {
                fs::create_dir(&directory)?;
                fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

/// The entries of `directory`, in order.
pub(super) fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = directory
        .read_dir()
        .with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no name to pack it by", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_they_were_put_with_the_mode_that_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree::new(directory.path().join("root")).unwrap();
        tree.put("usr/bin/b", b"1", 0o755).unwrap();
        tree.put("etc/a", b"2", 0o644).unwrap();
        assert_eq!(
            tree.files().unwrap(),
            [Path::new("etc/a"), Path::new("usr/bin/b")]
        );
        let mode = |path: &str| {
            let meta = tree.root().join(path).metadata().unwrap();
            meta.permissions().mode() & 0o7777
        };
        assert_eq!(
            [mode("usr/bin/b"), mode("etc/a"), mode("usr/bin")],
            [0o755, 0o644, 0o755]
        );
        let again = Tree::new(directory.path().join("root")).unwrap();
        assert_eq!(again.files().unwrap(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn compressed_file_names_no_time_and_says_that_it_is_small() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree::new(directory.path().join("root")).unwrap();
        tree.put_gz("a.gz", b"text").unwrap();
        let bytes = fs::read(tree.root().join("a.gz")).unwrap();
        // RFC 1952: MTIME is bytes 4 to 7, XFL 8, and 2 in it is the maximum compression.
        assert_eq!(&bytes[4..9], [0, 0, 0, 0, 2]);
    }
}
