//! The smallest program that does nothing but stay: another executable than this one,
//! without copying this one's megabytes, which takes an emulated machine up to a minute.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Where the file is mapped, and where it begins to run, past the headers.
const BASE: u64 = 0x40_0000;
const HEADER: u16 = 64;
const SEGMENT: u16 = 56;

#[cfg(target_arch = "x86_64")]
mod machine {
    /// `EM_X86_64`.
    pub(super) const NUMBER: u16 = 62;
    /// pause(2), for ever.
    pub(super) const CODE: &[u8] = &[
        0xb8, 34, 0, 0, 0, // mov eax, 34
        0x0f, 0x05, // syscall
        0xeb, 0xf7, // jmp to the beginning
    ];
}

#[cfg(target_arch = "aarch64")]
mod machine {
    /// `EM_AARCH64`.
    pub(super) const NUMBER: u16 = 183;
    /// ppoll(2) of nothing without a limit, for ever.
    pub(super) const CODE: &[u8] = &[
        0x00, 0x00, 0x80, 0xd2, // mov x0, 0
        0x01, 0x00, 0x80, 0xd2, // mov x1, 0
        0x02, 0x00, 0x80, 0xd2, // mov x2, 0
        0x03, 0x00, 0x80, 0xd2, // mov x3, 0
        0x04, 0x00, 0x80, 0xd2, // mov x4, 0
        0x28, 0x09, 0x80, 0xd2, // mov x8, 73
        0x01, 0x00, 0x00, 0xd4, // svc 0
        0xf9, 0xff, 0xff, 0x17, // b to the beginning
    ];
}

/// Writes the program to `path`.
///
/// # Errors
///
/// Those of writing a file.
pub(super) fn write(path: &Path) -> io::Result<()> {
    fs::write(path, image())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A file header, one segment that is the whole file, and the code (elf(5)).
fn image() -> Vec<u8> {
    let code = u64::from(HEADER + SEGMENT);
    let size = code + machine::CODE.len() as u64;
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    let half = |image: &mut Vec<u8>, value: u16| image.extend(value.to_le_bytes());
    let word = |image: &mut Vec<u8>, value: u32| image.extend(value.to_le_bytes());
    let long = |image: &mut Vec<u8>, value: u64| image.extend(value.to_le_bytes());
    half(&mut image, 2); // ET_EXEC
    half(&mut image, machine::NUMBER);
    word(&mut image, 1); // EV_CURRENT
    long(&mut image, BASE + code); // entry
    long(&mut image, HEADER.into()); // segments
    long(&mut image, 0); // sections
    word(&mut image, 0); // flags
    for value in [HEADER, SEGMENT, 1, 0, 0, 0] {
        half(&mut image, value);
    }
    word(&mut image, 1); // PT_LOAD
    word(&mut image, 5); // readable, executable
    for value in [0, BASE, BASE, size, size, 0x1_0000] {
        long(&mut image, value);
    }
    image.extend(machine::CODE);
    image
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn program_runs_until_it_is_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("idle");
        write(&path).unwrap();
        let mut child = Command::new(&path).spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        // Asleep in its system call.
        while !fs::read_to_string(&stat).unwrap().contains(") S ") {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
    }
}
