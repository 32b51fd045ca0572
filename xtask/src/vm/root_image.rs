//! The root file system of the VMs that run real clients: an ext4 image with Debian's
//! packages of them, what `cargo xtask setup` made in `target/clients`, and the two
//! programs under test.
//!
//! debootstrap takes minutes, so the image without our programs is kept and made anew
//! only when something that decides what is in it changes; our two programs are written
//! into a copy, which takes a second. ext4 and NVMe are built into Debian's cloud
//! kernels: one image boots with all of them, without an initramfs and without modules.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{debian, ext4};
use crate::binaries::Binaries;
use crate::command::{CommandExt as _, privileged};
use crate::progress::step;
use crate::setup::clients;

/// Debian 12: what cloud images of today are like, and what `setup` was tried on.
const SUITE: &str = "bookworm";
/// Besides what is essential (bash, perl-base, coreutils).
const PACKAGES: &[&str] = &[
    "bubblewrap",
    "crun",
    "curl",
    "default-jre-headless",
    "logrotate",
    "nodejs",
    "perl",
    "python3",
    "wget",
];
/// Where the suite finds what is not packaged; `tests/src/vm_init.rs` knows it too.
const CLIENTS: &str = "opt/imds-clients";
/// Parts of `target/clients` that go there.
const PARTS: [&str; 4] = ["bin", "java", "node", "python"];
/// The image and what it is made of, below the VMs' directory.
const DIRECTORY: &str = "clients";
const MANIFEST: &str = "base.manifest";
/// Grows with this file's own steps: an image made by others is not this one.
const RECIPE: u32 = 1;
/// Room beside the files: inodes, directories, and what the clients write.
const SPARE_KIB: u64 = 128 << 10;
/// Init of the VM, and what the suite starts as senders.
const INIT: &str = "/usr/bin/imds-tests";

/// Words of the kernel's command line for the image that [`build`] makes, on the first
/// NVMe drive.
pub(super) fn kernel_words() -> [String; 3] {
    [
        "root=/dev/nvme0n1".to_owned(),
        "rw".to_owned(),
        format!("init={INIT}"),
    ]
}

/// Where it says what is in the image that [`build`] last wrote below `dir`, but for
/// our two programs.
pub(super) fn manifest_file(dir: &Path) -> PathBuf {
    dir.join(DIRECTORY).join(MANIFEST)
}

/// Writes the image with `binaries` in it below `dir`, and returns its path.
///
/// # Errors
///
/// If the clients are not set up, or the packages can't be had.
pub(super) fn build(dir: &Path, binaries: &Binaries) -> Result<PathBuf> {
    let dir = dir.join(DIRECTORY);
    fs::create_dir_all(&dir)?;
    let base = base(&dir)?;
    let image = dir.join("root.ext4");
    ext4::copy(&base, &image)?;
    ext4::write_files(
        &image,
        &[
            (&binaries.tests, INIT),
            (&binaries.analyzer, "/usr/bin/imds-analyzer"),
        ],
    )?;
    Ok(image)
}

/// The image without our programs, from the cache or made now.
fn base(dir: &Path) -> Result<PathBuf> {
    let image = dir.join("base.ext4");
    let manifest_file = dir.join(MANIFEST);
    let manifest = manifest(&clients::dir())?;
    if image.is_file() && fs::read_to_string(&manifest_file).is_ok_and(|old| old == manifest) {
        return Ok(image);
    }
    // Removed first and written last: an interrupted run leaves no manifest that lies.
    if manifest_file.exists() {
        fs::remove_file(&manifest_file)?;
    }
    step("root image of the clients", || make(dir, &image))?;
    fs::write(&manifest_file, manifest)?;
    Ok(image)
}

/// Everything that decides what is in the image.
fn manifest(clients: &Path) -> Result<String> {
    let mut text = format!("recipe {RECIPE}\n{SUITE} {}\n", PACKAGES.join(" "));
    for part in PARTS {
        let stamp = clients.join(format!("{part}.made"));
        let made = fs::read_to_string(&stamp)
            .with_context(|| format!("there is no {}: run `cargo xtask setup`", stamp.display()))?;
        writeln!(text, "{part}\n{made}")?;
    }
    Ok(text)
}

fn make(dir: &Path, image: &Path) -> Result<()> {
    let tree = dir.join("tree");
    // Root's files: only root can clear what an interrupted run has left.
    let clear = || privileged("rm")?.args(["-rf", "--"]).arg(&tree).run();
    clear()?;
    let outcome = debian::bootstrap(SUITE, PACKAGES, &tree)
        .and_then(|()| complete(&tree))
        .and_then(|()| ext4::pack(&tree, SPARE_KIB, image));
    clear()?;
    outcome
}

/// Adds what is not packaged, and takes away what nobody reads.
fn complete(tree: &Path) -> Result<()> {
    let place = tree.join(CLIENTS);
    privileged("mkdir")?.arg("-p").arg(&place).run()?;
    for part in PARTS {
        privileged("cp")?
            .args(["-a", "--no-preserve=ownership"])
            .arg(clients::dir().join(part))
            .arg(&place)
            .run()?;
    }
    // This machine's Python may be another: its bytecode would be made anew in each VM.
    privileged("chroot")?
        .arg(tree)
        .args(["python3", "-m", "compileall", "-q"])
        .arg(Path::new("/").join(CLIENTS).join("python"))
        .run()?;
    let mut remove = privileged("rm")?;
    remove.args(["-rf", "--"]);
    for dir in debian::UNREAD {
        remove.arg(tree.join(dir));
    }
    remove.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_changes_with_what_a_part_was_made_from() {
        let clients = tempfile::tempdir().unwrap();
        for part in PARTS {
            fs::write(clients.path().join(format!("{part}.made")), part).unwrap();
        }
        let before = manifest(clients.path()).unwrap();
        assert_eq!(manifest(clients.path()).unwrap(), before);
        fs::write(clients.path().join("node.made"), "newer").unwrap();
        assert_ne!(manifest(clients.path()).unwrap(), before);
    }

    #[test]
    fn clients_that_are_not_set_up_are_an_error_that_says_so() {
        let clients = tempfile::tempdir().unwrap();
        let error = manifest(clients.path()).unwrap_err();
        assert!(error.to_string().contains("cargo xtask setup"), "{error}");
    }
}
