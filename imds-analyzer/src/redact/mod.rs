//! Secrets replaced, untrusted bytes escaped, lengths bounded.
//!
//! Everything that another process chose (arguments, targets, header values,
//! names) passes through [`args`] or [`text`] before it reaches a record, a
//! diagnostic or a metric. What replaces a secret is [`REDACTED`]; the rest stays
//! readable, because a command line without its words names nobody.
//!
//! A value is a secret because of
//! - the name it is given to (`names`): `name=value`, `name: value`,
//!   `"name": "value"`, `--name value`, over two arguments, in a shell script
//!   that is one argument, in scripts within scripts (`words`, `pairs`);
//! - its place: the password of a URL or of `user:password` options, the option
//!   of a program that takes a password (`words`);
//! - its shape: tokens with known prefixes, PEM blocks, long random-looking
//!   strings (`shapes`); ids in paths that whoever knows them may use
//!   (`capabilities`). Access key ids are no secrets by themselves and are
//!   replaced all the same: nobody needs them to find a caller.
//!
//! In a script, `$NAME` and `$(…)` are left, as they hold nothing yet. When in
//! doubt a value is replaced, but container ids, digests, UUIDs, resource ids
//! and paths stay.
//!
//! What this cannot know: a value that has neither a telling name, nor place, nor
//! shape (`echo hunter2`), also where a script only later gives it a name.
//!
//! All is found before anything is cut to length, so a cut shows no part of a
//! secret. Time is linear in what is looked at, and no more of an argument is
//! looked at than could be shown, with room for what replaced text hides.

mod capabilities;
mod escape;
mod names;
mod pairs;
mod shapes;
mod words;

use std::ops::Range;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Longest argument or text shown, in bytes as escaped, without the mark of a
/// cut.
pub const MAX_TEXT: usize = 4 * 1024;

/// Longest list of arguments shown, in bytes as escaped, without the mark of a
/// cut.
pub const MAX_ARGS: usize = 16 * 1024;

/// Most arguments shown.
pub const MAX_ARG_COUNT: usize = 1024;

/// How much of an argument or text is looked at, in bytes.
const WINDOW: usize = 4 * MAX_TEXT;

/// How much of all arguments is looked at, in bytes.
const ARGS_WINDOW: usize = 4 * MAX_ARGS;

/// Ranges of bytes to replace, in any order.
type Spans = Vec<Range<usize>>;

/// A process's arguments, fit for a record. Arguments beyond [`MAX_ARGS`] or
/// [`MAX_ARG_COUNT`] become one last element that says how many bytes were left
/// out.
pub fn args(args: &[Vec<u8>]) -> Vec<String> {
    let mut looked_at = 0;
    let windows: Vec<&[u8]> = args
        .iter()
        .take(MAX_ARG_COUNT)
        .take_while(|arg| {
            let room = looked_at < ARGS_WINDOW;
            looked_at += arg.len().min(WINDOW);
            room
        })
        .map(|arg| window(arg))
        .collect();
    let spans = secrets(&windows);

    let mut shown = Vec::with_capacity(windows.len());
    let mut room = MAX_ARGS;
    for (at, (&window, spans)) in windows.iter().zip(spans).enumerate() {
        if room == 0 {
            break;
        }
        let text = render(window, args[at].len(), spans, room.min(MAX_TEXT));
        // An empty argument takes room as well.
        room = room.saturating_sub(text.len().max(1));
        shown.push(text);
    }
    let left_out: usize = args[shown.len()..].iter().map(Vec::len).sum();
    if shown.len() < args.len() {
        shown.push(escape::truncation(left_out));
    }
    shown
}

/// One text (a request target, a header's value, a name), fit for a record.
pub fn text(bytes: &[u8]) -> String {
    let window = window(bytes);
    let spans = secrets(&[window]).pop().unwrap_or_default();
    render(window, bytes.len(), spans, MAX_TEXT)
}

fn window(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(WINDOW)]
}

/// The secrets in each of several arguments.
fn secrets(args: &[&[u8]]) -> Vec<Spans> {
    let mut spans: Vec<Spans> = args
        .iter()
        .map(|arg| {
            let mut spans = Spans::new();
            pairs::find(arg, &mut spans);
            shapes::find(arg, &mut spans);
            capabilities::find(arg, &mut spans);
            spans
        })
        .collect();
    words::find(args, &mut spans);
    spans
}

/// Shows `window`, the beginning of a text of `len` bytes, in at most `max`
/// bytes and the mark of a cut.
fn render(window: &[u8], len: usize, mut spans: Spans, max: usize) -> String {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable_by_key(|span| span.start);
    let mut shown = escape::Bounded::new(max);
    let mut at = 0;
    for span in spans {
        if span.end <= at {
            continue;
        }
        // Overlapping and adjacent secrets are one.
        if span.start > at || at == 0 {
            let before = &window[at..span.start];
            if !shown.push(before) || !shown.push_whole(REDACTED, span.end - span.start) {
                return shown.finish(len);
            }
        } else {
            shown.skip(span.end - at);
        }
        at = span.end;
    }
    shown.push(&window[at..]);
    shown.finish(len)
}

#[cfg(test)]
mod tests;
