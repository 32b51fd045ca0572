//! Why a step of a reboot cycle can't be done, and what to do about it.

use std::{io, path::PathBuf};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// It needs root.
    #[error("a reboot cycle needs root: run `sudo imds-analyzer reboot-cycle {0}`")]
    Privilege(&'static str),
    /// The host runs another service manager.
    #[error(
        "this host was not booted with systemd, which would start imds-analyzer early enough: \
         have `imds-analyzer run --output FILE` started by what boots it, and read FILE with \
         `imds-analyzer report FILE`"
    )]
    NoSystemd,
    /// The kernel tells no boot id.
    #[error("the kernel does not tell which boot this is (/proc/sys/kernel/random/boot_id)")]
    NoBootId,
    /// There is no cycle.
    #[error(
        "no reboot cycle is going on, so there is nothing to finish: `imds-analyzer \
         reboot-cycle start` begins one"
    )]
    NothingToFinish,
    /// The cycle's boot has not been.
    #[error(
        "this host has not been rebooted since the cycle began ({0}): reboot it, then finish; \
         to give up without a report: `imds-analyzer reboot-cycle finish --abort`"
    )]
    NotRebooted(String),
    /// The unit is not there.
    #[error(
        "systemd knows no {0}: install the package of imds-analyzer, or copy \
         systemd/{0} to /etc/systemd/system and run `systemctl daemon-reload`"
    )]
    NotInstalled(String),
    /// The unit may not be started.
    #[error("{0} is masked: `systemctl unmask {0}` first")]
    Masked(String),
    /// The unit was told to start and has not.
    #[error(
        "{unit} was switched on but is {state}: `systemctl status {unit}` and `journalctl -u \
         {unit}` say why"
    )]
    NotOn {
        /// The unit.
        unit: String,
        /// How it is instead.
        state: String,
    },
    /// systemctl can't be run.
    #[error("cannot run {}: {source}", .program.display())]
    NoSystemctl {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// systemctl has failed.
    #[error("`systemctl {arguments}` failed: {said}")]
    Systemctl {
        /// Its arguments.
        arguments: String,
        /// What it said.
        said: String,
    },
    /// The state can't be read or written.
    #[error("cannot {what} {}: {source}", .path.display())]
    State {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state is not what `start` writes.
    #[error(
        "{} is damaged, or of another version of imds-analyzer: what the service was like \
         before is not known. Bring it to what you want with `systemctl disable --now \
         imds-analyzer` or `systemctl enable --now imds-analyzer`, and remove the file",
        .0.display()
    )]
    Damaged(PathBuf),
    /// Somebody else may change the state.
    #[error("{} is not a directory of root's alone: it must not be a link, and belong to root", .0.display())]
    Directory(PathBuf),
}
