//! Runs one virtual machine and reads its serial console.
//!
//! Always by emulation (TCG): /dev/kvm can exist and yet not run any kernel, and
//! telling takes longer than the two or three seconds that an emulated boot
//! takes. So a VM also behaves the same on every machine.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::command::{line, wait_until};
use crate::kernel::Machine;

/// The image is unpacked into memory; the suite and Python want some too.
const MEMORY_MIB: &str = "1024";

/// What to boot.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    pub(super) machine: &'a Machine,
    pub(super) kernel: &'a Path,
    pub(super) root: &'a Root,
    /// More of QEMU's arguments: what the machine has besides.
    pub(super) devices: &'a [String],
    /// Words for the guest's init, appended to the kernel's command line.
    pub(super) words: &'a [String],
    /// Where the console goes, whole.
    pub(super) log: &'a Path,
    /// How long the VM may live.
    pub(super) limit: Duration,
}

/// Where the guest's root file system is.
#[derive(Clone, Debug)]
pub(super) enum Root {
    /// In a cpio archive that the kernel unpacks into memory.
    Initramfs(PathBuf),
    /// In an image on the first NVMe drive. What the guest writes is gone with it, so
    /// several can run from one image.
    Image(PathBuf),
    /// Likewise, but what the guest writes stays: for a guest that boots more than once.
    Disk(PathBuf),
}

impl Root {
    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Initramfs(archive) => vec!["-initrd".to_owned(), archive.display().to_string()],
            Self::Image(image) => drive(image, "snapshot=on"),
            // Nothing on it outlives the test.
            Self::Disk(image) => drive(image, "cache=unsafe"),
        }
    }
}

fn drive(image: &Path, how: &str) -> Vec<String> {
    vec![
        "-drive".to_owned(),
        format!(
            "file={},format=raw,if=none,id=root,{how}",
            // A comma ends QEMU's option, two are one.
            image.display().to_string().replace(',', ",,")
        ),
        "-device".to_owned(),
        "nvme,drive=root,serial=root".to_owned(),
    ]
}

/// Boots, gives each console line to `each`, and waits for the end.
///
/// Returns QEMU's exit status, or `None` if it was killed at the limit.
pub(super) fn run(boot: &Boot<'_>, mut each: impl FnMut(&str)) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + boot.limit;
    let mut log =
        File::create(boot.log).with_context(|| format!("cannot write {}", boot.log.display()))?;
    let mut command = command(boot);
    let mut qemu = command
        .spawn()
        .with_context(|| format!("cannot start `{}`: try `cargo xtask setup`", line(&command)))?;
    let lines = console(&mut qemu);
    let status = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => {
                writeln!(log, "{text}")?;
                each(&text);
            }
            Err(RecvTimeoutError::Timeout) => break None,
            Err(RecvTimeoutError::Disconnected) => break wait_until(&mut qemu, deadline)?,
        }
    };
    if status.is_none() {
        qemu.kill()?;
        qemu.wait()?;
    }
    Ok(status)
}

fn command(boot: &Boot<'_>) -> Command {
    let (program, machine) = boot
        .machine
        .qemu
        .split_first()
        .expect("each row names a program");
    let append = format!(
        "console={} panic=-1 loglevel=4 {}",
        boot.machine.console,
        boot.words.join(" ")
    );
    let mut command = Command::new(program);
    command
        .args(machine)
        .args(["-accel", boot.machine.accelerator, "-smp", "1"])
        .args(["-m", MEMORY_MIB])
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-monitor",
            "none",
            "-no-reboot",
        ])
        .args(["-serial", "stdio", "-append", &append])
        .arg("-kernel")
        .arg(boot.kernel)
        .args(boot.root.arguments())
        .args(boot.devices)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe
    // and touches no memory of ours.
    unsafe {
        // Whatever ends this task ends its VM.
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    command
}

/// The console's lines, from a thread: a read can't be given a deadline.
fn console(qemu: &mut Child) -> Receiver<String> {
    let stdout = qemu.stdout.take().expect("stdout is piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for bytes in BufReader::new(stdout).split(b'\n') {
            let Ok(bytes) = bytes else { return };
            if sender.send(printable(&bytes)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Firmware and kernel send terminal controls; a log wants none.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_with_a_comma_in_its_path_is_one_file() {
        let arguments = Root::Image("/a,b/root.ext4".into()).arguments();
        assert!(arguments[1].starts_with("file=/a,,b/root.ext4,format=raw,"));
    }

    #[test]
    fn console_line_loses_its_carriage_return_and_escapes() {
        assert_eq!(printable(b"\x1bcok\tyes\r"), "cok\tyes");
    }
}
