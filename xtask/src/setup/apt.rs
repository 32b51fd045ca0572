//! Debian's and Ubuntu's package manager, as far as set-up needs it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::command::{CommandExt as _, find_program, privileged};

/// Whether this system installs its software with apt and dpkg.
pub(super) fn available() -> bool {
    find_program("apt-get").is_some() && find_program("dpkg-query").is_some()
}

/// The installed version of each of `packages`; those not installed are absent.
pub(super) fn installed(packages: &[&str]) -> Result<BTreeMap<String, String>> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n"])
        .args(packages)
        .output()
        .context("cannot start `dpkg-query`")?;
    // It exits with 1 if it has never heard of one of them; the others are listed all the same.
    Ok(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

/// Whether the package index offers every one of `packages`. Refreshes the index first.
pub(super) fn offers(packages: &[&str]) -> Result<bool> {
    refresh();
    for package in packages {
        let policy = Command::new("apt-cache")
            .env("LC_ALL", "C")
            .args(["policy", package])
            .read()?;
        if !has_candidate(&policy) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lets `architecture`'s packages be installed beside this machine's own, and reads
/// their index.
pub(super) fn add_architecture(architecture: &str) -> Result<()> {
    let known = Command::new("dpkg")
        .arg("--print-foreign-architectures")
        .read()?;
    if known.lines().any(|line| line == architecture) {
        return Ok(());
    }
    privileged("dpkg")?
        .args(["--add-architecture", architecture])
        .run()?;
    update();
    Ok(())
}

/// Installs `packages`, with sudo if this process isn't root's.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    refresh();
    apt_get(&["install", "-y", "--no-install-recommends"], packages)
        .and_then(|mut command| command.run())
        .with_context(|| {
            format!(
                "could not install Debian packages; install them yourself and run \
                 `cargo xtask setup` again: {}",
                packages.join(" ")
            )
        })
}

/// Refreshes the package index, once in the life of this process.
///
/// A failure is only said: one third-party repository that is down fails the
/// update, while what we want may well be in the index.
fn refresh() {
    static REFRESHED: OnceLock<()> = OnceLock::new();
    REFRESHED.get_or_init(update);
}

fn update() {
    let updated = apt_get(&["update", "-q"], &[]).and_then(|mut command| command.run());
    if let Err(error) = updated {
        crate::progress::note(format_args!("warning: {error:#}"));
    }
}

fn apt_get(words: &[&str], packages: &[&str]) -> Result<Command> {
    // Through env, because sudo drops the environment.
    let mut command = privileged("env").context("could not install packages")?;
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        // Wait for another apt instead of failing at once, as on a machine that has just booted.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(words)
        .args(packages);
    Ok(command)
}

fn parse_installed(listing: &str) -> BTreeMap<String, String> {
    listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            match (words.next()?, words.next()?, words.next()?) {
                ("installed", package, version) => Some((package.into(), version.into())),
                _ => None,
            }
        })
        .collect()
}

fn has_candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .any(|candidate| candidate != "(none)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_package_with_configuration_left_is_not_installed() {
        let listing = "installed curl 7.88.1\nconfig-files wget 1.21.3\nnot-installed perl \n";
        let installed = parse_installed(listing);
        assert_eq!(installed.into_keys().collect::<Vec<_>>(), ["curl"]);
    }

    #[test]
    fn package_without_candidate_is_not_offered() {
        assert!(has_candidate(
            "x:\n  Installed: (none)\n  Candidate: 1.96\n"
        ));
        assert!(!has_candidate(
            "x:\n  Installed: (none)\n  Candidate: (none)\n"
        ));
        assert!(!has_candidate(""));
    }
}
