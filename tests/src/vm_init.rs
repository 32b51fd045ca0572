//! The init of a test VM: mounts what tests need, runs the suite for each backend
//! that the kernel command line names, says the verdict and ends the VM.
//!
//! A lean guest holds nothing but this program as `/init`, the analyzer as
//! `/bin/imds-analyzer` and kernel modules in `/modules`; another one the clients too.

mod modules;
mod probe;

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

const ANALYZER: &str = "/bin/imds-analyzer";
/// What real clients need, where there are any.
const CLIENTS: &str = "/opt/imds-clients";
/// Set to 1: find out which backends the kernel has.
const PROBE: &str = "imds.probe";
/// QEMU's `isa-debug-exit` at its usual port; QEMU exits with `value * 2 + 1`.
#[cfg(target_arch = "x86_64")]
const DEBUG_EXIT_PORT: u16 = 0xf4;
const DEBUG_EXIT_PASS: u8 = 0x10;
const DEBUG_EXIT_FAIL: u8 = 0x11;
/// How long the console gets to take the last line before the VM ends.
const CONSOLE_DRAINS_IN: Duration = Duration::from_millis(200);

/// A file system and where it belongs. The optional ones depend on the kernel.
struct Mount {
    kind: &'static CStr,
    target: &'static str,
    required: bool,
}

const MOUNTS: [Mount; 9] = [
    mount(c"proc", "/proc", true),
    mount(c"sysfs", "/sys", true),
    mount(c"devtmpfs", "/dev", true),
    mount(c"tmpfs", "/tmp", true),
    mount(c"tmpfs", "/run", true),
    mount(c"cgroup2", "/sys/fs/cgroup", true),
    mount(c"bpf", "/sys/fs/bpf", false),
    mount(c"debugfs", "/sys/kernel/debug", false),
    mount(c"tracefs", "/sys/kernel/tracing", false),
];

const fn mount(kind: &'static CStr, target: &'static str, required: bool) -> Mount {
    Mount {
        kind,
        target,
        required,
    }
}

/// Does all of it. Never returns: PID 1 may not.
pub fn run() -> ! {
    let passed = match prepare().and_then(|words| suites(&words)) {
        Ok(passed) => passed,
        Err(error) => {
            println!("init: {error:#}");
            false
        }
    };
    println!("IMDS-VM-VERDICT {}", if passed { "pass" } else { "fail" });
    end(passed)
}

/// Mounts, loopback, host name, modules; returns the kernel's command line.
fn prepare() -> Result<String> {
    for mount in MOUNTS {
        let outcome = mount_one(&mount);
        if mount.required {
            outcome.with_context(|| format!("mount {}", mount.target))?;
        } else if let Err(error) = outcome {
            println!("init: no {}: {error}", mount.target);
        }
    }
    // SAFETY: single-threaded still.
    unsafe {
        std::env::set_var("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        std::env::set_var("HOME", "/");
    }
    fs::write("/proc/sys/kernel/hostname", "imds-vm").context("set the host name")?;
    crate::netns::loopback_up().context("bring lo up")?;
    let words = fs::read_to_string("/proc/cmdline").context("read the kernel's command line")?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("IMDS-KERNEL release={}", release.trim());
    modules::load_all()?;
    Ok(words)
}

fn mount_one(mount: &Mount) -> io::Result<()> {
    fs::create_dir_all(mount.target)?;
    let target = CString::new(mount.target)?;
    // SAFETY: all strings end in NUL and live; no data is passed.
    let result = unsafe {
        libc::mount(
            mount.kind.as_ptr(),
            target.as_ptr(),
            mount.kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(()),
        // The kernel mounts devtmpfs itself if it is built so.
        error if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        error => Err(error),
    }
}

/// Runs the suite for each backend; true if all passed.
fn suites(command_line: &str) -> Result<bool> {
    let backends = word(command_line, "imds.backends").unwrap_or("fentry,kprobe,cgroup");
    let filter = word(command_line, "imds.filter");
    let group = word(command_line, "imds.group").unwrap_or("all");
    ensure!(!backends.is_empty(), "imds.backends names none");
    ensure!(Path::new(ANALYZER).is_file(), "there is no {ANALYZER}");
    if word(command_line, PROBE) == Some("1") {
        probe::run().context("ask the analyzer about this kernel")?;
    }
    let mut passed = true;
    for backend in backends.split(',') {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("imds-tests")
            .args(["suite", "--analyzer", ANALYZER, "--clients", CLIENTS])
            .args(["--backend", backend, "--group", group]);
        if let Some(filter) = filter {
            command.args(["--filter", filter]);
        }
        let child = command.spawn().context("start the suite")?;
        let status = reap_until(child.id())?;
        println!("init: suite with {backend} ended with {status}");
        passed &= status == 0;
    }
    Ok(passed)
}

/// Waits for a child, and for all orphans that end meanwhile: they are PID 1's.
/// Returns its exit code, or 128 and the signal as a shell would.
fn reap_until(child: u32) -> Result<i32> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is that of `status`.
        let pid = unsafe { libc::wait(&raw mut status) };
        if pid < 0 {
            let error = io::Error::last_os_error();
            ensure!(error.kind() == io::ErrorKind::Interrupted, "wait: {error}");
        } else if u32::try_from(pid) == Ok(child) {
            return Ok(if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                128 + libc::WTERMSIG(status)
            });
        }
    }
}

/// The value of `name=value` on the kernel's command line.
pub(crate) fn word<'a>(command_line: &'a str, name: &str) -> Option<&'a str> {
    command_line
        .split_ascii_whitespace()
        .filter_map(|word| word.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

/// Ends the VM, with a code that says whether it passed.
pub(crate) fn end(passed: bool) -> ! {
    // SAFETY: no arguments.
    unsafe { libc::sync() };
    std::thread::sleep(CONSOLE_DRAINS_IN);
    let value = if passed {
        DEBUG_EXIT_PASS
    } else {
        DEBUG_EXIT_FAIL
    };
    println!("init: no debug exit: {}", debug_exit(value));
    // SAFETY: no pointers. Without the device this ends the VM all the same, and the
    // verdict is on the console.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    loop {
        std::thread::park();
    }
}

/// Writes to the port, within which QEMU ends; returns why it did not.
#[cfg(target_arch = "x86_64")]
fn debug_exit(value: u8) -> io::Error {
    // SAFETY: no pointers.
    if unsafe { libc::iopl(3) } != 0 {
        return io::Error::last_os_error();
    }
    // SAFETY: the port is QEMU's debug exit or nothing; neither touches memory.
    unsafe {
        std::arch::asm!(
            "out dx, al",
            in("dx") DEBUG_EXIT_PORT,
            in("al") value,
            options(nomem, nostack, preserves_flags)
        );
    }
    io::Error::other("there is no such device")
}

#[cfg(not(target_arch = "x86_64"))]
fn debug_exit(_value: u8) -> io::Error {
    io::Error::other("not on this architecture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line_are_found() {
        let line = "console=ttyS0 imds.backends=fentry,cgroup imds.filter= panic=-1\n";
        assert_eq!(word(line, "imds.backends"), Some("fentry,cgroup"));
        assert_eq!(word(line, "imds.filter"), None);
        assert_eq!(word(line, "imds"), None);
    }
}
