//! Characters that must not reach a terminal or a log reader as they are.

use std::fmt::Write as _;

/// Whether a character can end a line, move a cursor or turn text around:
/// C0, DEL and C1 controls, line and paragraph separators, the invisible and
/// the bidirectional formatting characters (Unicode TR 36, TR 9).
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Appends `text` with hostile characters as `\u{…}`. Backslashes stay single:
/// the record's strings were escaped once already.
pub(crate) fn push_plain(out: &mut String, text: &str) {
    for c in text.chars() {
        if is_hostile(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        push_plain(&mut out, text);
        out
    }

    #[test]
    fn nothing_that_moves_a_cursor_or_ends_a_line_stays() {
        let hostile = "a\nb\rc\x1b[31md\u{9b}e\u{85}f\u{2028}g\u{202e}h\x7fi\u{feff}\u{e0041}";
        let plain = plain(hostile);
        assert!(!plain.chars().any(is_hostile), "{plain:?}");
        assert!(
            plain.starts_with("a\\u{a}b\\u{d}c\\u{1b}[31md\\u{9b}e"),
            "{plain}"
        );
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "curl -s 'http://x/?a=b' \\x1b größe 日本 🦀";
        assert_eq!(plain(text), text);
    }
}
