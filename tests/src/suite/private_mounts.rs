//! Mounts that nobody else sees.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt as _, path::Path, ptr, thread};

use anyhow::{Context as _, Result, ensure};

/// Runs `work` in a thread with a mount namespace of its own. Processes that it starts
/// are in it too, and end with the thread.
///
/// # Errors
///
/// Those of `work`; needs CAP_SYS_ADMIN.
pub(super) fn with_private_mounts<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let inside = || {
            // SAFETY: no pointers. What threads share of a file system is given up first.
            let left = unsafe { libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS) };
            ensure!(left == 0, "unshare: {}", io::Error::last_os_error());
            mount(
                "none",
                Path::new("/"),
                "",
                libc::MS_REC | libc::MS_PRIVATE,
                "",
            )
            .context("cannot make mounts private")?;
            work()
        };
        scope.spawn(inside).join().expect("no panic inside")
    })
}

/// Mounts a file system in memory.
///
/// # Errors
///
/// That of mount(2).
pub(super) fn mount_tmpfs(at: &Path, options: &str) -> Result<()> {
    mount("tmpfs", at, "tmpfs", 0, options)
        .with_context(|| format!("cannot mount a tmpfs at {}", at.display()))
}

fn mount(source: &str, at: &Path, kind: &str, flags: libc::c_ulong, options: &str) -> Result<()> {
    let source = CString::new(source)?;
    let at = CString::new(at.as_os_str().as_bytes())?;
    let kind = CString::new(kind)?;
    let options = CString::new(options)?;
    let data = match options.is_empty() {
        true => ptr::null(),
        false => options.as_ptr().cast(),
    };
    // SAFETY: four strings that end with a NUL and live until the call is over.
    let done = unsafe { libc::mount(source.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, data) };
    ensure!(done == 0, "{}", io::Error::last_os_error());
    Ok(())
}
