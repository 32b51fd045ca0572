//! Secrets that can be told by what they look like.

use super::Spans;

/// Prefixes of tokens, and how many bytes of a token follow at least.
const PREFIXES: [(&str, usize); 26] = [
    ("AQA", 40), // IMDS session tokens
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("sk-ant-", 16),
    ("sk-proj-", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("pypi-", 30),
    ("hvs.", 16),
    ("dop_v1_", 16),
    ("SG.", 16),
    ("eyJ", 30), // JSON Web Tokens, and JSON in base64
];

/// The shortest string that is taken for a secret because it looks random: the
/// length of an AWS secret access key.
const RANDOM_LENGTH: usize = 40;

/// The shortest piece of it, between hyphens and the like, that shows upper-case
/// and lower-case letters and digits together.
const RANDOM_PIECE: usize = 12;

/// Finds PEM blocks, tokens with known prefixes, access key ids and long
/// random-looking strings.
pub(super) fn find(text: &[u8], spans: &mut Spans) {
    pem_blocks(text, spans);
    let mut at = 0;
    while at < text.len() {
        let length = text[at..]
            .iter()
            .take_while(|&&byte| is_run_byte(byte))
            .count();
        if length >= 14 {
            prefixed(text, at, at + length, spans);
        }
        if length >= RANDOM_LENGTH {
            for part in split_ranges(at, &text[at..at + length], b".=") {
                random(text, part.0, part.1, spans);
            }
        }
        at += length + 1;
    }
}

fn pem_blocks(text: &[u8], spans: &mut Spans) {
    let mut at = 0;
    while let Some(begin) = memchr::memmem::find(&text[at..], b"-----BEGIN ") {
        let begin = at + begin;
        let end = memchr::memmem::find(&text[begin..], b"-----END ").map(|end| {
            let label = begin + end + b"-----END ".len();
            memchr::memmem::find(&text[label..], b"-----").map_or(text.len(), |end| label + end + 5)
        });
        at = end.unwrap_or(text.len());
        spans.push(begin..at);
    }
}

/// Tokens with a known prefix in a run of token bytes.
fn prefixed(text: &[u8], start: usize, end: usize, spans: &mut Spans) {
    let mut at = start;
    while at < end {
        let begins = at == start || !text[at - 1].is_ascii_alphanumeric();
        if !begins {
            at += 1;
            continue;
        }
        let rest = &text[at..end];
        let prefix = PREFIXES
            .iter()
            .find(|(prefix, _)| rest.starts_with(prefix.as_bytes()));
        let token = prefix.map_or(0, |(prefix, follow)| {
            let is_token = |byte: &&u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=' | b'.' | b'+')
            };
            let length = rest.iter().take_while(is_token).count();
            if length >= prefix.len() + follow {
                length
            } else {
                0
            }
        });
        let length = token.max(access_key_id(rest));
        if length > 0 {
            spans.push(at..at + length);
        }
        at += length.max(1);
    }
}

/// Length of the access key id that `text` begins with, or 0. `AKIA` is a
/// user's, `ASIA` a temporary one (IAM User Guide, "Unique identifiers").
fn access_key_id(text: &[u8]) -> usize {
    let id = text
        .iter()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        .count();
    let known = text.starts_with(b"AKIA") || text.starts_with(b"ASIA");
    let ends = !text.get(id).is_some_and(u8::is_ascii_alphanumeric);
    if known && id >= 16 && ends { id } else { 0 }
}

/// Random-looking strings in a run without dots and equals signs. A run with slashes can be a
/// path, or base64: segments are judged one by one first.
fn random(text: &[u8], start: usize, end: usize, spans: &mut Spans) {
    let run = &text[start..end];
    if run.len() < RANDOM_LENGTH {
        return;
    }
    let segments: Vec<(usize, usize)> = split_ranges(start, run, b"/").collect();
    let mut last_random: Option<usize> = None;
    for (at, &(from, to)) in segments.iter().enumerate() {
        let long = to - from >= RANDOM_LENGTH && looks_random(&text[from..to], 35);
        if !long {
            // The shorter pieces of base64 behind a long one.
            if last_random.is_some()
                && last_random == at.checked_sub(1)
                && looks_mixed(&text[from..to], at + 1 < segments.len())
            {
                spans.push(from..to);
                last_random = Some(at);
            }
            continue;
        }
        let mut first = at;
        while first > 0 && last_random.is_none_or(|last| last < first - 1) {
            let (from, to) = segments[first - 1];
            if !looks_mixed(&text[from..to], first > 1) {
                break;
            }
            first -= 1;
        }
        spans.push(segments[first].0..to);
        last_random = Some(at);
    }
    if last_random.is_some() {
        return;
    }
    if !run.starts_with(b"/") && looks_random(run, 35) {
        spans.push(start..end);
        return;
    }
    // A secret access key may hold slashes and still be a part of a path.
    let mut first = 0;
    for (at, &(_, to)) in segments.iter().enumerate() {
        while first < at && to - segments[first].0 > RANDOM_LENGTH {
            first += 1;
        }
        let from = segments[first].0;
        let key = &text[from..to];
        let separator = |byte: &u8| matches!(byte, b'-' | b'_');
        if key.len() == RANDOM_LENGTH && !key.iter().any(separator) && looks_random(key, 25) {
            spans.push(from..to);
        }
    }
}

/// Whether letters of both cases and digits alternate as they do in random
/// bytes written in base64, where 64 of 100 neighbours are of different kinds;
/// in words, file names and CamelCase it is 10 to 30.
fn looks_random(text: &[u8], percent: usize) -> bool {
    let kinds = |piece: &[u8]| {
        piece.iter().any(u8::is_ascii_uppercase)
            && piece.iter().any(u8::is_ascii_lowercase)
            && piece.iter().any(u8::is_ascii_digit)
    };
    let separator = |byte: &u8| matches!(byte, b'-' | b'_');
    let piece = text
        .split(separator)
        .any(|piece| piece.len() >= RANDOM_PIECE && kinds(piece));
    let (pairs, changes) = changes(text);
    piece && changes * 100 >= pairs * percent
}

/// Whether a short piece could be part of a random-looking string; what is too
/// short to tell counts only within one.
fn looks_mixed(text: &[u8], within: bool) -> bool {
    if text.len() <= 3 {
        return within;
    }
    let (pairs, changes) = changes(text);
    text.iter().any(u8::is_ascii_uppercase) && changes * 100 >= pairs * 35
}

/// Neighbouring letters and digits, and how many of these pairs are of
/// different kinds.
fn changes(text: &[u8]) -> (usize, usize) {
    let kind = |byte: u8| match byte {
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let pairs = text.windows(2).map(|pair| (kind(pair[0]), kind(pair[1])));
    let pairs = pairs.filter(|&(left, right)| left != 0 && right != 0);
    pairs.fold((0, 0), |(count, changes), (left, right)| {
        (count + 1, changes + usize::from(left != right))
    })
}

/// The parts of `text`, which begins at `start`, between bytes of `by`.
fn split_ranges(start: usize, text: &[u8], by: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    text.split(move |byte| by.contains(byte))
        .scan(start, |at, part| {
            let from = *at;
            *at += part.len() + 1;
            Some((from, from + part.len()))
        })
}

fn is_run_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.')
}
