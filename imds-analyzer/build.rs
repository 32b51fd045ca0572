//! Builds the eBPF programs for the architecture that the daemon is built for.
//!
//! They need a compiler with a `core` for BPF, which no stable toolchain brings.
//! `cargo xtask setup` provides one of two: the rustup toolchain
//! `imds-analyzer-bpf` (a distribution's compiler with a prebuilt `core`), or
//! rustup's nightly with `rust-src`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Name that `cargo xtask setup` gives to a distribution's BPF-capable compiler.
const LINKED_TOOLCHAIN: &str = "imds-analyzer-bpf";
/// The package with the eBPF programs, its binary, and the object that `capture` embeds.
const PROGRAMS: &str = "imds-analyzer-ebpf";
/// Between the flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

fn main() {
    for input in ["imds-analyzer-common", PROGRAMS, "Cargo.lock"] {
        println!("cargo::rerun-if-changed=../{input}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    // An error that is told this way ends the build with these lines; a failing exit
    // code would add the whole output of this script.
    if let Err(error) = build() {
        for line in error.lines() {
            println!("cargo::error={line}");
        }
    }
}

/// Compiles the programs and puts the object where `capture` includes it from.
fn build() -> Result<(), String> {
    let Some(toolchain) = toolchain() else {
        return Err(
            "no Rust toolchain here can build for BPF, or bpf-linker is missing: run `cargo xtask setup`"
                .into(),
        );
    };
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let endian = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb",
        _ => "bpfel",
    };
    let target = format!("{endian}-unknown-none");
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Not the directory of the build that runs this: cargo locks that.
    let target_dir = out.join("ebpf");
    let mut cargo = Command::new("rustup");
    cargo
        .args(["run", toolchain.name, "cargo", "build", "--release"])
        .args(["--package", PROGRAMS, "--bins", "--target", &target])
        .args(toolchain.flags)
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTC_BOOTSTRAP", toolchain.bootstrap)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(&variable("CARGO_CFG_TARGET_ARCH")?),
        )
        .stdin(Stdio::null());
    // They name the compiler of the build that runs this.
    for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    let output = cargo
        .output()
        .map_err(|error| format!("cannot start rustup: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the eBPF programs did not build; if a tool is missing, run `cargo xtask setup`\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let object = target_dir.join(target).join("release").join(PROGRAMS);
    let place = out.join(PROGRAMS);
    let programs =
        fs::read(&object).map_err(|error| format!("cannot read {}: {error}", object.display()))?;
    let programs = without_debug_information(&programs)
        .map_err(|error| format!("cannot strip {}: {error}", object.display()))?;
    fs::write(&place, programs)
        .map_err(|error| format!("cannot write {}: {error}", place.display()))
}

/// The object without DWARF, which is four fifths of it. The compiler makes BTF out of the
/// same information, so it can't be told to leave only one of them out, and what is
/// embedded is in the daemon's file and in its memory while it loads.
fn without_debug_information(programs: &[u8]) -> object::build::Result<Vec<u8>> {
    let mut elf = object::build::elf::Builder::read(programs)?;
    for section in &mut elf.sections {
        let name = section.name.as_slice();
        let is_debug = [&b".debug_"[..], b".rel.debug_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        section.delete |= is_debug;
    }
    // LLVM keeps the names of sections among those of symbols; the writer wants a table.
    let names = elf.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = object::build::elf::SectionData::SectionString;
    elf.delete_orphans();
    let mut stripped = Vec::new();
    elf.write(&mut stripped)?;
    Ok(stripped)
}

/// Flags of the compiler: the architecture whose registers a kprobe program reads,
/// BTF, and no path of the machine that builds.
fn flags(architecture: &str) -> OsString {
    let mut flags = OsString::from(format!("--cfg=bpf_target_arch=\"{architecture}\""));
    for flag in ["-Cdebuginfo=2", "-Clink-arg=--btf"] {
        flags.push(SEPARATOR);
        flags.push(flag);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    for (path, name) in [(cargo_home.as_deref(), "cargo"), (root, "imds-analyzer")] {
        if let Some(path) = path {
            flags.push(SEPARATOR);
            flags.push("--remap-path-prefix=");
            flags.push(path);
            flags.push("=");
            flags.push(name);
        }
    }
    flags
}

/// A compiler for BPF.
struct BpfToolchain {
    name: &'static str,
    /// `RUSTC_BOOTSTRAP`: aya-ebpf uses one unstable feature, which a stable compiler
    /// allows to the crates named here. On nightly nothing needs to be allowed.
    bootstrap: &'static str,
    /// More for cargo.
    flags: &'static [&'static str],
}

/// The toolchain to use, if there is one.
fn toolchain() -> Option<BpfToolchain> {
    if !succeeds(Command::new("bpf-linker").arg("--version")) {
        return None;
    }
    if sysroot(LINKED_TOOLCHAIN).is_some() {
        return Some(BpfToolchain {
            name: LINKED_TOOLCHAIN,
            bootstrap: "aya_ebpf",
            flags: &[],
        });
    }
    let nightly = sysroot("nightly")?;
    Path::new(&nightly)
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
        .then_some(BpfToolchain {
            name: "nightly",
            bootstrap: "0",
            flags: &["-Z", "build-std=core"],
        })
}

fn sysroot(toolchain: &str) -> Option<String> {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
