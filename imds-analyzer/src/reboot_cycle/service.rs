//! The service, through `systemctl`.

use std::{fmt, path::Path, process::Command};

use super::CycleError;

/// Longest part of what systemctl says that is told, bytes.
const MAX_SAID: usize = 1_000;

/// A unit and the program that speaks to systemd.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    pub systemctl: &'a Path,
    pub unit: &'a str,
}

/// How a unit is: three properties, as `systemctl show` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    load: String,
    file: String,
    active: String,
}

impl UnitState {
    /// Whether the next boot starts it. (`enabled-runtime` ends with this boot.)
    pub fn is_enabled(&self) -> bool {
        self.file == "enabled"
    }

    /// Whether it runs, or is about to.
    pub fn is_active(&self) -> bool {
        matches!(&*self.active, "active" | "activating" | "reloading")
    }
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file.is_empty() {
            "not installed"
        } else {
            &self.file
        };
        write!(f, "{file}, {}", self.active)
    }
}

impl Service<'_> {
    /// How the unit is.
    ///
    /// # Errors
    /// If it can't be switched on whatever is done here: it is missing or masked.
    pub fn state(&self) -> Result<UnitState, CycleError> {
        let state = self.look()?;
        match &*state.load {
            "loaded" => Ok(state),
            "masked" => Err(CycleError::Masked(self.unit.to_owned())),
            _ => Err(CycleError::NotInstalled(self.unit.to_owned())),
        }
    }

    /// Has it run from now on and after the next boot.
    ///
    /// # Errors
    /// If it does not.
    pub fn switch_on(&self) -> Result<(), CycleError> {
        let before = self.state()?;
        if !before.is_enabled() {
            self.systemctl(&["enable", "--quiet", self.unit])?;
        }
        if before.active != "active" {
            self.systemctl(&["start", self.unit])?;
        }
        let now = self.state()?;
        if now.is_enabled() && now.is_active() {
            Ok(())
        } else {
            Err(CycleError::NotOn {
                unit: self.unit.to_owned(),
                state: now.to_string(),
            })
        }
    }

    /// Undoes [`Service::switch_on`]: how it is then. A unit that is gone meanwhile is as
    /// far back as it can be.
    ///
    /// # Errors
    /// If systemd refuses.
    pub fn put_back(&self, enabled: bool, active: bool) -> Result<UnitState, CycleError> {
        let now = self.look()?;
        if now.load != "loaded" {
            return Ok(now);
        }
        if !enabled && now.is_enabled() {
            self.systemctl(&["disable", "--quiet", self.unit])?;
        }
        if !active && now.active != "inactive" {
            self.systemctl(&["stop", self.unit])?;
        }
        self.look()
    }

    fn look(&self) -> Result<UnitState, CycleError> {
        let properties = "--property=LoadState,UnitFileState,ActiveState";
        let said = self.systemctl(&["show", properties, self.unit])?;
        let mut state = UnitState::default();
        for (name, value) in said.lines().filter_map(|line| line.split_once('=')) {
            let place = match name {
                "LoadState" => &mut state.load,
                "UnitFileState" => &mut state.file,
                "ActiveState" => &mut state.active,
                _ => continue,
            };
            value.clone_into(place);
        }
        Ok(state)
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<String, CycleError> {
        let output = Command::new(self.systemctl)
            .args(arguments)
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| CycleError::NoSystemctl {
                program: self.systemctl.to_owned(),
                source,
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = &output.stderr[..output.stderr.len().min(MAX_SAID)];
        let said = String::from_utf8_lossy(said);
        let said = said.trim();
        Err(CycleError::Systemctl {
            arguments: arguments.join(" "),
            said: if said.is_empty() {
                output.status.to_string()
            } else {
                said.escape_debug().to_string()
            },
        })
    }
}
