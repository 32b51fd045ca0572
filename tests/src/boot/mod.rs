//! The boot test: a Debian guest with systemd and cloud-init, whose boots and shutdowns
//! the installed service has to see whole.
//!
//! The guest boots three times from one disk. [`imds`] is its IMDS; it writes down each
//! request, and which process waits for the answer, on the disk. [`stage`] is what is
//! done and held against that in each boot:
//!
//! 1. the package is installed and the service enabled;
//! 2. this boot was watched from its beginning; a reboot cycle is begun;
//! 3. so was this one, and the shutdown between them; the cycle is finished, everything
//!    compared, and the package removed.
//!
//! `xtask/src/vm/boot` makes the disk, with the scripts that call v1.

mod access;
mod checks;
mod cycle;
mod holders;
pub mod imds;
mod journal;
mod records;
mod removal;
mod requests;
pub mod stage;
mod systemd;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::vm_init::word;

/// On the kernel's command line: which boot of the test this is, from 1.
const STAGE: &str = "imds.boot";
/// What IMDS was asked, since the first boot.
const ACCESS_LOG: &str = "/var/lib/boot-test/access.jsonl";
/// What one boot leaves for the next.
const MEMORY: &str = "/var/lib/boot-test/memory.json";
/// The package under test.
const PACKAGE: &str = "/opt/boot-test/imds-analyzer.deb";
/// Where the unit has its log.
const LOGS: &str = "/var/log/imds-analyzer";
/// The unit.
const UNIT: &str = "imds-analyzer.service";

/// Which boot this is. Anywhere but in the boot test's VM there is none.
///
/// # Errors
///
/// If this is not that VM.
fn stage_number() -> Result<u32> {
    let words = fs::read_to_string("/proc/cmdline").context("read the kernel's command line")?;
    let number = word(&words, STAGE).and_then(|number| number.parse().ok());
    let number = number.filter(|number| (1..=3).contains(number));
    ensure!(
        number.is_some() && Path::new(PACKAGE).is_file(),
        "this is not a VM of `cargo xtask vm-test --boot`: no {STAGE}=1, 2 or 3 on the kernel's \
         command line, or no {PACKAGE}"
    );
    Ok(number.unwrap_or_default())
}
