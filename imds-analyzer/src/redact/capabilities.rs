//! URLs that whoever knows them may use: the id in a path of the ECS agent is all it
//! asks for before it hands out a task's credentials
//! (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, "Task IAM role", Amazon ECS Developer
//! Guide).

use std::ops::Range;

use super::Spans;

/// The segment before the id.
const CREDENTIALS: &[u8] = b"credentials";

/// Finds the ids behind `/vN/credentials/`, in a path or in one that is part of a query
/// (`%2FvN%2Fcredentials%2F`).
pub(super) fn find(text: &[u8], spans: &mut Spans) {
    for at in memchr::memmem::find_iter(text, CREDENTIALS) {
        let is_versioned = version_before(&text[..at]);
        if let Some(id) = id_after(text, at + CREDENTIALS.len())
            && is_versioned
        {
            spans.push(id);
        }
    }
}

/// Whether `before` ends with a slash, a version such as `v2`, and a slash.
fn version_before(before: &[u8]) -> bool {
    let Some(before) = without_slash_behind(before) else {
        return false;
    };
    let digits = before.iter().rev();
    let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
    let before = &before[..before.len() - digits];
    digits > 0 && before.strip_suffix(b"v").is_some_and(ends_with_slash)
}

/// The id that follows a slash at `at`.
fn id_after(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let slash = slash_len(rest)?;
    let is_id = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.~%".contains(byte);
    let id = rest[slash..].iter().take_while(is_id).count();
    (id > 0).then_some(at + slash..at + slash + id)
}

fn ends_with_slash(text: &[u8]) -> bool {
    without_slash_behind(text).is_some()
}

fn without_slash_behind(text: &[u8]) -> Option<&[u8]> {
    let encoded = [b"/".as_slice(), b"%2F", b"%2f"];
    encoded.iter().find_map(|slash| text.strip_suffix(*slash))
}

/// Length of the slash that `text` begins with, plain or encoded.
fn slash_len(text: &[u8]) -> Option<usize> {
    match text {
        [b'/', ..] => Some(1),
        [b'%', b'2', b'F' | b'f', ..] => Some(3),
        _ => None,
    }
}
