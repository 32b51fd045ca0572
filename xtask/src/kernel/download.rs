//! Fetches a kernel with apt, without touching the system's apt state and
//! without installing anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::modules::{self, Purpose};
use super::{Kernel, Obtained, apt_sources, resume};
use crate::command::{CommandExt as _, find_program};
use crate::progress::note;
use crate::workspace;

/// Names a Debian mirror (one that has `debian-security` beside it) on machines
/// whose own apt sources have none: Ubuntu.
const MIRROR_VARIABLE: &str = "IMDS_ANALYZER_DEBIAN_MIRROR";
/// Debian's keys, on Debian and, from the package of that name, on Ubuntu.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// From 6.19 on image and modules are two packages; their names begin with these.
const BINARY_PREFIX: &str = "linux-binary-";
const MODULES_PREFIX: &str = "linux-modules-";
/// What an entry of the cache holds.
const IMAGE: &str = "vmlinuz";
const MODULES: &str = "modules";

/// Where `kernel` is on disk, with the modules for `purpose`: in the cache, or downloaded
/// into it.
pub(crate) fn obtain(kernel: &Kernel, purpose: Purpose) -> Result<Obtained> {
    let cache = workspace::target_dir().join("vm/kernels").join(format!(
        "{}{}",
        kernel.id(),
        purpose.suffix()
    ));
    if let Some(obtained) = cached(kernel, &cache)? {
        return Ok(obtained);
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
            let fetched = Index::fetch(kernel, &mirror, suite)
                .and_then(|index| index.obtain(kernel, purpose, &cache));
            match fetched {
                Ok(obtained) => return Ok(obtained),
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
            kernel.id()
        );
    }
    bail!(
        "no mirror of this machine serves kernel {}:\n{}",
        kernel.id(),
        failures.join("\n")
    )
}

/// The URIs that may serve `suite`, the most likely first.
pub(crate) fn mirrors(suite: &str) -> Result<Vec<String>> {
    match std::env::var(MIRROR_VARIABLE) {
        Ok(mirror) if suite.ends_with("-security") => {
            Ok(vec![format!("{}-security", mirror.trim_end_matches('/'))])
        }
        Ok(mirror) => Ok(vec![mirror]),
        Err(_) => apt_sources::mirrors_for(suite, Path::new("/")),
    }
}

/// The newest entry of `cache`: a directory named after its package.
fn cached(kernel: &Kernel, cache: &Path) -> Result<Option<Obtained>> {
    if !cache.is_dir() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for entry in cache.read_dir()? {
        names.extend(entry?.file_name().into_string());
    }
    kernel
        .packages(names.iter().map(String::as_str))
        .into_iter()
        .map(|package| cache.join(package))
        .find(|entry| entry.join(IMAGE).is_file())
        .map(|entry| read(&entry))
        .transpose()
}

fn read(entry: &Path) -> Result<Obtained> {
    let mut modules = Vec::new();
    for module in entry.join(MODULES).read_dir()? {
        modules.push(module?.path());
    }
    modules.sort();
    Ok(Obtained {
        image: entry.join(IMAGE),
        modules,
    })
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
    fn obtain(&self, kernel: &Kernel, purpose: Purpose, cache: &Path) -> Result<Obtained> {
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
            match self.unpack(kernel, package, purpose, cache) {
                Ok(obtained) => return Ok(obtained),
                // Indexes list files that are gone: then the one before.
                Err(error) => {
                    note(format_args!("{package}: {error:#}"));
                    failures.push(format!("{package}: {error:#}"));
                }
            }
        }
        bail!("{}", failures.join("; "))
    }

    /// Makes the cache's entry for `package`, whole or not at all.
    fn unpack(
        &self,
        kernel: &Kernel,
        package: &str,
        purpose: Purpose,
        cache: &Path,
    ) -> Result<Obtained> {
        // Beside the cache, so that the entry can be renamed into it.
        let scratch = tempfile::tempdir_in(&self.state)?;
        let tree = scratch.path().join("tree");
        self.download(kernel, package, &tree)?;
        if let Some(modules) = package.strip_prefix(BINARY_PREFIX) {
            self.download(kernel, &format!("{MODULES_PREFIX}{modules}"), &tree)?;
        }
        let image = find_image(&tree).context("the package has no vmlinuz")?;
        let entry = scratch.path().join("entry");
        fs::create_dir(&entry)?;
        fs::rename(image, entry.join(IMAGE))?;
        modules::extract(&tree, &entry.join(MODULES), purpose)?;
        let place = cache.join(package);
        fs::rename(&entry, &place)?;
        read(&place)
    }

    /// Downloads `package` and adds its files to `tree`.
    fn download(&self, kernel: &Kernel, package: &str, tree: &Path) -> Result<()> {
        note(format_args!("downloading {package}"));
        // A directory that stays, so that an interrupted download can be gone on with.
        let downloads = self.state.join("downloads").join(package);
        fs::create_dir_all(&downloads)?;
        let deb = resume::fetch(|| self.apt("apt-get", kernel), package, &downloads)?;
        Command::new("dpkg-deb")
            .arg("-x")
            .args([&deb, tree])
            .read()?;
        fs::remove_dir_all(&downloads)?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KERNELS;

    fn entry(cache: &Path, package: &str, modules: &[&str]) {
        let dir = cache.join(package).join(MODULES);
        fs::create_dir_all(&dir).unwrap();
        for module in modules {
            fs::write(dir.join(module), "").unwrap();
        }
        fs::write(cache.join(package).join(IMAGE), "").unwrap();
    }

    #[test]
    fn newest_entry_of_the_cache_is_taken_with_its_modules_in_order() {
        let kernel = KERNELS.iter().find(|kernel| kernel.id() == "6.1-x86_64");
        let cache = tempfile::tempdir().unwrap();
        entry(cache.path(), "linux-image-6.1.0-9-cloud-amd64", &[]);
        let newest = "linux-image-6.1.0-42-cloud-amd64";
        entry(cache.path(), newest, &["01-veth.ko", "00-ptr_ring.ko"]);
        fs::create_dir(cache.path().join("linux-image-6.1.0-50-cloud-amd64")).unwrap();
        let found = cached(kernel.unwrap(), cache.path()).unwrap().unwrap();
        let newest = cache.path().join(newest);
        assert_eq!(found.image, newest.join(IMAGE));
        let names = ["00-ptr_ring.ko", "01-veth.ko"];
        assert_eq!(
            found.modules,
            names.map(|name| newest.join(MODULES).join(name))
        );
    }
}
