//! `imds-analyzer reboot-cycle`: watches one shutdown and the boot after it, which is when
//! most calls without a token are made, and then leaves the host as it was.
//!
//! `start` remembers how the service was ([`state`]) and switches it on ([`service`]);
//! `status` says what its log has so far ([`watched`]); `finish` reports on exactly what
//! came since and puts everything back. Each may be repeated, and each that is cut short
//! can be done again: the state file is written before anything changes and removed when
//! everything is back.

mod error;
mod service;
mod state;
mod watched;

use std::{io::Write, path::PathBuf};

use rustix::process::geteuid;

pub use self::error::CycleError;
use self::{
    service::Service,
    state::{State, StateFile},
};
use crate::{
    clock, host,
    report::{self, Beginning, ReportFormat, Verdict},
};

/// The unit that is switched on.
const UNIT: &str = "imds-analyzer.service";
/// Where the unit writes its log.
pub const LOG: &str = "/var/log/imds-analyzer/imds-analyzer.log";
/// Where what `start` found is kept: the unit's `StateDirectory=`.
const STATE: &str = "/var/lib/imds-analyzer/reboot-cycle.json";

/// The host, as far as a cycle has to do with it. Tests have their own.
#[derive(Clone, Debug)]
pub struct Host {
    /// Root of the file system that `/proc` and `/run` are read in.
    pub root: PathBuf,
    /// The program that speaks to systemd.
    pub systemctl: PathBuf,
    /// Where what `start` found is kept.
    pub state: PathBuf,
    /// The service's log.
    pub log: PathBuf,
    /// Whether this user may do all of it.
    pub privileged: bool,
}

impl Host {
    /// This host, whose service writes `log`.
    pub fn this(log: PathBuf) -> Self {
        Self {
            root: "/".into(),
            systemctl: "systemctl".into(),
            state: STATE.into(),
            log,
            privileged: geteuid().is_root(),
        }
    }

    fn boot_id(&self) -> Result<String, CycleError> {
        host::boot_id(&self.root).ok_or(CycleError::NoBootId)
    }

    fn state_file(&self) -> StateFile<'_> {
        StateFile(&self.state)
    }

    fn service(&self) -> Service<'_> {
        Service {
            systemctl: &self.systemctl,
            unit: UNIT,
        }
    }

    fn require(&self, step: &'static str) -> Result<(), CycleError> {
        if !self.privileged {
            return Err(CycleError::Privilege(step));
        }
        // As sd_booted(3) tells.
        if !self.root.join("run/systemd/system").is_dir() {
            return Err(CycleError::NoSystemd);
        }
        Ok(())
    }

    /// What there is, as it stands now.
    fn beginning(&self) -> Result<Beginning, CycleError> {
        Ok(Beginning {
            boot_id: self.boot_id()?,
            boottime_us: clock::boottime_ns() / 1_000,
            at: jiff::Timestamp::now(),
        })
    }
}

/// Begins a cycle: from now on, and from the next boot's first moment, calls are recorded.
/// With a cycle going on already, sees to it that it still is.
///
/// # Errors
/// Without root, systemd or the unit, or if it can't be switched on; then everything is as
/// it was.
pub fn start(host: &Host, out: &mut impl Write) -> anyhow::Result<()> {
    host.require("start")?;
    let file = host.state_file();
    let service = host.service();
    if let Some(state) = file.read()? {
        service.switch_on()?;
        writeln!(
            out,
            "A reboot cycle is going on already, since {}.\n{}",
            state.beginning.second(),
            next(&state, &host.boot_id()?)
        )?;
        return Ok(());
    }
    let before = service.state()?;
    let state = State {
        beginning: host.beginning()?,
        was_enabled: before.is_enabled(),
        was_active: before.is_active(),
    };
    // Before anything changes: whoever is interrupted can still put it back.
    file.write(&state)?;
    if let Err(error) = service.switch_on() {
        service.put_back(state.was_enabled, state.was_active)?;
        file.remove()?;
        return Err(error.into());
    }
    writeln!(
        out,
        "Calls to IMDS are recorded from now on, and from the first moment of the next boot, \
         in {}.\n{}",
        host.log.display(),
        next(&state, &state.beginning.boot_id)
    )?;
    Ok(())
}

/// Says what has been watched since the cycle began.
///
/// # Errors
/// If the state or the log can't be read.
pub fn status(host: &Host, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(state) = host.state_file().read()? else {
        writeln!(
            out,
            "No reboot cycle is going on. Begin one with `imds-analyzer reboot-cycle start`."
        )?;
        return Ok(());
    };
    let boot_id = host.boot_id()?;
    writeln!(out, "Reboot cycle since {}", state.beginning.second())?;
    match host.service().state() {
        Ok(unit) if unit.is_enabled() && unit.is_active() => {
            writeln!(out, "  service: enabled and running")?;
        }
        Ok(unit) => writeln!(
            out,
            "  service: {unit}: not everything is recorded; `imds-analyzer reboot-cycle start` \
             switches it on again"
        )?,
        Err(error) => writeln!(out, "  service: {error}")?,
    }
    let boots = watched::since(&host.log, &state.beginning)?;
    for (number, boot) in boots.iter().enumerate() {
        let name = if boot.boot_id.as_deref() == Some(&boot_id) {
            "this boot".to_owned()
        } else {
            match boots.len() - number - 1 {
                1 => "the boot before, with its shutdown".to_owned(),
                back => format!("{back} boots before"),
            }
        };
        writeln!(out, "  {name}: {boot}")?;
    }
    if !boots
        .iter()
        .any(|boot| boot.boot_id.as_deref() == Some(&boot_id))
    {
        writeln!(
            out,
            "  this boot: nothing is recorded in {}",
            host.log.display()
        )?;
    }
    writeln!(out, "{}", next(&state, &boot_id))?;
    Ok(())
}

/// Writes the report on the cycle to standard output, and puts everything back.
///
/// # Errors
/// Without root or systemd, without a cycle, before a reboot, or if the report can't be
/// made; then nothing has changed.
pub fn finish(
    host: &Host,
    format: ReportFormat,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<Verdict> {
    host.require("finish")?;
    let file = host.state_file();
    let state = file.read()?.ok_or(CycleError::NothingToFinish)?;
    if state.beginning.boot_id == host.boot_id()? {
        return Err(CycleError::NotRebooted(state.beginning.second()).into());
    }
    let verdict = report::of_cycle(&host.log, &state.beginning, format, out)?;
    put_back(host, &state, notes)?;
    file.remove()?;
    Ok(verdict)
}

/// Puts everything back without a report.
///
/// # Errors
/// Without root or systemd, or without a cycle.
pub fn abort(host: &Host, notes: &mut impl Write) -> anyhow::Result<()> {
    host.require("finish")?;
    let file = host.state_file();
    let state = file.read()?.ok_or(CycleError::NothingToFinish)?;
    put_back(host, &state, notes)?;
    Ok(file.remove()?)
}

fn put_back(host: &Host, state: &State, notes: &mut impl Write) -> anyhow::Result<()> {
    let now = host
        .service()
        .put_back(state.was_enabled, state.was_active)?;
    writeln!(
        notes,
        "imds-analyzer: the service is as it was before the reboot cycle: {now}"
    )?;
    Ok(())
}

/// What to do next.
fn next(state: &State, boot_id: &str) -> &'static str {
    if state.beginning.boot_id == boot_id {
        "Next: reboot this host, and then `imds-analyzer reboot-cycle finish`."
    } else {
        "Next: `imds-analyzer reboot-cycle finish`, once everything has started that is to be \
         watched."
    }
}

#[cfg(test)]
mod tests;
