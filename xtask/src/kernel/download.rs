//! Fetches a kernel with apt, without touching the system's apt state and
//! without installing anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Kernel, apt_sources};
use crate::command::{CommandExt as _, find_program};
use crate::progress::note;
use crate::workspace;

/// Names a Debian mirror (one that has `debian-security` beside it) on machines
/// whose own apt sources have none: Ubuntu.
const MIRROR_VARIABLE: &str = "IMDS_ANALYZER_DEBIAN_MIRROR";
/// Debian's keys, on Debian and, from the package of that name, on Ubuntu.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The path of `kernel`'s image: from the cache, or downloaded into it.
pub(crate) fn vmlinuz(kernel: &Kernel) -> Result<PathBuf> {
    let cache = workspace::target_dir()
        .join("vm/kernels")
        .join(format!("{}-{}", kernel.name, kernel.machine.debian));
    if let Some(image) = cached(kernel, &cache)? {
        note(format_args!("kernel from the cache: {}", image.display()));
        return Ok(image);
    }
    if find_program("apt-get").is_none() {
        bail!(
            "the VM suite takes Debian's kernels with apt-get, which this system lacks; \
             `cargo xtask test --no-vm` does without"
        );
    }
    fs::create_dir_all(&cache)?;
    let mut failures = Vec::new();
    for suite in kernel.suites {
        for mirror in mirrors(suite)? {
            match Index::fetch(kernel, &mirror, suite)
                .and_then(|index| index.obtain(kernel, &cache))
            {
                Ok(image) => return Ok(image),
                Err(error) => {
                    note(format_args!("suite {suite}: {error:#}"));
                    failures.push(format!("{suite}: {error:#}"));
                }
            }
        }
    }
    if failures.is_empty() {
        bail!(
            "this machine's apt sources name no Debian mirror to take kernel {} from: set \
             {MIRROR_VARIABLE} to the URI of one",
            kernel.name
        );
    }
    bail!(
        "no mirror of this machine serves kernel {}:\n{}",
        kernel.name,
        failures.join("\n")
    )
}

/// The mirrors that this machine may take a Debian suite from, the likeliest first.
pub(crate) fn mirrors(suite: &str) -> Result<Vec<String>> {
    match std::env::var(MIRROR_VARIABLE) {
        Ok(mirror) if suite.ends_with("-security") => {
            Ok(vec![format!("{}-security", mirror.trim_end_matches('/'))])
        }
        Ok(mirror) => Ok(vec![mirror]),
        Err(_) => apt_sources::mirrors_for(suite, Path::new("/")),
    }
}

fn cached(kernel: &Kernel, cache: &Path) -> Result<Option<PathBuf>> {
    if !cache.is_dir() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for entry in cache.read_dir()? {
        names.extend(entry?.file_name().into_string());
    }
    let newest = kernel.packages(names.iter().map(String::as_str));
    Ok(newest.first().map(|package| cache.join(package)))
}

/// The package index of one suite, in a state directory of our own.
struct Index {
    state: PathBuf,
}

impl Index {
    fn fetch(kernel: &Kernel, mirror: &str, suite: &str) -> Result<Self> {
        let state = workspace::target_dir()
            .join("vm/apt")
            .join(format!("{suite}-{}", kernel.machine.debian));
        for dir in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(dir))?;
        }
        // Dependencies don't matter, so neither does what is installed.
        fs::write(state.join("status"), "")?;
        let signed_by = if Path::new(KEYRING).exists() {
            format!(" signed-by={KEYRING}")
        } else {
            String::new()
        };
        fs::write(
            state.join("sources.list"),
            format!(
                "deb [arch={}{signed_by}] {mirror} {suite} main\n",
                kernel.machine.debian
            ),
        )?;
        let index = Self { state };
        note(format_args!("reading the package index of {suite}"));
        index
            .apt("apt-get", kernel)
            .args(["update", "-q"])
            .read()
            .context("could not read the index")?;
        Ok(index)
    }

    /// Downloads and unpacks the newest package that is really there.
    fn obtain(&self, kernel: &Kernel, cache: &Path) -> Result<PathBuf> {
        let names = self
            .apt("apt-cache", kernel)
            .args(["pkgnames", kernel.package_prefix])
            .read()?;
        let packages = kernel.packages(names.lines());
        if packages.is_empty() {
            bail!(
                "it has no package {}*{}",
                kernel.package_prefix,
                kernel.package_suffix
            );
        }
        let mut failures = Vec::new();
        for package in packages {
            match self.unpack(kernel, package, cache) {
                Ok(image) => return Ok(image),
                // Indexes list files that are gone: then the one before.
                Err(error) => failures.push(format!("{package}: {error:#}")),
            }
        }
        bail!("{}", failures.join("; "))
    }

    fn unpack(&self, kernel: &Kernel, package: &str, cache: &Path) -> Result<PathBuf> {
        note(format_args!("downloading {package}"));
        // Beside the cache, so that the image can be renamed into it.
        let scratch = tempfile::tempdir_in(&self.state)?;
        self.apt("apt-get", kernel)
            .current_dir(&scratch)
            .args(["download", "-q", package])
            .read()?;
        let deb = find_file(scratch.path(), |name| name.ends_with(".deb"))
            .context("apt-get download left no file")?;
        let tree = scratch.path().join("tree");
        Command::new("dpkg-deb")
            .arg("-x")
            .args([&deb, &tree])
            .read()?;
        let image = find_image(&tree).context("the package has no vmlinuz")?;
        let cached = cache.join(package);
        fs::rename(image, &cached)?;
        Ok(cached)
    }

    fn apt(&self, program: &str, kernel: &Kernel) -> Command {
        let mut command = Command::new(program);
        let mut option = |key: &str, value: &str| {
            command.arg("-o").arg(format!("{key}={value}"));
        };
        let at = |name: &str| self.state.join(name).display().to_string();
        option("Dir::State", &at(""));
        option("Dir::State::lists", &at("lists"));
        option("Dir::State::status", &at("status"));
        option("Dir::Cache", &at("cache"));
        option("Dir::Etc::sourcelist", &at("sources.list"));
        option("Dir::Etc::sourceparts", "-");
        option("APT::Architecture", kernel.machine.debian);
        option("Acquire::Languages", "none");
        option("Acquire::Retries", "2");
        // Apt's own user can't write below a checkout in someone's home.
        option("APT::Sandbox::User", "root");
        command
    }
}

fn find_image(tree: &Path) -> Option<PathBuf> {
    let is_image = |name: &str| name.starts_with("vmlinuz");
    find_file(&tree.join("boot"), is_image).or_else(|| {
        // From 6.19 on: usr/lib/modules/VERSION/vmlinuz.
        let modules = tree.join("usr/lib/modules");
        let versions = modules.read_dir().ok()?.flatten();
        versions
            .filter_map(|version| find_file(&version.path(), is_image))
            .next()
    })
}

fn find_file(dir: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    dir.read_dir()
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
}
