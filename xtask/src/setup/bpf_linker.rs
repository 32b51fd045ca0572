//! bpf-linker, linked against an LLVM that reads what rustc writes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::bpf_rust::BpfToolchain;
use super::{apt, missing, present};
use crate::command::{CommandExt as _, cargo, find_program};

/// The version that set-up installs, and the oldest that it accepts.
const VERSION: [u32; 3] = [0, 13, 0];
/// The LLVM versions that bpf-linker 0.13 has a cargo feature for.
const LLVM_FEATURES: std::ops::RangeInclusive<u32> = 21..=23;

/// Finds a bpf-linker that fits `toolchain` or installs one.
pub(super) fn ensure(toolchain: &BpfToolchain) -> Result<()> {
    let why = match find_program("bpf-linker") {
        None => "links the eBPF programs".to_owned(),
        Some(path) => match unfit(&path, toolchain)? {
            None => {
                present("bpf-linker", &path.display().to_string());
                return Ok(());
            }
            Some(reason) => reason,
        },
    };
    missing("bpf-linker", &why);
    install(toolchain)?;
    if find_program("bpf-linker").is_none() {
        bail!(
            "bpf-linker was installed, but $PATH has no such program: add cargo's bin directory \
             ($CARGO_HOME/bin, usually ~/.cargo/bin) to it"
        );
    }
    Ok(())
}

/// Why the bpf-linker at `path` can't be used, if it can't.
fn unfit(path: &Path, toolchain: &BpfToolchain) -> Result<Option<String>> {
    // A linker that doesn't even start, its LLVM gone after an upgrade, is unfit as well.
    let Ok(output) = Command::new(path).arg("--version").read() else {
        return Ok(Some("the one that is installed does not start".to_owned()));
    };
    match version(&output) {
        Some(version) if version >= VERSION => {}
        _ => return Ok(Some(format!("`{}` is too old", output.trim()))),
    }
    // Statically linked ones (the project's own releases) carry the newest LLVM.
    let libraries = Command::new("ldd").arg(path).read().unwrap_or_default();
    Ok(match linked_llvm(&libraries) {
        Some(llvm) if llvm < toolchain.llvm => Some(format!(
            "it has LLVM {llvm}, but toolchain {} writes LLVM {} bitcode",
            toolchain.name, toolchain.llvm
        )),
        _ => None,
    })
}

fn install(toolchain: &BpfToolchain) -> Result<()> {
    let llvm = toolchain.llvm;
    let version = VERSION.map(|part| part.to_string()).join(".");
    let packages = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    let packages = packages.each_ref().map(String::as_str);
    if LLVM_FEATURES.contains(&llvm) && apt::available() && apt::offers(&packages)? {
        if apt::installed(&packages)?.len() < packages.len() {
            apt::install(&packages)?;
        }
        return cargo()
            // Without it bpf-linker's build looks into the wrong directory.
            .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
            .args(["install", "bpf-linker", "--version", &version])
            .args(["--locked", "--force", "--no-default-features"])
            .args(["--features", &format!("llvm-{llvm}")])
            .run();
    }
    if find_program("cargo-binstall").is_some() {
        return cargo()
            .args(["binstall", "--no-confirm", "--force"])
            .arg(format!("bpf-linker@{version}"))
            .run();
    }
    cargo()
        .args([
            "install",
            "bpf-linker",
            "--version",
            &version,
            "--locked",
            "--force",
        ])
        .run()
        .with_context(|| {
            format!(
                "could not build bpf-linker {version}. Either put the binary of its GitHub release \
                 into a directory of $PATH (`cargo binstall bpf-linker` does that), or install \
                 LLVM {llvm} with its headers and run `LLVM_PREFIX=PREFIX cargo install bpf-linker \
                 --version {version} --locked --no-default-features --features llvm-{llvm}`; \
                 then run `cargo xtask setup` again"
            )
        })
}

/// The version in `bpf-linker 0.13.0`.
fn version(output: &str) -> Option<[u32; 3]> {
    let (_, version) = output.trim().rsplit_once(' ')?;
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// The major version in ldd's line for `libLLVM.so.22.1` or `libLLVM-21.so.1`.
fn linked_llvm(libraries: &str) -> Option<u32> {
    let name = libraries
        .lines()
        .find_map(|line| line.trim().strip_prefix("libLLVM"))?;
    name.trim_start_matches(".so.")
        .trim_start_matches('-')
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_compared_as_numbers() {
        assert!(version("bpf-linker 0.13.0\n").unwrap() >= VERSION);
        assert!(version("bpf-linker 0.9.15\n").unwrap() < VERSION);
        assert!(version("bpf-linker 1.0.0").unwrap() >= VERSION);
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn llvm_is_read_from_either_library_name() {
        let new = "\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x0)\n";
        assert_eq!(linked_llvm(new), Some(22));
        assert_eq!(
            linked_llvm("\tlibLLVM-21.so.1 => /usr/lib/x (0x0)\n"),
            Some(21)
        );
        assert_eq!(linked_llvm("\tstatically linked\n"), None);
    }
}
