//! The programs that tests, demo and VM run.

use anyhow::{Result, bail};

use super::{apt, missing, present};
use crate::command::find_program;

struct Tool {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

/// What has to be there besides Rust and the clients.
const TOOLS: &[Tool] = &[
    tool(
        "qemu-system-x86_64",
        "qemu-system-x86",
        "boots the test kernels of x86_64",
    ),
    tool(
        "qemu-system-aarch64",
        "qemu-system-arm",
        "boots the test kernels of arm64",
    ),
    tool("xz", "xz-utils", "unpacks the test kernels' modules"),
    tool(
        "debootstrap",
        "debootstrap",
        "distributions to run the static binary and install the packages in",
    ),
    tool("jq", "jq", "the report's speed is told beside its"),
    tool("ip", "iproute2", "network namespaces of tests and demo"),
    tool(
        "dpkg-deb",
        "dpkg",
        "unpacks the test kernels and makes the .deb",
    ),
    tool(
        "rpmbuild",
        "rpm",
        "makes the .rpm, and tests package lookups",
    ),
    tool("lintian", "lintian", "checks the .deb"),
    tool("rpmlint", "rpmlint", "checks the .rpm"),
    tool("systemd-analyze", "systemd", "verifies the units"),
];

const fn tool(program: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool {
        program,
        package,
        purpose,
    }
}

/// Installs the tools that are missing, or fails with the list of them.
pub(super) fn ensure() -> Result<()> {
    if apt::available() {
        ensure_packages()
    } else {
        require_programs()
    }
}

fn ensure_packages() -> Result<()> {
    let packages: Vec<_> = TOOLS.iter().map(|tool| tool.package).collect();
    let installed = apt::installed(&packages)?;
    let mut wanted = Vec::new();
    for tool in TOOLS {
        match installed.get(tool.package) {
            Some(version) => present(tool.package, version),
            None => {
                missing(tool.package, tool.purpose);
                wanted.push(tool.package);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    apt::install(&wanted)
}

fn require_programs() -> Result<()> {
    let mut wanted = Vec::new();
    for tool in TOOLS {
        match find_program(tool.program) {
            Some(path) => present(tool.program, &path.display().to_string()),
            None => {
                missing(tool.program, tool.purpose);
                wanted.push(format!("  {:<20} {}", tool.program, tool.purpose));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    bail!(
        "this system has no apt, so install these programs with its own package manager \
         and run `cargo xtask setup` again:\n{}",
        wanted.join("\n")
    )
}
