//! The disk: Debian's packages, the files of the test, the kernel's modules for a network
//! card, and, written anew for each run, the test program and the package under test.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::files::{FILES, MASKED, WANTED};
use crate::binaries::Binaries;
use crate::command::{CommandExt as _, privileged};
use crate::kernel::{Kernel, Obtained};
use crate::package::{Common, Product, Release};
use crate::progress::step;
use crate::vm::{debian, ext4};

/// Debian 12: the first whose cloud-init and systemd are like those of current images.
const SUITE: &str = "bookworm";
/// Besides what is essential. Without python3-cffi-backend debootstrap fails at its end.
const PACKAGES: &[&str] = &[
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "ifupdown",
    "iproute2",
    "isc-dhcp-client",
    "kmod",
    "procps",
    "python3",
    "python3-cffi-backend",
    "systemd",
    "systemd-sysv",
    "udev",
];
/// Below the VMs' directory.
const DIRECTORY: &str = "boot";
const MANIFEST: &str = "base.manifest";
/// Grows with this file's own steps.
const RECIPE: u32 = 1;
/// Room for journals, logs and the package.
const SPARE_KIB: u64 = 192 << 10;
/// The test's own directory in the guest; `tests/src/boot` knows it too.
const PLACE: &str = "opt/boot-test";

/// Where it says what is in the disk that [`build`] last wrote below `dir`, but for the
/// test program and the package.
pub(in crate::vm) fn manifest_file(dir: &Path) -> PathBuf {
    dir.join(DIRECTORY).join(MANIFEST)
}

/// Writes the disk below `dir`; returns its path, and that of the package in it.
///
/// # Errors
///
/// If Debian's packages can't be had.
pub(in crate::vm) fn build(
    dir: &Path,
    binaries: &Binaries,
    kernel: &Kernel,
    obtained: &Obtained,
) -> Result<(PathBuf, PathBuf)> {
    let dir = dir.join(DIRECTORY);
    fs::create_dir_all(&dir)?;
    let base = base(&dir, obtained)?;
    let package = package(&dir, binaries, kernel)?;
    let disk = dir.join("disk.ext4");
    ext4::copy(&base, &disk)?;
    ext4::write_files(
        &disk,
        &[
            (&binaries.tests, &format!("/{PLACE}/imds-tests")),
            (&package, &format!("/{PLACE}/imds-analyzer.deb")),
        ],
    )?;
    Ok((disk, package))
}

/// The package as it is released, around the program under test.
fn package(dir: &Path, binaries: &Binaries, kernel: &Kernel) -> Result<PathBuf> {
    let release = Release::of_workspace()?;
    let common = Common::make(&release)?;
    let product = Product {
        machine: kernel.machine,
        program: &binaries.analyzer,
        release: &release,
        common: &common,
    };
    product.deb(dir)
}

/// The disk without our programs, from the cache or made now.
fn base(dir: &Path, kernel: &Obtained) -> Result<PathBuf> {
    let image = dir.join("base.ext4");
    let manifest_file = dir.join(MANIFEST);
    let manifest = manifest(kernel);
    if image.is_file() && fs::read_to_string(&manifest_file).is_ok_and(|old| old == manifest) {
        return Ok(image);
    }
    // Removed first and written last: an interrupted run leaves no manifest that lies.
    if manifest_file.exists() {
        fs::remove_file(&manifest_file)?;
    }
    step("disk of the boot test", || make(dir, kernel, &image))?;
    fs::write(&manifest_file, manifest)?;
    Ok(image)
}

/// Everything that decides what is in the disk.
fn manifest(kernel: &Obtained) -> String {
    let mut text = format!("recipe {RECIPE}\n{SUITE} {}\n", PACKAGES.join(" "));
    // The kernel's package names its directory.
    for module in &kernel.modules {
        let _ = writeln!(text, "{}", module.display());
    }
    for file in FILES {
        let _ = writeln!(text, "{} {}\n{}", file.place, file.executable, file.text);
    }
    let _ = writeln!(text, "{WANTED:?}\n{MASKED:?}");
    text
}

fn make(dir: &Path, kernel: &Obtained, image: &Path) -> Result<()> {
    let (tree, own) = (dir.join("tree"), dir.join("own"));
    // Root's files: only root can clear what an interrupted run has left.
    let clear = || {
        privileged("rm")?
            .args(["-rf", "--"])
            .args([&tree, &own])
            .run()
    };
    clear()?;
    let outcome = debian::bootstrap_once(dir, SUITE, PACKAGES, debian::UNREAD, &tree)
        .and_then(|()| write_own(&own, kernel))
        .and_then(|()| complete(&tree, &own))
        .and_then(|()| ext4::pack(&tree, SPARE_KIB, image));
    clear()?;
    outcome
}

/// Writes the test's files into a tree of their own.
fn write_own(own: &Path, kernel: &Obtained) -> Result<()> {
    for file in FILES {
        let path = own.join(file.place);
        directory_of(own, &path)?;
        fs::write(&path, file.text)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let units = own.join("etc/systemd/system");
    for (target, unit) in WANTED {
        let link = units.join(format!("{target}.wants")).join(unit);
        directory_of(own, &link)?;
        symlink(format!("/etc/systemd/system/{unit}"), link)?;
    }
    for unit in MASKED {
        symlink("/dev/null", units.join(unit))?;
    }
    for module in &kernel.modules {
        let name = module.file_name().context("a module has a name")?;
        let place = own.join(PLACE).join("modules").join(name);
        directory_of(own, &place)?;
        fs::copy(module, place)?;
    }
    Ok(())
}

/// Makes the directories above `path`, which is below `own`, as every distribution has
/// them: copying the tree gives Debian's the modes of these.
fn directory_of(own: &Path, path: &Path) -> Result<()> {
    let above: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|directory| directory.starts_with(own))
        .collect();
    for directory in above.into_iter().rev() {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Adds the test's files.
fn complete(tree: &Path, own: &Path) -> Result<()> {
    privileged("cp")?
        .args(["-a", "--no-preserve=ownership"])
        .arg(own.join("."))
        .arg(tree)
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_have_the_modes_of_a_system() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        let module = dir.path().join("00-x.ko");
        fs::write(&module, "x").unwrap();
        let kernel = Obtained {
            image: PathBuf::new(),
            modules: vec![module],
        };
        write_own(&own, &kernel).unwrap();
        let mode = |path: &str| fs::metadata(own.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("etc"), 0o755);
        assert_eq!(mode("usr/local/sbin/register-host"), 0o755);
        assert_eq!(mode("etc/fstab"), 0o644);
        assert!(own.join("opt/boot-test/modules/00-x.ko").is_file());
        for (target, unit) in WANTED {
            let link = format!("etc/systemd/system/{target}.wants/{unit}");
            let points_to = fs::read_link(own.join(link)).unwrap();
            let place = points_to.strip_prefix("/").unwrap();
            assert!(own.join(place).is_file(), "{unit}");
        }
    }

    #[test]
    fn manifest_changes_with_the_kernel() {
        let kernel = |name: &str| Obtained {
            image: PathBuf::new(),
            modules: vec![name.into()],
        };
        assert_ne!(manifest(&kernel("a")), manifest(&kernel("b")));
    }
}
