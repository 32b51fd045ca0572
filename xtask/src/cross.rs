//! Building for another architecture than this machine's: compiler and linker.
//!
//! The compiler is the one in use if rustup has given it a standard library for
//! the target, else the toolchain that builds the eBPF programs, if that is a
//! distribution's compiler with the library beside it. No dependency compiles C,
//! so of GNU's tools only the linker and the C library are needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{CommandExt as _, find_program};
use crate::kernel::{self, Machine};

/// The target that a machine like this one runs.
pub(crate) const HOST_TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};
/// The name under which set-up links a distribution's compiler into rustup.
pub(crate) const LINKED_TOOLCHAIN: &str = "imds-analyzer-bpf";

/// Gives `cargo` what it needs to build for `target`.
pub(crate) fn prepare(cargo: &mut Command, target: &str) -> Result<()> {
    if target == HOST_TARGET {
        return Ok(());
    }
    let Some(machine) = kernel::of_target(target) else {
        bail!("there is no target {target} here");
    };
    let linker = linker(machine);
    if find_program(&linker).is_none() {
        bail!("there is no {linker} to link for {target} with: run `cargo xtask setup`");
    }
    let variable = target.to_uppercase().replace('-', "_");
    cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
    match Compiler::find(target)? {
        Compiler::InUse => {}
        Compiler::Linked(rustc) => {
            cargo.env("RUSTC", rustc);
        }
        Compiler::None => bail!(
            "no Rust compiler here has a standard library for {target}: run `cargo xtask setup`"
        ),
    }
    Ok(())
}

/// GNU's C compiler for `machine`, as which it links.
pub(crate) fn linker(machine: &Machine) -> String {
    format!("{}-gcc", machine.gnu)
}

/// Where there is a standard library for a target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// In the toolchain that runs this task.
    InUse,
    /// In the distribution's; this is its rustc.
    Linked(PathBuf),
    /// Nowhere.
    None,
}

impl Compiler {
    /// Looks for it.
    pub(crate) fn find(target: &str) -> Result<Self> {
        let libraries = |rustc: &mut Command| {
            rustc
                .args(["--print", "target-libdir", "--target", target])
                .read()
        };
        let in_use = libraries(&mut Command::new("rustc"))
            .with_context(|| format!("cannot ask rustc about {target}"))?;
        if has_std(Path::new(in_use.trim())) {
            return Ok(Self::InUse);
        }
        // An error means that there is no such toolchain.
        let Ok(rustc) = Command::new("rustup")
            .args(["which", "--toolchain", LINKED_TOOLCHAIN, "rustc"])
            .read()
        else {
            return Ok(Self::None);
        };
        let rustc = PathBuf::from(rustc.trim());
        let has_it =
            libraries(&mut Command::new(&rustc)).is_ok_and(|dir| has_std(Path::new(dir.trim())));
        Ok(if has_it {
            Self::Linked(rustc)
        } else {
            Self::None
        })
    }
}

/// Whether a compiler's library directory holds the standard library.
fn has_std(dir: &Path) -> bool {
    dir.read_dir().is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kernel::MACHINES;

    #[test]
    fn library_directory_counts_only_with_the_standard_library_in_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_std(&dir.path().join("absent")));
        fs::write(dir.path().join("libcore-0a.rlib"), "").unwrap();
        fs::write(dir.path().join("libstd-0a.so"), "").unwrap();
        assert!(!has_std(dir.path()));
        fs::write(dir.path().join("libstd-0a.rlib"), "").unwrap();
        assert!(has_std(dir.path()));
    }

    #[test]
    fn build_for_this_machine_needs_nothing_more() {
        let mut cargo = Command::new("cargo");
        prepare(&mut cargo, HOST_TARGET).unwrap();
        assert_eq!(cargo.get_envs().count(), 0);
    }

    #[test]
    fn linker_is_gnus_for_the_machine() {
        let linkers = MACHINES.map(linker);
        assert_eq!(linkers, ["x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"]);
    }
}
