//! One static binary as it is released, and what must not be wrong with it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::binaries;
use crate::kernel::Machine;
use crate::workspace;

/// The size that a binary promises to stay below, in bytes.
const SIZE_LIMIT: u64 = 5_000_000;
/// An executable that needs an interpreter to load its libraries names it in a segment
/// of this type (ELF-64 Object File Format, "Program Header").
const PT_INTERP: u32 = 3;

/// Builds the binary for `machine` into `target/dist`; what is wrong with it is an error.
pub(crate) fn build(machine: &Machine) -> Result<PathBuf> {
    let program = binaries::build_release(machine.target)?;
    let dir = workspace::target_dir().join("dist");
    fs::create_dir_all(&dir)?;
    let path = dir.join(file_name(machine));
    fs::copy(&program, &path).with_context(|| format!("cannot write {}", path.display()))?;
    let bytes = fs::read(&path)?;
    let builder: Vec<PathBuf> = binaries::builder_paths()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let defects = defects(&bytes, &builder);
    ensure!(
        defects.is_empty(),
        "{} can't be released: {}",
        path.display(),
        defects.join("; ")
    );
    Ok(path)
}

/// How it is called among the released files.
pub(super) fn file_name(machine: &Machine) -> String {
    format!("imds-analyzer-{}", machine.arch)
}

/// What must not be in a binary that is released.
fn defects(program: &[u8], builder: &[PathBuf]) -> Vec<String> {
    let mut defects = Vec::new();
    let size = program.len() as u64;
    if size > SIZE_LIMIT {
        defects.push(format!(
            "it has {size} bytes, more than the {SIZE_LIMIT} that are promised"
        ));
    }
    match needs_interpreter(program) {
        Ok(false) => {}
        Ok(true) => defects.push("it is not statically linked".into()),
        Err(error) => defects.push(format!("{error:#}")),
    }
    for path in builder {
        let found = program
            .windows(path.as_os_str().len())
            .position(|window| window == path.as_os_str().as_encoded_bytes());
        if let Some(place) = found {
            let end = (place + 120).min(program.len());
            let text = String::from_utf8_lossy(&program[place..end]);
            defects.push(format!(
                "it names a path of the machine that built it: {}",
                text.split('\0').next().unwrap_or_default()
            ));
        }
    }
    defects
}

/// Whether a 64-bit little-endian ELF file has a segment that names its interpreter.
fn needs_interpreter(elf: &[u8]) -> Result<bool> {
    let bytes = |at: usize, length: usize| {
        elf.get(at..at.saturating_add(length))
            .context("the ELF file ends too soon")
    };
    let number = |at: usize, length: usize| -> Result<usize> {
        let mut value = 0;
        for byte in bytes(at, length)?.iter().rev() {
            value = value << 8 | usize::from(*byte);
        }
        Ok(value)
    };
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        bail!("it is no 64-bit little-endian ELF file");
    }
    // e_phoff, e_phentsize, e_phnum of the header; p_type is a segment's first word.
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        if number(start.saturating_add(index * size), 4)? == PT_INTERP as usize {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one segment of `kind` behind it.
    fn elf(kind: u8) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = kind;
        elf
    }

    #[test]
    fn program_with_an_interpreter_is_not_static() {
        assert!(!needs_interpreter(&elf(1)).unwrap());
        assert!(needs_interpreter(&elf(3)).unwrap());
        assert!(needs_interpreter(&elf(3)[..60]).is_err());
        assert!(needs_interpreter(b"#!/bin/sh").is_err());
    }

    #[test]
    fn this_test_is_linked_dynamically() {
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needs_interpreter(&this).unwrap());
    }

    #[test]
    fn path_of_the_builder_and_a_size_above_the_promise_are_defects() {
        let mut program = elf(1);
        let builder = [PathBuf::from("/home/somebody/.cargo")];
        assert_eq!(defects(&program, &builder), [""; 0]);
        program.extend(b"panicked at /home/somebody/.cargo/registry/src/a.rs\0");
        let found = defects(&program, &builder);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("registry/src/a.rs"), "{found:?}");
        program.resize(5_000_001, 0);
        assert_eq!(defects(&program, &builder).len(), 2);
    }
}
