//! Downloads a package so that an interrupted download is gone on with.
//!
//! `apt-get download` always begins again. So apt only says where the file is and
//! what its digest has to be, and curl fetches it. Where curl can't (a proxy or a kind
//! of mirror that only apt is configured for), apt does it after all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::command::CommandExt as _;

/// curl's exit code for an answer like 404.
const REFUSED: i32 = 22;

/// A file as the index describes it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    uri: String,
    name: String,
    /// Bytes.
    size: u64,
    /// In hexadecimal digits; absent if the index has only another kind.
    sha256: Option<String>,
}

/// Fetches `package` into `dir` and returns the file.
///
/// `apt` makes an `apt-get` that uses the right index.
pub(super) fn fetch(apt: impl Fn() -> Command, package: &str, dir: &Path) -> Result<PathBuf> {
    let uris = apt()
        // Where the file lies already, apt prints nothing.
        .current_dir("/")
        .args(["download", "-q", "--print-uris", package])
        .read()
        .map_err(said_by_apt)?;
    let listed = parse(&uris).with_context(|| format!("apt does not say where {package} is"))?;
    let file = dir.join(&listed.name);
    if continued(&listed, &file)? && verified(&listed, &file)? {
        return Ok(file);
    }
    // What is there is wrong or can't be gone on with.
    if file.exists() {
        fs::remove_file(&file)?;
    }
    apt()
        .current_dir(dir)
        .args(["download", "-q", package])
        .read()
        .map_err(said_by_apt)?;
    ensure!(file.is_file(), "apt-get download left no {}", listed.name);
    Ok(file)
}

/// Whether curl has the rest; an error if the server has no such file.
fn continued(listed: &Listed, file: &Path) -> Result<bool> {
    if file.metadata().is_ok_and(|meta| meta.len() == listed.size) {
        return Ok(true);
    }
    if !listed.uri.starts_with("http://") && !listed.uri.starts_with("https://") {
        return Ok(false);
    }
    let output = Command::new("curl")
        .args(["--fail", "--silent", "--show-error", "--location"])
        .args(["--continue-at", "-", "--output"])
        .arg(file)
        .arg(&listed.uri)
        .output()
        .context("cannot start `curl`: run `cargo xtask setup`")?;
    ensure!(
        output.status.code() != Some(REFUSED),
        "{}: {}",
        listed.uri,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.status.success())
}

fn verified(listed: &Listed, file: &Path) -> Result<bool> {
    let Some(wanted) = &listed.sha256 else {
        return Ok(false);
    };
    let sum = Command::new("sha256sum").arg(file).read()?;
    Ok(sum.split(' ').next() == Some(wanted))
}

/// Reads `'URI' NAME SIZE SHA256:DIGEST`.
fn parse(line: &str) -> Option<Listed> {
    let (uri, rest) = line.trim().strip_prefix('\'')?.split_once("' ")?;
    let mut words = rest.split(' ');
    let name = words.next()?;
    Some(Listed {
        uri: uri.to_owned(),
        // It becomes a path.
        name: (!name.contains('/')).then(|| name.to_owned())?,
        size: words.next()?.parse().ok()?,
        sha256: words
            .next()
            .and_then(|hash| hash.strip_prefix("SHA256:"))
            .map(str::to_owned),
    })
}

/// The line of apt's that says what went wrong, without the long command before it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said_by_apt(error: anyhow::Error) -> anyhow::Error {
    let error = error.to_string();
    let said = error
        .lines()
        .find_map(|line| line.find("E: ").map(|start| &line[start..]));
    anyhow!(said.unwrap_or(&error).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_the_index_is_read() {
        let line =
            "'http://m.example/pool/a_1%2b2_arm64.deb' a_1+2_arm64.deb 21347940 SHA256:0a1b\n";
        assert_eq!(
            parse(line),
            Some(Listed {
                uri: "http://m.example/pool/a_1%2b2_arm64.deb".into(),
                name: "a_1+2_arm64.deb".into(),
                size: 21_347_940,
                sha256: Some("0a1b".into()),
            })
        );
        assert_eq!(parse("'http://m.example/a' ../a 1 SHA256:0a"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn file_counts_only_with_the_digest_that_the_index_has() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.deb");
        fs::write(&file, "hello\n").unwrap();
        let mut listed = Listed {
            uri: "http://m.example/a.deb".into(),
            name: "a.deb".into(),
            size: 6,
            sha256: Some("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".into()),
        };
        // It is there whole, so nobody is asked for more.
        assert!(continued(&listed, &file).unwrap());
        assert!(verified(&listed, &file).unwrap());
        fs::write(&file, "hellO\n").unwrap();
        assert!(!verified(&listed, &file).unwrap());
        listed.sha256 = None;
        assert!(!verified(&listed, &file).unwrap());
    }

    #[test]
    fn error_is_apts_own_line() {
        let error = "`apt-get -o X=Y` failed (exit status: 100): W: old\nE: Failed to fetch F  404";
        assert_eq!(
            said_by_apt(anyhow!(error)).to_string(),
            "E: Failed to fetch F  404"
        );
        assert_eq!(
            said_by_apt(anyhow!("cannot start")).to_string(),
            "cannot start"
        );
    }
}
