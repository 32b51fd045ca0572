//! Names of systemd's units as directories of the cgroup tree.

use crate::redact;

/// Longest name of a unit, bytes (`UNIT_NAME_MAX`, systemd.unit(5)).
const MAX_NAME: usize = 255;

/// Kinds of units that have processes (systemd.unit(5)).
const WITH_PROCESSES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// The name of the slice that a directory is, if it is one.
pub(super) fn slice(directory: &str) -> Option<&str> {
    unescape(directory).filter(|name| name.ends_with(".slice"))
}

/// The name of the unit with processes that a directory is, if it is one.
pub(super) fn unit(directory: &str) -> Option<&str> {
    let has_processes = |name: &&str| WITH_PROCESSES.iter().any(|kind| name.ends_with(kind));
    unescape(directory).filter(has_processes)
}

/// A name as a record shows it: as `systemctl status NAME` takes it, so without the
/// doubled backslashes that escaped text has. A valid name has no other byte to escape.
pub(super) fn shown(name: &str) -> String {
    redact::text(name.as_bytes()).replace("\\\\", "\\")
}

/// The user whose systemd runs as this unit: `user@UID.service`.
pub(super) fn user_manager(unit: &str) -> Option<u32> {
    number(unit.strip_prefix("user@")?.strip_suffix(".service")?)
}

/// The user whose slice this is: `user-UID.slice`.
pub(super) fn user_slice(slice: &str) -> Option<u32> {
    number(slice.strip_prefix("user-")?.strip_suffix(".slice")?)
}

/// The id of the login session that this scope is: `session-ID.scope`, where ID is of
/// letters and digits (`session_id_valid`, src/basic/login-util.c).
pub(super) fn session_scope(unit: &str) -> Option<&str> {
    let id = unit.strip_prefix("session-")?.strip_suffix(".scope")?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then_some(id)
}

/// Text with `\xHH` turned into the bytes it stands for (systemd-escape(1)).
pub(super) fn plain(escaped: &str) -> Vec<u8> {
    let bytes = escaped.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes
            .get(at..at + 4)
            .filter(|code| code.starts_with(b"\\x"))
            .and_then(|code| std::str::from_utf8(&code[2..]).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(code.unwrap_or(byte));
        at += if code.is_some() { 4 } else { 1 };
    }
    plain
}

/// systemd puts `_` before a name that could be taken for one of the kernel's own
/// files (`cg_escape`, src/basic/cgroup-util.c). `None` if it is no name of a unit.
fn unescape(directory: &str) -> Option<&str> {
    let name = directory.strip_prefix('_').unwrap_or(directory);
    let (prefix, _) = name.rsplit_once('.')?;
    let is_valid = name.len() <= MAX_NAME
        && !prefix.is_empty()
        && !prefix.starts_with('@')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte));
    is_valid.then_some(name)
}

fn number(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}
