//! `systemd-analyze verify` and `security` on the units that are shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::line;
use crate::progress::note;
use crate::workspace;

/// The most that a unit may be exposed, of 10, as `systemd-analyze security` has it.
const EXPOSURE: f64 = 2.0;

/// The program that the units start, wherever a package puts it.
const PROGRAM: &str = "imds-analyzer";

/// Verifies every unit in `systemd/`, with `analyzer` in the place of the installed program.
pub(super) fn verify(analyzer: &Path) -> Result<()> {
    let dir = workspace::root().join("systemd");
    let mut units: Vec<PathBuf> = dir
        .read_dir()
        .with_context(|| format!("cannot read {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "service")
        })
        .collect();
    units.sort();
    if units.is_empty() {
        bail!("no unit in {}", dir.display());
    }
    let scratch = tempfile::tempdir()?;
    for unit in units {
        let text =
            fs::read_to_string(&unit).with_context(|| format!("cannot read {}", unit.display()))?;
        let name = unit.file_name().context("a unit has a name")?;
        let copy = scratch.path().join(name);
        fs::write(&copy, with_program(&text, analyzer))?;
        let mut command = Command::new("systemd-analyze");
        command.args(["--man=no", "verify"]).arg(&copy);
        let output = command
            .output()
            .with_context(|| format!("cannot start `{}`", line(&command)))?;
        let said = String::from_utf8_lossy(&output.stderr);
        // It exits with 0 for a misspelt key, and names units of this machine's that aren't ours.
        let ours: Vec<_> = said
            .lines()
            .filter(|line| line.contains(&*name.to_string_lossy()))
            .collect();
        if !output.status.success() || !ours.is_empty() {
            bail!("{} is not right: {}", unit.display(), said.trim());
        }
        let name = name.to_string_lossy();
        note(format_args!(
            "systemd-analyze verify   {name}: nothing to complain about"
        ));
        let exposure = exposure(&copy)?;
        note(format_args!(
            "systemd-analyze security {name}: {exposure:.1} (at most {EXPOSURE:.1})"
        ));
        if exposure > EXPOSURE {
            bail!("{} is exposed more than it may be", unit.display());
        }
    }
    Ok(())
}

/// How much a unit is exposed, from 0 to 10.
fn exposure(unit: &Path) -> Result<f64> {
    let mut command = Command::new("systemd-analyze");
    command
        .args(["--no-pager", "security", "--offline=true"])
        .arg(unit)
        .env("LC_ALL", "C");
    let output = command
        .output()
        .with_context(|| format!("cannot start `{}`", line(&command)))?;
    let said = String::from_utf8_lossy(&output.stdout);
    overall(&said).with_context(|| {
        let why = String::from_utf8_lossy(&output.stderr);
        format!("`{}` gives no figure: {}", line(&command), why.trim())
    })
}

/// Reads `→ Overall exposure level for NAME: 2.0 OK`.
fn overall(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Overall exposure level for ")?;
    let (_, rest) = rest.split_once(": ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The unit with `analyzer` wherever an `Exec…=` starts the installed program.
///
/// Verify complains about a program that isn't there, and in a build tree it isn't.
fn with_program(unit: &str, analyzer: &Path) -> String {
    unit.lines()
        .map(|line| exec_of(line, analyzer) + "\n")
        .collect()
}

fn exec_of(line: &str, analyzer: &Path) -> String {
    let replaced = || {
        let (key, value) = line
            .split_once('=')
            .filter(|(key, _)| key.starts_with("Exec"))?;
        let (program, arguments) = value.split_once(' ').unwrap_or((value, ""));
        let path = program.trim_start_matches(['@', '-', ':', '+', '!']);
        let is_ours = Path::new(path)
            .file_name()
            .is_some_and(|name| name == PROGRAM);
        is_ours.then(|| format!("{key}={} {arguments}", analyzer.display()))
    };
    replaced().unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_is_read_from_the_last_line() {
        let said = "✓ UMask=  fine\n\n→ Overall exposure level for a.service: 2.2 OK 🙂\n";
        assert_eq!(overall(said), Some(2.2));
        assert_eq!(overall("Failed to load a.service\n"), None);
    }

    #[test]
    fn shipped_unit_is_exposed_less_than_one_without_hardening() {
        let shipped = workspace::root().join("systemd/imds-analyzer.service");
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("bare.service");
        fs::write(&bare, "[Service]\nExecStart=/usr/bin/true\n").unwrap();
        assert!(exposure(&shipped).unwrap() <= EXPOSURE);
        assert!(exposure(&bare).unwrap() > 9.0);
    }

    #[test]
    fn only_our_program_is_replaced() {
        let unit = "[Service]\n\
                    ExecStartPre=/bin/mkdir /var/lib/imds-analyzer\n\
                    ExecStart=-/usr/bin/imds-analyzer run --format json\n\
                    Documentation=file:/usr/bin/imds-analyzer\n";
        assert_eq!(
            with_program(unit, Path::new("/built/here")),
            "[Service]\n\
             ExecStartPre=/bin/mkdir /var/lib/imds-analyzer\n\
             ExecStart=/built/here run --format json\n\
             Documentation=file:/usr/bin/imds-analyzer\n"
        );
    }
}
