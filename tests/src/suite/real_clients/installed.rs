//! Where clients are: programs where the distribution installs them, never a version
//! manager's of the same name earlier in `$PATH`; libraries, classes and our SDK client
//! in the one directory that `cargo xtask setup` fills (`target/clients`; in the VM's
//! image it is `/opt/imds-clients`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Where distributions install programs.
const SYSTEM: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Finds a program of the distribution, or one in `$PATH` where the distribution has
/// none (not every system has a `/usr/bin`).
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    SYSTEM
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// As [`find_program`].
///
/// # Errors
///
/// Says how to get it.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    find_program(name).with_context(|| format!("there is no {name}: run `cargo xtask setup`"))
}

/// The distribution's Python interpreter.
///
/// # Errors
///
/// If there is none.
pub fn find_python() -> Result<PathBuf> {
    program("python3")
}

/// A file or directory below the one that setup has filled, as an absolute path.
pub(super) fn part(clients: &Path, name: &str) -> Result<PathBuf> {
    let path = clients.join(name);
    ensure!(
        path.exists(),
        "there is no {}: run `cargo xtask setup`",
        path.display()
    );
    path.canonicalize()
        .with_context(|| format!("resolve {}", path.display()))
}
