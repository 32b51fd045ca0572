//! Errors that say where in the file, which key, and what was meant instead.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Config, destinations};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file says something that is not understood.
    #[error("{}:{line}:{column}: {}{message}", path.display(), Prefix(key))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// Dotted key, if the place belongs to one.
        key: Option<String>,
        /// What is wrong, on one line.
        message: String,
    },
}

struct Prefix<'a>(&'a Option<String>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "{key}: "),
            None => Ok(()),
        }
    }
}

impl ConfigError {
    /// From what the TOML reader says.
    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let (readable, _) = DeTable::parse_recoverable(text);
        let key = key_at(readable.get_ref(), start).or_else(|| key_on_line(text, start));
        Self::at(
            path,
            text,
            start,
            key,
            error.message().trim().replace('\n', ", "),
        )
    }

    fn at(path: &Path, text: &str, offset: usize, key: Option<String>, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Invalid {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key,
            message,
        }
    }
}

/// Finds the first key that [`Config`] does not have.
pub(super) fn refuse_unknown_keys(path: &Path, text: &str) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::from_toml(path, text, &error))?;
    let known = known_keys();
    let mut unknown = Vec::new();
    collect_unknown(table.get_ref(), "", &known, &mut unknown);
    let Some((span, key)) = unknown.into_iter().min_by_key(|(span, _)| span.start) else {
        return Ok(());
    };
    let message = match nearest(&key, &known) {
        Some(meant) => format!("unknown key; did you mean `{meant}`?"),
        None => format!("unknown key; known are {}", leaves(&known).join(", ")),
    };
    Err(ConfigError::at(path, text, span.start, Some(key), message))
}

/// Dotted keys of everything that can be set, tables with a dot at the end.
fn known_keys() -> Vec<String> {
    fn walk(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            if let toml::Value::Table(inner) = value {
                let prefix = format!("{key}.");
                keys.push(prefix.clone());
                walk(inner, &prefix, keys);
            } else {
                keys.push(key);
            }
        }
    }
    let mut keys = Vec::new();
    if let Ok(table) = toml::Table::try_from(Config::default()) {
        walk(&table, "", &mut keys);
    }
    // A list's default has no entry whose keys could be seen.
    keys.push("destinations.".to_owned());
    keys.extend(destinations::KEYS.map(|key| format!("destinations.{key}")));
    keys
}

fn leaves(known: &[String]) -> Vec<&str> {
    known
        .iter()
        .map(String::as_str)
        .filter(|key| !key.ends_with('.'))
        .collect()
}

fn collect_unknown(
    table: &DeTable<'_>,
    prefix: &str,
    known: &[String],
    unknown: &mut Vec<(Range<usize>, String)>,
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let as_table = format!("{key}.");
        match value.get_ref() {
            DeValue::Table(inner) if known.contains(&as_table) => {
                collect_unknown(inner, &as_table, known, unknown);
            }
            DeValue::Array(items) if known.contains(&as_table) => {
                for item in items {
                    if let DeValue::Table(inner) = item.get_ref() {
                        collect_unknown(inner, &as_table, known, unknown);
                    }
                }
            }
            // A table where a value belongs and the reverse are errors of
            // type, which the TOML reader tells better.
            _ if known.contains(&key) || known.contains(&as_table) => {}
            _ => unknown.push((name.span(), key)),
        }
    }
}

/// The key whose name or value stands at `offset`, with the entry of a list.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, offset).map(|key| format!(".{key}")),
            DeValue::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                let key = match item.get_ref() {
                    DeValue::Table(inner) => key_at(inner, offset).map(|key| format!(", {key}")),
                    _ => None,
                };
                let key = key.or_else(|| item.span().contains(&offset).then(String::new))?;
                Some(format!(" entry {}{key}", index + 1))
            }),
            _ => None,
        };
        if let Some(inner) = inner {
            return Some(format!("{}{inner}", name.get_ref()));
        }
        let here = name.span().contains(&offset) || value.span().contains(&offset);
        here.then(|| name.get_ref().to_string())
    })
}

/// What stands before the `=` on the line, for text that is not TOML.
fn key_on_line(text: &str, offset: usize) -> Option<String> {
    let line_start = text
        .get(..offset)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let (key, _) = text[line_start..].lines().next()?.split_once('=')?;
    let key = key.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!key.is_empty() && key.chars().all(bare)).then(|| key.to_owned())
}

/// The known key that looks most like an unknown one, if any does. A key in
/// the wrong table is found by its last part.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    let last = |key: &'a str| key.rsplit('.').next().unwrap_or(key);
    let wanted = key.rsplit('.').next().unwrap_or(key);
    known
        .iter()
        .map(|known| known.trim_end_matches('.'))
        .map(|known| (edits(wanted, last(known)).min(edits(key, known)), known))
        .filter(|(edits, _)| *edits <= 1 + wanted.len() / 4)
        .min_by_key(|(edits, known)| (*edits, edits_in_table(key, known)))
        .map(|(_, known)| known)
}

fn edits_in_table(key: &str, known: &str) -> bool {
    key.rsplit_once('.').map(|(table, _)| table) != known.rsplit_once('.').map(|(table, _)| table)
}

/// Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, c) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}
