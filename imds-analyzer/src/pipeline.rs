//! From what the kernel side saw to the events of the log.
//!
//! This is where the stages meet, in the order that data flows: reassembly,
//! parsing, classification, attribution, redaction, and the wait for the outcome. No I/O
//! but attribution's. [`Pipeline::complete`] is where a request and its outcome are
//! together.

use crate::{
    attribution::{Attributor, recent::Weight as _},
    capture::{self, Payload, backend::Backend},
    cause::{self, Caller, Causes},
    classify, client,
    exchange::{self, Exchanges, Finished, NoResponse, Outcome, Sent},
    http::RequestHead,
    record::{self, Event, ImdsVersion, Operation},
    redact,
    service::Watched,
    stream::{Captured, Head, Limits, Reassembler},
};

/// Status code of a response to a request without a token where tokens are required (EC2
/// User Guide, "Use IMDSv2").
const UNAUTHORIZED: u16 = 401;

/// A request that was read, and who sent it. It waits for its outcome.
#[derive(Debug)]
struct Read {
    /// Who sent it; `None` if that is not known, and unless it went to IMDS.
    caller: Option<Caller>,
    /// Its record, without the outcome.
    request: Box<record::Request>,
}

/// The stages and what they counted.
pub struct Pipeline {
    reassembler: Reassembler,
    attributor: Attributor,
    backend: Backend,
    watched: Watched,
    counters: record::Counters,
    captured: Vec<Captured>,
    /// `None` if responses are not seen: then no outcome is ever known.
    exchanges: Option<Exchanges<Read>>,
    finished: Vec<Finished<Read>>,
    causes: Causes,
}

impl Pipeline {
    /// Stages that hold nothing yet.
    pub fn new(limits: Limits, attributor: Attributor, backend: Backend) -> Self {
        Self {
            reassembler: Reassembler::new(limits),
            attributor,
            backend,
            watched: Watched::default(),
            counters: record::Counters::default(),
            captured: Vec::new(),
            exchanges: None,
            finished: Vec::new(),
            causes: Causes::new(),
        }
    }

    /// Responses are seen: requests wait for their outcome, within these limits.
    pub fn awaiting(self, limits: exchange::Limits) -> Self {
        Self {
            exchanges: Some(Exchanges::new(limits)),
            ..self
        }
    }

    /// What is watched, if it is not IMDS alone.
    pub fn watching(self, watched: Watched) -> Self {
        Self { watched, ..self }
    }

    /// Takes an event of the kernel side at `now_ns` of the boot-time clock, and
    /// hands over the events that it completes, each with its own time.
    pub fn take(&mut self, event: capture::Event, now_ns: u64, emit: &mut impl FnMut(u64, Event)) {
        match event {
            capture::Event::Chunk(chunk) => {
                self.counters.chunks += 1;
                if let Payload::Bytes(bytes) = &chunk.payload {
                    self.counters.bytes += bytes.len() as u64;
                }
                self.reassembler.push(chunk, &mut self.captured);
            }
            capture::Event::Arguments {
                task,
                args,
                at_exec: true,
                ..
            } => self.attributor.note_exec_args(&task, &args),
            capture::Event::Arguments {
                task,
                args,
                truncated,
                at_exec: false,
            } => self.attributor.note_args(&task, &args, truncated),
            capture::Event::Program {
                task,
                program,
                at_exec: true,
            } => self.attributor.note_exec_program(&task, &program),
            capture::Event::Program {
                task,
                program,
                at_exec: false,
            } => self.attributor.note_program(&task, program),
            capture::Event::Ancestors {
                task,
                ancestors,
                truncated,
            } => self.attributor.note_ancestors(&task, ancestors, truncated),
            capture::Event::Response(response) => {
                if let Some(exchanges) = &mut self.exchanges {
                    exchanges.received(response, &mut self.finished);
                }
            }
            capture::Event::Closed {
                stream,
                time_ns,
                lost_track,
            } => {
                self.reassembler.close(stream, time_ns, &mut self.captured);
                self.describe_captured(now_ns);
                if let Some(exchanges) = &mut self.exchanges {
                    exchanges.closed(stream, lost_track, &mut self.finished);
                }
            }
        }
        self.describe_captured(now_ns);
        self.complete_finished(emit);
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now_ns: u64, emit: &mut impl FnMut(u64, Event)) {
        self.reassembler.expire(now_ns, &mut self.captured);
        self.describe_captured(now_ns);
        if let Some(exchanges) = &mut self.exchanges {
            exchanges.expire(now_ns, &mut self.finished);
        }
        self.complete_finished(emit);
    }

    /// When [`expire`](Self::expire) next has something to do, on the boot-time clock.
    pub fn next_expiry(&self) -> Option<u64> {
        let exchanges = self.exchanges.as_ref();
        let expiries = [
            self.reassembler.next_expiry(),
            exchanges.and_then(Exchanges::next_expiry),
        ];
        expiries.into_iter().flatten().min()
    }

    /// Capture has ended: hands over what is unfinished.
    pub fn finish(&mut self, now_ns: u64, emit: &mut impl FnMut(u64, Event)) {
        self.reassembler.drain_all(&mut self.captured);
        self.describe_captured(now_ns);
        if let Some(exchanges) = &mut self.exchanges {
            exchanges.drain_all(&mut self.finished);
        }
        self.complete_finished(emit);
    }

    /// Counts a loss that the kernel side reports, and that happened before `now_ns` of
    /// the boot-time clock.
    pub fn count_loss(&mut self, cause: &'static str, total: u64, now_ns: u64) {
        self.counters.lost.insert(cause.into(), total);
        if let Some(exchanges) = &mut self.exchanges {
            exchanges.note_loss(now_ns);
        }
    }

    /// Counts a record of the kernel side that made no sense.
    pub fn count_malformed(&mut self) {
        *self.counters.lost.entry("malformed".into()).or_default() += 1;
    }

    /// What was counted so far.
    pub fn counters(&self) -> record::Counters {
        let reassembly = self.reassembler.counters();
        record::Counters {
            reassembly: record::ReassemblyCounters {
                duplicate_chunks: reassembly.duplicate_chunks,
                skipped_bytes: reassembly.skipped_bytes,
                forgotten_streams: reassembly.forgotten_streams,
                dropped_buffers: reassembly.dropped_buffers,
            },
            ..self.counters.clone()
        }
    }

    /// Describes requests that were read, and lets them wait for their outcome.
    fn describe_captured(&mut self, now_ns: u64) {
        let mut captured = std::mem::take(&mut self.captured);
        for captured in captured.drain(..) {
            let time_ns = captured.time_ns;
            let request = Box::new(self.describe(&captured, now_ns));
            let caller = self.causes.caller(&captured.task, &request);
            let caller = caller.filter(|_| request.imds.version != ImdsVersion::NotApplicable);
            if let Some(caller) = &caller {
                if request.imds.operation == Some(Operation::Token) {
                    let awaited = cause::Answer::Awaited;
                    self.causes.note_try(caller, time_ns, awaited);
                } else {
                    self.causes.note_other(caller);
                }
            }
            let read = Read { caller, request };
            match (&mut self.exchanges, captured.extent) {
                (Some(exchanges), Some(extent)) => exchanges.sent(
                    Sent {
                        stream: captured.stream,
                        position: extent.position,
                        time_ns,
                        sent_ns: extent.sent_ns,
                        started_mid_stream: extent.started_mid_stream,
                        weight: weight(&read.request),
                        request: read,
                    },
                    &mut self.finished,
                ),
                (exchanges, _) => {
                    if let Some(exchanges) = exchanges {
                        exchanges.blur(captured.stream, &mut self.finished);
                    }
                    self.finished.push(Finished {
                        time_ns,
                        request: read,
                        outcome: Outcome::Unknown,
                    });
                }
            }
        }
        // The vector is kept for its memory.
        self.captured = captured;
    }

    fn complete_finished(&mut self, emit: &mut impl FnMut(u64, Event)) {
        let mut finished = std::mem::take(&mut self.finished);
        for exchange in finished.drain(..) {
            let time_ns = exchange.time_ns;
            emit(time_ns, Event::ImdsRequest(self.complete(exchange)));
        }
        self.finished = finished;
    }

    /// A request, who sent it and what came of it are together: everything that needs
    /// them all is decided here, before the record goes on to lookups and the sink.
    fn complete(&mut self, exchange: Finished<Read>) -> Box<record::Request> {
        let Finished {
            request: Read {
                caller,
                mut request,
            },
            time_ns,
            outcome,
        } = exchange;
        match &outcome {
            Outcome::Answered(answer) => {
                let http = &mut request.http;
                http.status = Some(answer.status);
                http.server = (!answer.server.is_empty()).then(|| redact::text(&answer.server));
                http.latency_us = answer.latency_ns.map(|latency| latency / 1_000);
                request.imds.rejected =
                    request.imds.version == ImdsVersion::V1 && answer.status == UNAUTHORIZED;
            }
            Outcome::NoResponse(why) => {
                request.http.no_response = Some(match why {
                    NoResponse::ConnectionClosed => record::NoResponse::ConnectionClosed,
                    NoResponse::Deadline => record::NoResponse::Deadline,
                });
            }
            Outcome::Unread | Outcome::Unknown => {}
        }
        if let Some(caller) = caller {
            self.explain(&mut request, &caller, time_ns, &outcome);
        }
        let counter = match request.imds.version {
            ImdsVersion::V1 => &mut self.counters.requests.v1,
            ImdsVersion::V2 => &mut self.counters.requests.v2,
            ImdsVersion::Unknown => &mut self.counters.requests.unknown,
            ImdsVersion::NotApplicable => &mut self.counters.requests.not_applicable,
        };
        *counter += 1;
        request
    }

    /// Says why a request that was sent at `time_ns` came without a token, or remembers
    /// what came of asking for one.
    fn explain(
        &mut self,
        request: &mut record::Request,
        caller: &Caller,
        time_ns: u64,
        outcome: &Outcome,
    ) {
        if request.imds.operation == Some(Operation::Token) {
            let answer = match outcome {
                Outcome::Answered(answer) => cause::Answer::Status(answer.status),
                // Whatever has come, its caller does not know.
                Outcome::NoResponse(_) | Outcome::Unread => cause::Answer::Missing,
                Outcome::Unknown => cause::Answer::Unknown,
            };
            self.causes.note_try(caller, time_ns, answer);
        } else if request.imds.version == ImdsVersion::V1
            && let Some(why) = self.causes.of(caller, time_ns)
        {
            request.imds.cause = Some(why.cause);
            request.imds.cause_status = why.status;
        }
    }

    fn describe(&mut self, request: &Captured, now_ns: u64) -> record::Request {
        let service = self.watched.service_at(request.destination);
        let (imds, http) = match &request.head {
            Head::Complete(bytes) => match RequestHead::parse(bytes) {
                Ok(head) => (classify::classify(&head, service), describe_head(&head)),
                // Reassembly parsed it before; a second opinion must not be a v1.
                Err(_) => (
                    classify::unknown("malformed_head", service),
                    record::Http::default(),
                ),
            },
            Head::Broken { reason, prefix } => {
                let head = RequestHead::parse_prefix(prefix);
                let http = head.as_ref().map(describe_head).unwrap_or_default();
                (classify::unknown(reason.as_str(), service), http)
            }
        };
        // A record that says nothing of its sender is better than one that says 0.
        let sender =
            (request.task.tgid != 0).then(|| self.attributor.attribute(&request.task, now_ns));
        let (lineage, process, ancestors, ancestors_truncated) = match sender {
            Some(sender) => (
                Some(sender.lineage),
                Some(sender.process),
                sender.ancestors,
                sender.ancestors_truncated,
            ),
            None => (None, None, Vec::new(), false),
        };
        record::Request {
            imds,
            http,
            lineage,
            process,
            destination: record::Destination {
                ip: request.destination.ip,
                port: request.destination.port,
            },
            capture: record::Capture {
                backend: self.backend.as_str().to_owned(),
                netns: request.netns,
                bytes: request.bytes,
                truncated: request.truncated,
            },
            enrichment: None,
            enrichment_error: None,
            ancestors,
            ancestors_truncated,
        }
    }
}

/// What a record shows of a head, escaped and free of secrets.
fn describe_head(head: &RequestHead<'_>) -> record::Http {
    let user_agent = head.values("user-agent").next().map(redact::text);
    record::Http {
        method: Some(redact::text(head.method.as_bytes())),
        path: Some(path(head.target)),
        host: head.values("host").next().map(host),
        // What is shown is free of secrets, and so is what is made of it.
        client: user_agent.as_deref().and_then(client::identify),
        user_agent,
        ..record::Http::default()
    }
}

/// What is large in a request, bytes.
fn weight(request: &record::Request) -> usize {
    let args = request.process.as_ref().map(|it| it.args.heap_bytes());
    size_of::<record::Request>() + args.unwrap_or(0) + request.ancestors.heap_bytes()
}

/// A target as it is shown. One that opens credentials by itself is not shown at all if
/// it is spelt in a way that redaction does not know.
fn path(target: &[u8]) -> String {
    let shown = redact::text(target);
    if classify::opens_credentials(target) && !shown.contains(redact::REDACTED) {
        return redact::REDACTED.to_owned();
    }
    shown
}

/// A `Host` without the user and password that a client put there from its URL
/// (RFC 9110 7.2 has no place for them).
fn host(value: &[u8]) -> String {
    match value.iter().rposition(|&byte| byte == b'@') {
        Some(at) => format!("{}@{}", redact::REDACTED, redact::text(&value[at + 1..])),
        None => redact::text(value),
    }
}

#[cfg(test)]
mod tests;
