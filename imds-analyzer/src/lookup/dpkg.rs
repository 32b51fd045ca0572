//! Which package owns a file, by dpkg's own files: the host's or a container's.
//!
//! They are text (deb(5), dpkg-query(1)): `info/NAME.list` has the paths of a package,
//! one a line; `status` its version; `diversions` the paths that one package moved out
//! of another's way. They are searched, not loaded: an index would be larger than the
//! daemon, and few executables call IMDS.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    time::Instant,
};

use memchr::memmem;

use super::root::Root;
use crate::{record::Package, redact};

const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";

/// Most files of `info` that are looked at. Debian has some 60,000 packages, hosts a
/// few thousand, with some five files each.
const MAX_FILES: usize = 100_000;

/// Most bytes of one list: the longest in Debian have some 10 MB.
const MAX_LIST: u64 = 16 << 20;

/// Most bytes of `status`: some KB for each package.
const MAX_STATUS: u64 = 64 << 20;

/// Most bytes of `diversions`.
const MAX_DIVERSIONS: u64 = 1 << 20;

/// Longest name or version, bytes.
const MAX_WORD: usize = 128;

/// Directories that are links into `/usr` on a system with merged `/usr`, whose
/// packages may still list the old path.
const MERGED: [&str; 7] = [
    "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libo32/", "/libx32/",
];

/// Whether there is a database below `root`.
pub(super) fn is_there(root: &Root) -> bool {
    root.file_id(STATUS).is_some()
}

/// The package that owns the file at `path`, an absolute path without links. `None` if
/// there is none, or it was not found before `deadline`.
pub(super) fn owner(root: &Root, path: &str, deadline: Instant) -> Option<Package> {
    let mut paths = aliases(root, path);
    let diversion = diversion(root, &paths);
    // A local diversion: what stands there now is of no package.
    if let Some(Diversion::Taken { by: None }) = diversion {
        return None;
    }
    if let Some(Diversion::Moved { from, .. }) = &diversion {
        paths = aliases(root, from);
    }
    let (name, architecture) = listed(root, &paths, diversion.as_ref(), deadline)?;
    Some(Package {
        version: version(root, &name, architecture.as_deref(), deadline),
        name: redact::text(name.as_bytes()),
        manager: "dpkg".to_owned(),
    })
}

/// The path, and the one that it has where `/usr` is merged and that leads to the same
/// file.
fn aliases(root: &Root, path: &str) -> Vec<String> {
    let other = match path.strip_prefix("/usr") {
        Some(short) if is_merged(short) => Some(short.to_owned()),
        None if is_merged(path) => Some(format!("/usr{path}")),
        _ => None,
    };
    let id = root.file_id(path);
    let is_same = |other: &String| id.is_none() || root.file_id(other) == id;
    let mut paths = vec![path.to_owned()];
    paths.extend(other.filter(is_same));
    paths
}

fn is_merged(path: &str) -> bool {
    MERGED.iter().any(|directory| path.starts_with(directory))
}

/// What a package did to the path of another's file (dpkg-divert(1)).
#[derive(Debug, PartialEq, Eq)]
enum Diversion {
    /// The file that stands there was at `from`, before `by` moved it out of its way.
    Moved { from: String, by: Option<String> },
    /// What stands there is of `by`, whoever else lists it; of no package if an
    /// administrator did it.
    Taken { by: Option<String> },
}

fn diversion(root: &Root, paths: &[String]) -> Option<Diversion> {
    let text = root.read(DIVERSIONS, MAX_DIVERSIONS)?;
    let lines: Vec<&str> = text
        .split(|&byte| byte == b'\n')
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    lines.chunks_exact(3).find_map(|triple| {
        let [from, to, by] = triple else { return None };
        // `:` stands for the administrator.
        let by = (*by != ":").then(|| (*by).to_owned());
        let is = |one: &str| paths.iter().any(|path| path == one);
        if is(to) {
            Some(Diversion::Moved {
                from: (*from).to_owned(),
                by,
            })
        } else if is(from) {
            Some(Diversion::Taken { by })
        } else {
            None
        }
    })
}

/// The package whose list has one of the paths, and its architecture where the list's
/// name says it.
fn listed(
    root: &Root,
    paths: &[String],
    diversion: Option<&Diversion>,
    deadline: Instant,
) -> Option<(String, Option<String>)> {
    let finders: Vec<_> = paths.iter().map(memmem::Finder::new).collect();
    let mut text = Vec::new();
    for file in root.names(INFO, MAX_FILES) {
        if Instant::now() > deadline {
            return None;
        }
        let Some(stem) = file.to_str().and_then(|it| it.strip_suffix(".list")) else {
            continue;
        };
        let (name, architecture) = match stem.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (stem, None),
        };
        let may_own = match diversion {
            None => true,
            Some(Diversion::Moved { by, .. }) => by.as_deref() != Some(name),
            Some(Diversion::Taken { by }) => by.as_deref() == Some(name),
        };
        if !may_own || !is_word(name) {
            continue;
        }
        text.clear();
        let list = root.open_file(&format!("{INFO}/{stem}.list"));
        let read = list.map(|list| list.take(MAX_LIST).read_to_end(&mut text));
        if matches!(read, Some(Ok(_))) && finders.iter().any(|it| has_line(&text, it)) {
            return Some((name.to_owned(), architecture.map(str::to_owned)));
        }
    }
    None
}

fn has_line(text: &[u8], line: &memmem::Finder<'_>) -> bool {
    let length = line.needle().len();
    line.find_iter(text).any(|at| {
        let begins = at == 0 || text[at - 1] == b'\n';
        let ends = matches!(text.get(at + length), None | Some(b'\n'));
        begins && ends
    })
}

/// Version of a package that is installed. `status` has a stanza for each package, of
/// fields `Name: value`, with an empty line between.
fn version(
    root: &Root,
    package: &str,
    architecture: Option<&str>,
    deadline: Instant,
) -> Option<String> {
    let status = root.open_file(STATUS)?.take(MAX_STATUS);
    let mut status = BufReader::with_capacity(64 << 10, status);
    let (mut is_name, mut is_architecture, mut version) = (false, architecture.is_none(), None);
    let mut line = Vec::new();
    for lines in 0_u32.. {
        // No line is longer than what is left of the file.
        line.clear();
        let read = status.read_until(b'\n', &mut line).ok()?;
        if lines % 4096 == 0 && Instant::now() > deadline {
            return None;
        }
        let text = line.trim_ascii_end();
        if text.is_empty() {
            if is_name && is_architecture && version.is_some() {
                return version;
            }
            if read == 0 {
                return None;
            }
            (is_name, is_architecture, version) = (false, architecture.is_none(), None);
        } else if let Some(name) = text.strip_prefix(b"Package: ") {
            is_name = name == package.as_bytes();
        } else if let Some(value) = text.strip_prefix(b"Architecture: ") {
            is_architecture |= architecture.is_some_and(|it| it.as_bytes() == value);
        } else if let Some(value) = text.strip_prefix(b"Version: ") {
            let value = std::str::from_utf8(value).ok().filter(|it| is_word(it));
            version = value.map(|value| redact::text(value.as_bytes()));
        }
    }
    None
}

/// Letters of names and versions (Debian Policy 5.6.1, 5.6.12).
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_WORD
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.:~_".contains(&byte))
}

#[cfg(test)]
mod tests;
