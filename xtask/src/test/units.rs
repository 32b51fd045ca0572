//! `systemd-analyze verify` on the units that are shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::line;
use crate::workspace;

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
    }
    Ok(())
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
