//! For people: one line a record, what matters first.
//!
//! ```text
//! 2026-11-22 04:32:51.949Z  IMDSv1!  GET /latest/meta-data/  curl < backup.sh < cron < systemd  pid=3109 user=root unit=cron.service
//! ```

use std::fmt::Write as _;

use super::escape::push_plain;
use crate::clock;
use crate::record::{
    Counters, Event, ImdsVersion, Loss, PreviousEnd, Process, Record, Request, Session,
    SessionKind, Started,
};

/// Where a call to IMDS goes unless the line says otherwise.
const USUAL_DESTINATION: (&str, u16) = ("169.254.169.254", 80);

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// One line, without its newline.
pub(super) fn line(record: &Record<'_>, colour: bool) -> String {
    let (label, paint) = match record.event {
        Event::ImdsRequest(request) => match request.imds.version {
            ImdsVersion::V1 => ("IMDSv1!", RED),
            ImdsVersion::V2 => ("IMDSv2 ", ""),
            ImdsVersion::Unknown => ("IMDS?  ", YELLOW),
            // Its name is one that the owner of this host wrote down, or ours.
            ImdsVersion::NotApplicable => (request.imds.service.as_str(), ""),
        },
        Event::AnalyzerStarted(_) => ("started", DIM),
        Event::AnalyzerStopped(_) => ("stopped", DIM),
        Event::CaptureLoss(_) => ("LOST   ", YELLOW),
        Event::Heartbeat(_) => ("alive  ", DIM),
    };
    let (paint, reset) = if colour && !paint.is_empty() {
        (paint, RESET)
    } else {
        ("", "")
    };
    let mut line = format!(
        "{}  {paint}{label:<7}{reset}  ",
        clock::utc_short(record.timestamp)
    );
    match record.event {
        Event::ImdsRequest(request) => push_request(&mut line, request),
        Event::AnalyzerStarted(started) => push_started(&mut line, started),
        Event::AnalyzerStopped(stopped) => {
            if let Some(reason) = &stopped.reason {
                push_plain(&mut line, reason);
                line.push_str(": ");
            }
            push_counters(&mut line, &stopped.counters);
        }
        Event::CaptureLoss(Loss {
            cause,
            count,
            total,
        }) => {
            let _ = write!(line, "{count} × ");
            push_plain(&mut line, cause);
            let _ = write!(line, " ({total} since the start)");
        }
        Event::Heartbeat(heartbeat) => push_counters(&mut line, &heartbeat.counters),
    }
    line
}

fn push_request(line: &mut String, request: &Request) {
    let Request {
        imds,
        http,
        process,
        destination,
        ..
    } = request;
    match (&http.method, &http.path) {
        (None, None) => line.push_str("(not read)"),
        (method, path) => {
            push_plain(line, method.as_deref().unwrap_or("?"));
            line.push(' ');
            push_plain(line, path.as_deref().unwrap_or("?"));
        }
    }
    line.push_str("  ");
    push_plain(
        line,
        request.lineage.as_deref().unwrap_or("(sender unknown)"),
    );
    if let Some(process) = process {
        push_process(line, process);
    }
    if let Some(client) = &http.client {
        let version = client.version.as_ref().map(|it| format!("/{it}"));
        push_value(
            line,
            "client",
            &(client.name.clone() + &version.unwrap_or_default()),
        );
    }
    let ip = destination.ip.to_string();
    if (ip.as_str(), destination.port) != USUAL_DESTINATION {
        let to = std::net::SocketAddr::new(destination.ip, destination.port);
        push_value(line, "to", &to.to_string());
    }
    if let Some(reason) = &imds.reason {
        push_value(line, "reason", reason);
    }
    if imds.credentials == Some(true) {
        line.push_str(" credentials");
    }
    if let Some(status) = http.status {
        let _ = write!(line, " status={status}");
    }
    if let Some(why) = http.no_response {
        push_value(line, "no_response", why.as_str());
    }
    if imds.rejected {
        line.push_str(" rejected");
    }
    if process.as_ref().is_some_and(|process| process.exited) {
        line.push_str(" exited");
    }
}

fn push_process(line: &mut String, process: &Process) {
    let _ = write!(line, "  pid={}", process.pid);
    match &process.user.name {
        Some(name) => push_value(line, "user", name),
        None => push_value(line, "uid", &process.user.id.to_string()),
    }
    if let Some(unit) = &process.systemd_unit {
        push_value(line, "unit", unit);
    }
    if let Some(session) = &process.session {
        push_session(line, session);
    }
    if let Some(package) = &process.package {
        push_value(line, "package", &package.name);
    }
    if let Some(pod) = &process.kubernetes {
        let namespace = pod.namespace.as_ref().map(|it| format!("{it}/"));
        let name = pod.pod_name.as_ref().unwrap_or(&pod.pod_uid);
        push_value(line, "pod", &(namespace.unwrap_or_default() + name));
    }
    if let Some(task) = &process.ecs {
        push_value(
            line,
            "task",
            task.task_definition.as_ref().unwrap_or(&task.task_id),
        );
    }
    if let Some(container) = &process.container {
        let id: String = match &container.name {
            Some(name) => name.clone(),
            None => container.id.chars().take(12).collect(),
        };
        let runtime = container
            .runtime
            .as_deref()
            .map(|runtime| format!("{runtime}:"));
        push_value(line, "container", &(runtime.unwrap_or_default() + &id));
    }
}

/// Whose login or job it is, if that says more than the user does.
fn push_session(line: &mut String, session: &Session) {
    let kind = match session.kind {
        SessionKind::Login => "login",
        SessionKind::Cron => "cron",
        SessionKind::At => "at",
        SessionKind::UserManager => return,
    };
    match session.user.as_ref().map(|user| (&user.name, user.id)) {
        Some((Some(name), _)) => push_value(line, kind, name),
        Some((None, id)) => push_value(line, kind, &id.to_string()),
        None => push_value(line, kind, "?"),
    }
}

fn push_started(line: &mut String, started: &Started) {
    let mut text = format!(
        "imds-analyzer {}, {} backend",
        started.version, started.backend
    );
    if let Some(release) = &started.kernel_release {
        let _ = write!(text, ", kernel {release}");
    }
    let _ = write!(text, ", heartbeat every {} s", started.heartbeat_interval_s);
    for not_taken in &started.backends_not_taken {
        let _ = write!(text, "; not {}: {}", not_taken.backend, not_taken.reason);
    }
    match started.previous_end {
        Some(PreviousEnd::Abrupt) => text.push_str("; the run before did not end in order"),
        Some(PreviousEnd::Torn) => text.push_str("; the run before ended in half a line"),
        Some(PreviousEnd::Stopped) | None => {}
    }
    push_plain(line, &text);
}

fn push_counters(line: &mut String, counters: &Counters) {
    let requests = counters.requests;
    let lost: u64 = counters.lost.values().sum();
    let _ = write!(
        line,
        "{} v1, {} v2, {} unknown, {lost} lost",
        requests.v1, requests.v2, requests.unknown
    );
    if counters.suppressed > 0 {
        let _ = write!(line, ", {} suppressed", counters.suppressed);
    }
}

/// ` key=value`, quoted where a blank could be taken for the next key.
fn push_value(line: &mut String, key: &str, value: &str) {
    let _ = write!(line, " {key}=");
    if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') {
        line.push('"');
        push_plain(line, &value.replace('"', "\\\""));
        line.push('"');
    } else {
        push_plain(line, value);
    }
}
