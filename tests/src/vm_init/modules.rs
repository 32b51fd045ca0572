//! Loads the kernel modules that the image brings: veth and netem, where the kernel
//! doesn't have them built in.

use std::{
    ffi::{CStr, OsString},
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

/// Their names begin with numbers, in the order of loading.
const DIRECTORY: &str = "/modules";

/// Loads all of them.
///
/// # Errors
///
/// If the kernel refuses one: the cases that need it could not run.
pub(super) fn load_all() -> Result<()> {
    if !Path::new(DIRECTORY).exists() {
        // The image of the clients brings none; what needs one fails without it.
        return Ok(());
    }
    let mut names: Vec<OsString> = fs::read_dir(DIRECTORY)
        .with_context(|| format!("read {DIRECTORY}"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let path = Path::new(DIRECTORY).join(name);
        load(&path).with_context(|| format!("load {}", path.display()))?;
        println!("init: loaded {}", path.display());
    }
    Ok(())
}

fn load(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    let no_parameters: &CStr = c"";
    // SAFETY: the descriptor is open, the string ends in NUL, and both live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_finit_module,
            file.as_raw_fd(),
            no_parameters.as_ptr(),
            0,
        )
    };
    let error = io::Error::last_os_error();
    ensure!(
        result == 0 || error.raw_os_error() == Some(libc::EEXIST),
        "{error}"
    );
    Ok(())
}
