//! The guest's IMDS: the suite's mock on the addresses of IMDS, which `lo` is given, with
//! an access log on the disk.

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};

use super::{ACCESS_LOG, access::Access, holders, stage_number};
use crate::{mock::Mock, netns};

/// Serves until it is killed. The service manager is told when it listens.
///
/// # Errors
///
/// Anywhere but in the boot test's VM, and if it can't listen or log.
pub fn serve() -> Result<()> {
    stage_number()?;
    netns::serve_imds_here()?;
    let log = open(Path::new(ACCESS_LOG))?;
    let boot_id = boot_id()?;
    let mock = Mock::idle();
    mock.observe(move |entry| {
        // It waits for the answer, so it is there.
        let access = Access::new(&boot_id, entry, holders::of(entry.peer, entry.local));
        if let Err(error) = write(&log, &access) {
            // A line that is missing makes its record one too many.
            eprintln!("the access log: {error}");
        }
    });
    mock.listen_here()?;
    tell_ready().context("tell systemd that IMDS is there")?;
    loop {
        thread::park();
    }
}

/// The kernel's id of this boot.
pub(super) fn boot_id() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

fn open(path: &Path) -> Result<Mutex<File>> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    Ok(Mutex::new(file))
}

fn write(log: &Mutex<File>, access: &Access) -> std::io::Result<()> {
    let line = format!("{}\n", access.to_json());
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.write_all(line.as_bytes())
}

/// `sd_notify(3)`, for a path: the manager's socket has one.
fn tell_ready() -> Result<()> {
    let socket = env::var_os("NOTIFY_SOCKET").context("there is no NOTIFY_SOCKET")?;
    UnixDatagram::unbound()?.send_to(b"READY=1", Path::new(&socket))?;
    Ok(())
}
