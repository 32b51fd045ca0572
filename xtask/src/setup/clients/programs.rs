//! Clients, and what makes clients, that the distribution packages.

use std::path::Path;

use anyhow::{Result, bail};

use crate::command::find_program;
use crate::setup::{apt, missing, present};

/// Where distributions install programs. What a version manager puts into `$PATH` before
/// them is not what the suite runs.
const SYSTEM: [&str; 2] = ["/usr/bin", "/usr/sbin"];

struct Client {
    program: &'static str,
    /// Debian's package.
    package: &'static str,
    purpose: &'static str,
    /// The program alone will do, whoever has installed it: people take Node and Java
    /// from their makers' package archives as well.
    from_anywhere: bool,
}

const CLIENTS: &[Client] = &[
    client("bash", "bash", "test client (/dev/tcp)"),
    client("curl", "curl", "test client"),
    client("wget", "wget", "test client"),
    // Not only perl-base: HTTP::Tiny is in the modules.
    client("perl", "perl", "test client"),
    client("python3", "python3", "test client"),
    client("pip3", "python3-pip", "installs requests and botocore"),
    from_anywhere("node", "nodejs", "test client, version 18 or newer"),
    from_anywhere("npm", "npm", "installs the AWS SDK for JavaScript"),
    from_anywhere(
        "java",
        "default-jdk-headless",
        "test client, version 17 or newer",
    ),
    from_anywhere("javac", "default-jdk-headless", "compiles the Java clients"),
    client("bwrap", "bubblewrap", "makes test containers"),
    client("crun", "crun", "makes test containers"),
    client("logrotate", "logrotate", "rotates the log in a test"),
    // The VM image with all of them is made of Debian's packages.
    client(
        "debootstrap",
        "debootstrap",
        "makes the VM image of the clients",
    ),
    client("mke2fs", "e2fsprogs", "makes the VM image of the clients"),
];

const fn client(program: &'static str, package: &'static str, purpose: &'static str) -> Client {
    Client {
        program,
        package,
        purpose,
        from_anywhere: false,
    }
}

const fn from_anywhere(
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
) -> Client {
    Client {
        from_anywhere: true,
        ..client(program, package, purpose)
    }
}

/// Installs those that are missing, or fails with the list of them.
pub(super) fn ensure() -> Result<()> {
    if apt::available() {
        ensure_packages()
    } else {
        require_programs()
    }
}

fn ensure_packages() -> Result<()> {
    let packages: Vec<_> = CLIENTS.iter().map(|client| client.package).collect();
    let installed = apt::installed(&packages)?;
    let mut wanted = Vec::new();
    for client in CLIENTS {
        if let Some(version) = installed.get(client.package) {
            present(client.program, &format!("{} {version}", client.package));
        } else if let Some(path) = client.from_anywhere.then(|| of_system(client)).flatten() {
            present(client.program, &path);
        } else {
            missing(client.program, client.purpose);
            wanted.push(client.package);
        }
    }
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    apt::install(&wanted)
}

/// The path of its program where the suite looks first.
fn of_system(client: &Client) -> Option<String> {
    SYSTEM
        .iter()
        .map(|dir| Path::new(dir).join(client.program))
        .find(|path| path.exists())
        .map(|path| path.display().to_string())
}

fn require_programs() -> Result<()> {
    let mut wanted = Vec::new();
    for client in CLIENTS {
        match find_program(client.program) {
            Some(path) => present(client.program, &path.display().to_string()),
            None => {
                missing(client.program, client.purpose);
                wanted.push(format!("  {:<20} {}", client.program, client.purpose));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    bail!(
        "this system has no apt, so install these programs with its own package manager and \
         run `cargo xtask setup` again:\n{}",
        wanted.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_of_the_system_is_found_and_another_is_not() {
        let sh = client("sh", "dash", "");
        assert!(of_system(&sh).is_some_and(|path| path.ends_with("/sh")));
        let none = client("no-such-program", "none", "");
        assert_eq!(of_system(&none), None);
    }
}
