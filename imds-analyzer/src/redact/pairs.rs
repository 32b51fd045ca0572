//! Names with values, wherever they are in a text: `name=value` in queries, forms
//! and assignments (`name%3Dvalue` in a URL within a URL), `name: value` in headers, JSON and YAML; and the passwords of
//! URLs.

use std::ops::Range;

use super::{Spans, names};

/// How far behind a URL's authority its `@` is looked for, when the password
/// holds bytes that end an authority.
const MAX_PASSWORD: usize = 1024;

/// Finds the values of secrets.
pub(super) fn find(text: &[u8], spans: &mut Spans) {
    // In a text of several words, `$NAME` is a variable.
    let script = text.iter().any(u8::is_ascii_whitespace);
    let mut found_to = 0;
    for (at, byte) in text.iter().enumerate() {
        if at < found_to || !b"=:%,>".contains(byte) {
            continue;
        }
        let value = if text[at..].starts_with(b"://") {
            url_password(text, at + 3)
        } else {
            value_of_secret(text, at, script)
        };
        if let Some(value) = value {
            found_to = value.end;
            spans.push(value);
        }
    }
}

/// The value behind the separator at `at`, if the name before it is a secret's.
fn value_of_secret(text: &[u8], at: usize, script: bool) -> Option<Range<usize>> {
    let (separator, after) = match &text[at..] {
        [b'%', b'3', b'D' | b'd', ..] => (b'=', at + 3),
        [b'%', b'3', b'A' | b'a', ..] => (b':', at + 3),
        [b'%', ..] | [] => return None,
        [separator, ..] => (*separator, at + 1),
    };
    let before = text[..at].trim_ascii_end();
    let spaced = before.len() < at;
    let before = before.strip_suffix(b"]").unwrap_or(before);
    let unquoted = before
        .strip_suffix(b"\"")
        .or_else(|| before.strip_suffix(b"'"));
    let name_is_quoted = unquoted.is_some();
    let before = unquoted.map_or(before, |name| name.strip_suffix(b"\\").unwrap_or(name));
    let before = before.strip_suffix(b"]").unwrap_or(before);
    let length = before
        .iter()
        .rev()
        .take(names::MAX_NAME + 1)
        .take_while(|&&byte| names::is_name_byte(byte))
        .count();
    let (before, name) = before.split_at(before.len() - length);
    if !names::is_secret(name) || (separator == b':' && is_in_arn(before)) {
        return None;
    }

    match separator {
        // `add_header("name", "value")`
        b',' => {
            let value = text[after..].trim_ascii_start();
            let quoted = matches!(value.first(), Some(b'"' | b'\'' | b'\\' | b'`'));
            if !name_is_quoted || !quoted || !name.iter().any(|byte| b"-_".contains(byte)) {
                return None;
            }
        }
        // `<name>value</name>`
        b'>' if before.ends_with(b"<") => {
            let end = memchr::memchr(b'<', &text[after..]);
            return Some(after..end.map_or(text.len(), |end| after + end));
        }
        b'>' => return None,
        _ => {}
    }

    // `==`, `=>`, `:=`.
    let mut start = after;
    while matches!(text.get(start), Some(b'=' | b'>')) {
        start += 1;
    }
    if separator != b'=' || spaced || name_is_quoted {
        start += text[start..].len() - text[start..].trim_ascii_start().len();
    }
    let template = name_is_quoted && text[start..].starts_with(b"`");
    if script && !template && is_reference_at(text, start) {
        return None;
    }
    // A quoted `name: value`: the quote ends the value.
    if separator == b':' && !name_is_quoted {
        let quote = before
            .last()
            .copied()
            .filter(|byte| matches!(byte, b'"' | b'\''));
        if let Some(quote) = quote {
            let escaped = before.ends_with(&[b'\\', quote]);
            return Some(start..closing_quote(text, start, quote, escaped));
        }
    }
    let (start, end) = value(text, start);
    Some(start..with_scheme(text, start, end))
}

/// Whether `before` ends within an ARN (`arn:aws:secretsmanager:…:secret:name`),
/// whose parts are no names with values.
fn is_in_arn(before: &[u8]) -> bool {
    let nearby = &before[before.len().saturating_sub(names::MAX_NAME)..];
    let part = |byte: &u8| names::is_name_byte(*byte) || matches!(byte, b':' | b'/' | b'*');
    let start = nearby
        .iter()
        .rposition(|byte| !part(byte))
        .map_or(0, |last| last + 1);
    before.ends_with(b":") && nearby[start..].starts_with(b"arn:")
}

/// The value that begins at `start`, without its quotes.
fn value(text: &[u8], start: usize) -> (usize, usize) {
    let escaped = text.get(start) == Some(&b'\\');
    let mark = start + usize::from(escaped);
    match text.get(mark) {
        Some(&quote @ (b'"' | b'\'' | b'`')) => {
            (mark + 1, closing_quote(text, mark + 1, quote, escaped))
        }
        _ => (start, bare_value_end(text, start)),
    }
}

/// End of the value without quotes that begins at `start`.
fn bare_value_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        let ends = match byte {
            b'\\' => {
                at += 2;
                continue;
            }
            b'%' if text[at..].starts_with(b"%26") => true,
            b'&' | b';' | b',' => another_pair_follows(&text[at + 1..]),
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' => {
                !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
            }
            _ => byte.is_ascii_whitespace(),
        };
        if ends {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// The offset of the quote that closes what begins at `start`, or the end.
fn closing_quote(text: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if escaped && text.get(at + 1) == Some(&quote) => return at,
            b'\\' if quote == b'"' => at += 2,
            _ if byte == quote && !escaped => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// Whether `name=` or the like follows, or a blank, so that a separator before it
/// is one and not part of a value.
fn another_pair_follows(text: &[u8]) -> bool {
    if text.first().is_none_or(u8::is_ascii_whitespace) {
        return true;
    }
    let rest = &text[..text.len().min(names::MAX_NAME)];
    let quoted = matches!(rest.first(), Some(b'"' | b'\'' | b'\\'));
    let length = rest
        .iter()
        .take_while(|&&byte| names::is_name_byte(byte) || matches!(byte, b'[' | b']' | b'%'))
        .count();
    quoted || matches!(rest.get(length), Some(b'=' | b':'))
}

/// Extends a value that is an authentication scheme over what follows it.
fn with_scheme(text: &[u8], start: usize, end: usize) -> usize {
    if !names::is_scheme(&text[start..end]) {
        return end;
    }
    let rest = &text[end..];
    let gap = rest.len() - rest.trim_ascii_start().len();
    if gap == 0 {
        return end;
    }
    // These have many parameters.
    if text[start..end].eq_ignore_ascii_case(b"digest") || text[start..end].contains(&b'-') {
        return rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |line| end + line);
    }
    bare_value_end(text, end + gap)
}

/// Whether a shell variable or substitution stands at `start`, and nothing else:
/// `$NAME`, `${NAME}`, `$(…)`, `` `…` ``, quoted or not.
fn is_reference_at(text: &[u8], start: usize) -> bool {
    let mut rest = &text[start..];
    while let [b'"' | b'\\', after @ ..] = rest {
        rest = after;
    }
    let (reference, length) = reference(rest);
    reference
        && match rest.get(length) {
            None | Some(b'"' | b'\'' | b'\\' | b'&' | b';' | b',' | b')' | b'}' | b'|') => true,
            Some(byte) => byte.is_ascii_whitespace(),
        }
        || rest.starts_with(b"$(")
        || rest.starts_with(b"`")
}

/// Whether all of `value`, the value in a word of a script, is such a reference.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let mut value = value.trim_ascii();
    while let [b'"' | b'\\', after @ ..] = value {
        value = after;
    }
    while let [before @ .., b'"' | b'\\'] = value {
        value = before;
    }
    let (reference, length) = reference(value);
    let whole = reference && length == value.len();
    // A word of a script ends at the parenthesis of `$(`.
    whole || value == b"$" || value.starts_with(b"$(") || value.starts_with(b"`")
}

/// Whether `text` begins with `$NAME` or `${NAME}`, and its length.
fn reference(text: &[u8]) -> (bool, usize) {
    let Some(rest) = text.strip_prefix(b"$") else {
        return (false, 0);
    };
    let (open, rest) = rest
        .strip_prefix(b"{")
        .map_or((0, rest), |inner| (1, inner));
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let name = rest.iter().take_while(is_name).count();
    let begins = rest
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let closed = open == 0 || rest.get(name) == Some(&b'}');
    (begins && closed, 1 + name + 2 * open)
}

/// The password in a URL's authority, which begins at `start`.
fn url_password(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>".contains(byte);
    let mut authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    if !authority.contains(&b'@') {
        // A password may hold what should be encoded; a port is a number.
        let (_, port) = split_at_byte(authority, b':')?;
        if authority.starts_with(b"[") || port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let rest = &rest[..rest.len().min(MAX_PASSWORD)];
        let word = rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(rest.len());
        authority = &rest[..word];
    }
    let at = memchr::memrchr(b'@', authority)?;
    let userinfo = &authority[..at];
    match split_at_byte(userinfo, b':') {
        Some((user, _)) => Some(start + user.len() + 1..start + at),
        // A name, or a token in the place of one.
        None => (userinfo.len() >= 20).then_some(start..start + at),
    }
}

/// What is before and behind the first `byte`.
pub(super) fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}
