//! Cutting heads out of one stream, across any number of chunks.

use std::mem;

use super::body::Body;
use super::captured::{Extent, Origin, Reason};
use super::flow::{Context, Flow, Lost, State};
use crate::http::{self, Framing, HeadError, RequestHead};

/// A head whose end has not arrived.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) bytes: Vec<u8>,
    pub(super) origin: Origin,
    /// Where it begins in the stream.
    start: u64,
    /// The request line is whole and well-formed.
    line_read: bool,
    /// See [`State`].
    pub(super) suspect: Option<Reason>,
}

impl Flow {
    /// Reads a head from its first byte on; gives where to read on.
    pub(super) fn begin_head(
        &mut self,
        bytes: &mut Vec<u8>,
        at: usize,
        origin: &Origin,
        suspect: Option<Reason>,
        cx: &mut Context<'_>,
    ) -> usize {
        let at = at + http::empty_lines(&bytes[at..]);
        let rest = &bytes[at..];
        if rest.is_empty() {
            return at;
        }
        let start = cx.segment.start + at as u64;
        match http::head_end(rest, 0) {
            Some(len) if len <= cx.limits.max_head => {
                // Most often a chunk is a head: then it is moved, not copied.
                let head = if len == bytes.len() {
                    mem::take(bytes)
                } else {
                    rest[..len].to_vec()
                };
                self.end_head(head, start, origin.clone(), suspect, cx);
                at + len
            }
            _ => {
                let all = bytes.len();
                let held = (all - at).min(cx.limits.max_head + 1);
                let held = if held == all {
                    mem::take(bytes)
                } else {
                    rest[..held].to_vec()
                };
                let mut partial = Partial {
                    bytes: held,
                    origin: origin.clone(),
                    start,
                    line_read: false,
                    suspect,
                };
                match partial.check(0, cx.limits.max_head) {
                    Ok(()) => self.state = State::Head(Box::new(partial)),
                    Err(reason) => self.fail(partial, reason, cx),
                }
                all
            }
        }
    }

    /// Reads more of a head; gives where to read on.
    pub(super) fn continue_head(&mut self, bytes: &[u8], at: usize, cx: &mut Context<'_>) -> usize {
        let State::Head(mut partial) = mem::replace(&mut self.state, State::Between(None)) else {
            return at;
        };
        if partial.bytes == b"\r" && bytes[at] == b'\n' {
            return at + 1;
        }
        let before = partial.bytes.len();
        let room = (cx.limits.max_head + 1).saturating_sub(before);
        let taken = room.min(bytes.len() - at);
        partial.bytes.extend_from_slice(&bytes[at..at + taken]);
        match http::head_end(&partial.bytes, before.saturating_sub(3)) {
            Some(len) if len <= cx.limits.max_head => {
                partial.bytes.truncate(len);
                let Partial {
                    bytes: head,
                    origin,
                    start,
                    suspect,
                    ..
                } = *partial;
                self.end_head(head, start, origin, suspect, cx);
                at + (len - before)
            }
            _ => {
                match partial.check(before, cx.limits.max_head) {
                    Ok(()) => self.state = State::Head(partial),
                    Err(reason) => self.fail(*partial, reason, cx),
                }
                bytes.len()
            }
        }
    }

    /// A head is whole: reports it and prepares for what follows it.
    fn end_head(
        &mut self,
        head: Vec<u8>,
        start: u64,
        origin: Origin,
        suspect: Option<Reason>,
        cx: &mut Context<'_>,
    ) {
        let framing = match RequestHead::parse(&head) {
            Ok(parsed) => parsed.framing(),
            Err(error) => {
                let reason = match error {
                    HeadError::RequestLine | HeadError::Extent => Reason::NotHttp,
                    HeadError::HeaderLine => Reason::MalformedHead,
                };
                self.state = State::Lost(Lost::reported(reason));
                let reason = suspect.unwrap_or(reason);
                cx.broken(origin.broken(self.stream, reason, head, false));
                return;
            }
        };
        self.state = match (framing, Body::new(framing)) {
            (Framing::Ambiguous, _) => State::Lost(Lost::AMBIGUOUS),
            (_, Some(body)) => State::Body(body),
            (_, None) => State::Between(None),
        };
        match suspect {
            Some(reason) => cx.broken(origin.broken(self.stream, reason, head, false)),
            None => {
                cx.counters.requests += 1;
                let extent = Extent {
                    position: start as u32,
                    sent_ns: (framing == Framing::None).then_some(cx.segment.time_ns),
                    started_mid_stream: self.started_mid_stream,
                };
                cx.out.push(origin.whole(self.stream, head, extent));
            }
        }
    }

    /// A head is broken.
    pub(super) fn fail(&mut self, mut partial: Partial, reason: Reason, cx: &mut Context<'_>) {
        partial.bytes.truncate(cx.limits.max_head);
        self.state = State::Lost(Lost::reported(reason));
        let reason = partial.suspect.unwrap_or(reason);
        cx.broken(
            partial
                .origin
                .broken(self.stream, reason, partial.bytes, true),
        );
    }
}

impl Partial {
    /// Whether this can still become a head; the bytes before `checked` could.
    fn check(&mut self, checked: usize, max_head: usize) -> Result<(), Reason> {
        if !self.line_read {
            if self.bytes == b"\r" {
                return Ok(());
            }
            if memchr::memchr(b'\n', &self.bytes[checked..]).is_some() {
                self.line_read = http::begins_with_request_line(&self.bytes);
                if !self.line_read {
                    return Err(Reason::NotHttp);
                }
            } else if !http::may_begin_request(&self.bytes) {
                return Err(Reason::NotHttp);
            }
        }
        if self.bytes.len() > max_head {
            return Err(Reason::HeadTooLarge);
        }
        Ok(())
    }
}
