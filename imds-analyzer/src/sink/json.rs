//! JSON Lines: `docs/record-schema.md`.

use std::fmt::Write as _;

use super::escape::is_hostile;
use crate::record::Record;

/// One object.
///
/// `serde_json` escapes C0 controls. The other hostile characters occur only
/// inside strings, where `\uXXXX` means the same character.
pub(super) fn line(record: &Record<'_>) -> String {
    // Every key is a string and no writer is involved, so nothing can fail.
    let json = serde_json::to_string(record).unwrap_or_default();
    if !json.chars().any(is_hostile) {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 64);
    let mut units = [0; 2];
    for c in json.chars() {
        if is_hostile(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line
}
