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
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::binaries::Binaries;
use crate::command::{CommandExt as _, find_program, privileged};
use crate::kernel;
use crate::progress::{note, step};
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
/// What no client reads: a third of the image.
const LEFT_OUT: &[&str] = &[
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];
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
    // The copy stays sparse, or shares its blocks where the file system can.
    Command::new("cp")
        .args(["--sparse=always", "--reflink=auto"])
        .args([&base, &image])
        .run()?;
    let mut commands = String::new();
    for (source, place) in [
        (&binaries.tests, INIT),
        (&binaries.analyzer, "/usr/bin/imds-analyzer"),
    ] {
        writeln!(commands, "write \"{}\" {place}", source.display())?;
        writeln!(commands, "set_inode_field {place} mode 0100755")?;
    }
    let script = dir.join("debugfs.commands");
    fs::write(&script, commands)?;
    let said = Command::new(tool("debugfs")?)
        .arg("-w")
        .arg("-f")
        .arg(&script)
        .arg(&image)
        .read()?;
    // debugfs exits with 0 whatever came of its commands; it echoes each.
    if let Some(complaint) = said.lines().find(|line| is_complaint(line)) {
        bail!("could not write into {}: {complaint}", image.display());
    }
    Ok(image)
}

fn is_complaint(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("debugfs") && !line.starts_with("Allocated inode")
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
    let outcome = bootstrap(&tree)
        .and_then(|()| complete(&tree))
        .and_then(|()| pack(&tree, image));
    clear()?;
    outcome
}

/// Debian's part, from the first mirror of this machine that serves it.
fn bootstrap(tree: &Path) -> Result<()> {
    let mut failures = Vec::new();
    for mirror in kernel::mirrors(SUITE)? {
        note(format_args!("debootstrap {SUITE}: some minutes"));
        let mut command = privileged(tool("debootstrap")?)?;
        command
            .args(["--variant=minbase", "--arch=amd64"])
            .arg(format!("--include={}", PACKAGES.join(",")));
        if Path::new(kernel::KEYRING).exists() {
            command.arg(format!("--keyring={}", kernel::KEYRING));
        }
        match command.arg(SUITE).arg(tree).arg(&mirror).read() {
            Ok(_) => return Ok(()),
            // What it said is the tree's own log, and the reason its last line.
            Err(error) => failures.push(last_words(tree, &error)),
        }
        privileged("rm")?.args(["-rf", "--"]).arg(tree).run()?;
    }
    bail!(
        "debootstrap could not make a {SUITE} system: {}",
        if failures.is_empty() {
            "this machine's apt sources name no Debian mirror".to_owned()
        } else {
            failures.join("; ")
        }
    )
}

fn last_words(tree: &Path, error: &anyhow::Error) -> String {
    let log = fs::read_to_string(tree.join("debootstrap/debootstrap.log")).unwrap_or_default();
    match log.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.to_owned(),
        None => error.to_string(),
    }
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
    for dir in LEFT_OUT {
        remove.arg(tree.join(dir));
    }
    remove.run()
}

fn pack(tree: &Path, image: &Path) -> Result<()> {
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
    privileged(tool("mke2fs")?)?
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
        .arg(tree)
        .arg(image)
        .arg(format!("{}k", size_kib(used)))
        .run()?;
    note(format_args!("root image: {} MB of files", used / 1_000));
    Ok(())
}

/// Size of a file system for `used` KiB of files: ext4's own tables take some percent.
fn size_kib(used: u64) -> u64 {
    used + used / 8 + SPARE_KIB
}

fn tool(name: &str) -> Result<PathBuf> {
    find_program(name).with_context(|| format!("there is no {name}: run `cargo xtask setup`"))
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
        assert!(size_kib(800_000) > 1_000_000);
    }
}
