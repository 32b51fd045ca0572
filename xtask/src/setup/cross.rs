//! What building for the other architecture takes: a linker, a C library and a
//! Rust standard library.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{apt, missing, present};
use crate::command::{CommandExt as _, find_program};
use crate::cross::{self, Compiler, HOST_TARGET, LINKED_TOOLCHAIN};
use crate::kernel::{MACHINES, Machine};

/// Some 30 MB.
const TARGET_LIMIT: Duration = Duration::from_secs(180);

/// Finds it for every architecture that isn't this machine's, or installs it.
pub(super) fn ensure() -> Result<()> {
    for machine in MACHINES {
        if machine.target != HOST_TARGET {
            linker(machine)?;
            standard_library(machine)?;
        }
    }
    Ok(())
}

fn linker(machine: &Machine) -> Result<()> {
    let program = cross::linker(machine);
    let packages = linker_packages(machine);
    let packages = packages.each_ref().map(String::as_str);
    if apt::available() {
        let installed = apt::installed(&packages)?;
        if installed.len() == packages.len() {
            present(&program, &format!("links for {}", machine.arch));
            return Ok(());
        }
        missing(&program, &format!("links for {}", machine.arch));
        return apt::install(&packages);
    }
    if find_program(&program).is_none() {
        bail!(
            "there is no {program}: install GCC and a static C library for {}, then run \
             `cargo xtask setup` again",
            machine.arch
        );
    }
    present(&program, &format!("links for {}", machine.arch));
    Ok(())
}

/// Debian's and Ubuntu's: `gcc-x86-64-linux-gnu` is spelt without an underscore.
fn linker_packages(machine: &Machine) -> [String; 2] {
    [
        format!("gcc-{}", machine.gnu.replace('_', "-")),
        format!("libc6-dev-{}-cross", machine.debian),
    ]
}

fn standard_library(machine: &Machine) -> Result<()> {
    let need = format!("Rust for {}", machine.arch);
    match Compiler::find(machine.target)? {
        Compiler::InUse => present(&need, "the toolchain in use"),
        Compiler::Linked(_) => present(&need, &format!("toolchain {LINKED_TOOLCHAIN}")),
        Compiler::None => {
            missing(&need, "builds the analyzer for it");
            install(machine)?;
            if Compiler::find(machine.target)? == Compiler::None {
                bail!(
                    "a standard library for {} was installed without an error, yet no compiler \
                     here finds it",
                    machine.target
                );
            }
        }
    }
    Ok(())
}

/// From where the eBPF compiler came: the library has to be that compiler's.
fn install(machine: &Machine) -> Result<()> {
    let linked = Command::new("rustup")
        .args(["which", "--toolchain", LINKED_TOOLCHAIN, "rustc"])
        .read();
    if linked.is_ok() && apt::available() {
        let package = format!("libstd-rust-web-dev:{}", machine.debian);
        apt::add_architecture(machine.debian)?;
        if apt::offers(&[&package])? {
            return apt::install(&[&package]);
        }
    }
    Command::new("rustup")
        .args(["target", "add", machine.target])
        .run_within(TARGET_LIMIT)
        .with_context(|| {
            format!(
                "no Rust standard library for {0}. Let `rustup target add {0}` succeed, then run \
                 `cargo xtask setup` again",
                machine.target
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_debian_names_them() {
        let packages = MACHINES.map(linker_packages);
        assert_eq!(
            packages[0],
            ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]
        );
        assert_eq!(
            packages[1],
            ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
        );
    }
}
