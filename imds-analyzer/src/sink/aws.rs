//! Lines like those of AWS's own packet analyzer (`imds_snoop.py`), for the
//! scripts people wrote to read its log.
//!
//! ```text
//! [2026-11-22 04:32:51,949] [WARNING] IMDSv1(!) (pid:3109:curl argv:curl -s http://…) called by -> (pid:3010:bash argv:bash) -> (…) Req details: GET /latest/meta-data/ HTTP/1.1, Host: 169.254.169.254
//! ```
//!
//! Differences, on purpose: case is kept, the chain goes up to PID 1, and text
//! that a process chose is escaped so that none of it can be taken for a part
//! of the line. `HTTP/1.1` is part of the shape; records don't have the
//! version. A request that was not read whole is `[ERROR] {MISSING PAYLOAD}`
//! and never `IMDSv1(!)`.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::escape::is_hostile;
use crate::clock;
use crate::record::{Counters, Event, ImdsVersion, Record, Request};

/// What scripts look for, with the first letter in lower case. Where it occurs
/// in a process's own text, in whatever case, its first character is escaped.
const MARKS: [&str; 9] = [
    "imdsv",
    "warning",
    "[info]",
    "[error]",
    "missing payload",
    "argv:",
    "called by",
    "req details",
    "-> ",
];

/// One line, without its newline.
pub(super) fn line(record: &Record<'_>, zone: &TimeZone) -> String {
    let mut line = format!("[{}] ", clock::local(record.timestamp, zone));
    match record.event {
        Event::ImdsRequest(request) => push_request(&mut line, request),
        Event::AnalyzerStarted(started) => {
            line.push_str("[INFO] analyzer_started version:");
            push_escaped(&mut line, &started.version);
            line.push_str(" backend:");
            push_escaped(&mut line, &started.backend);
            let _ = write!(
                line,
                " heartbeat_interval_s:{}",
                started.heartbeat_interval_s
            );
            for not_taken in &started.backends_not_taken {
                line.push_str(" not_taken:");
                push_escaped(&mut line, &format!("{} ", not_taken.backend));
                push_escaped(&mut line, &not_taken.reason);
            }
        }
        Event::AnalyzerStopped(stopped) => {
            line.push_str("[INFO] analyzer_stopped");
            push_counters(&mut line, &stopped.counters);
        }
        Event::CaptureLoss(loss) => {
            line.push_str("[ERROR] capture_loss cause:");
            push_escaped(&mut line, &loss.cause);
            let _ = write!(line, " count:{} total:{}", loss.count, loss.total);
        }
        Event::Heartbeat(heartbeat) => {
            line.push_str("[INFO] heartbeat");
            push_counters(&mut line, &heartbeat.counters);
        }
    }
    line
}

fn push_request(line: &mut String, request: &Request) {
    match request.imds.version {
        ImdsVersion::V1 => line.push_str("[WARNING] IMDSv1(!) "),
        ImdsVersion::V2 => line.push_str("[INFO] IMDSv2 "),
        ImdsVersion::NotApplicable => {
            line.push_str("[INFO] service:");
            push_escaped(line, &request.imds.service);
            line.push(' ');
        }
        ImdsVersion::Unknown => {
            line.push_str("[ERROR] {MISSING PAYLOAD} IMDS(unknown:");
            push_escaped(line, request.imds.reason.as_deref().unwrap_or(""));
            line.push_str(") ");
        }
    }
    match &request.process {
        Some(process) => {
            let argv = process.args.as_ref().map(|args| args.join(" "));
            push_process(line, process.pid, &process.name, argv.as_deref());
        }
        None => line.push_str("(pid:?: argv:)"),
    }
    for (above, ancestor) in request.ancestors.iter().enumerate() {
        line.push_str(if above == 0 { " called by -> " } else { " -> " });
        push_process(
            line,
            ancestor.pid,
            &ancestor.name,
            ancestor.command_line.as_deref(),
        );
    }
    line.push_str(" Req details: ");
    push_details(line, request);
}

/// What is not known is left empty.
fn push_process(line: &mut String, pid: u32, name: &str, argv: Option<&str>) {
    let _ = write!(line, "(pid:{pid}:");
    push_escaped(line, name);
    line.push_str(" argv:");
    push_escaped(line, argv.unwrap_or(""));
    line.push(')');
}

fn push_details(line: &mut String, request: &Request) {
    let http = &request.http;
    if let (Some(method), Some(path)) = (&http.method, &http.path) {
        push_field(line, method);
        line.push(' ');
        push_field(line, path);
        line.push_str(" HTTP/1.1");
    }
    for (name, value) in [("Host", &http.host), ("User-Agent", &http.user_agent)] {
        if let Some(value) = value {
            let _ = write!(line, ", {name}: ");
            push_field(line, value);
        }
    }
}

fn push_counters(line: &mut String, counters: &Counters) {
    let requests = counters.requests;
    let lost: u64 = counters.lost.values().sum();
    let _ = write!(
        line,
        " v1:{} v2:{} unknown:{} lost:{lost} suppressed:{}",
        requests.v1, requests.v2, requests.unknown, counters.suppressed
    );
}

/// A field among others that a comma separates.
fn push_field(line: &mut String, text: &str) {
    let mut escaped = String::new();
    push_escaped(&mut escaped, text);
    line.push_str(&escaped.replace(", ", "\\x2c "));
}

/// Text that a process chose: no parenthesis, none of [`MARKS`] and nothing
/// hostile stays.
fn push_escaped(line: &mut String, text: &str) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if is_hostile(c) {
            let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
        } else if matches!(c, '(' | ')') || starts_with_mark(rest) {
            let _ = write!(line, "\\x{:02x}", u32::from(c));
        } else {
            line.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
}

fn starts_with_mark(text: &str) -> bool {
    let bytes = text.as_bytes();
    MARKS.iter().any(|mark| {
        bytes
            .get(..mark.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(mark.as_bytes()))
    })
}
