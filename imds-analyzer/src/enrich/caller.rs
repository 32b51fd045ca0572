//! Which callers are of one kind, and what the program gets to know of them.

use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;

use crate::record::{Event, Request, SCHEMA_VERSION};

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerKey(u64);

/// Tells kinds of callers apart.
pub(super) struct Callers {
    /// Its key is secret: no process can look like another.
    hasher: RandomState,
}

impl Callers {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
        }
    }

    /// The kind of a record's caller: its process without what changes from one run
    /// to the next, the programs above it, and the software that it says it is.
    pub(super) fn key(&self, request: &Request) -> CallerKey {
        let process = request.process.as_ref().map(|process| {
            let mut process = process.clone();
            (process.pid, process.tid) = (0, 0);
            process.start_time = None;
            process.thread_name = None;
            process.exited = false;
            process
        });
        let above: Vec<_> = request
            .ancestors
            .iter()
            .map(|ancestor| (&ancestor.name, &ancestor.executable))
            .collect();
        let kind = serde_json::to_vec(&(
            process,
            above,
            &request.http.client,
            request.imds.version,
            request.capture.netns,
        ));
        CallerKey(self.hasher.hash_one(kind.unwrap_or_default()))
    }
}

/// What the program gets: a line of JSON, as the log has it, without what is only
/// known once the line is written.
pub(super) fn line(request: &Request) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        schema_version: u32,
        event: &'static str,
        #[serde(flatten)]
        request: &'a Request,
    }
    let line = Line {
        schema_version: SCHEMA_VERSION,
        event: Event::REQUEST,
        request,
    };
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    line
}
