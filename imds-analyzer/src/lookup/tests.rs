//! All threads together.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::mpsc};

use super::*;
use crate::{config, record, sink::fixture};

const LONG: Duration = Duration::from_secs(60);

fn start(root: &std::path::Path, enrich: config::Enrich) -> (Lookups, Receiver<(u64, Event)>) {
    let (emitted, events) = mpsc::channel();
    let options = Options {
        root: root.to_owned(),
        packages: true,
        enricher: Enricher::new(&enrich).unwrap(),
    };
    let lookups = Lookups::start(options, move |time, event| {
        emitted.send((time, event)).unwrap();
    });
    (lookups.unwrap(), events)
}

fn heartbeat() -> Event {
    Event::Heartbeat(record::Heartbeat::default())
}

/// A request whose container has a name in `root`.
fn request(root: &std::path::Path) -> Event {
    let mut request = fixture::bare_request();
    let id = "a".repeat(64);
    let state = root.join("var/lib/docker/containers").join(&id);
    fs::create_dir_all(&state).unwrap();
    let text = format!("{{\"ID\":\"{id}\",\"Name\":\"/web\",\"Config\":{{}}}}");
    fs::write(state.join("config.v2.json"), text).unwrap();
    request.process.as_mut().unwrap().container = Some(record::Container {
        id,
        ..Default::default()
    });
    Event::ImdsRequest(Box::new(request))
}

fn request_of(event: Event) -> record::Request {
    match event {
        Event::ImdsRequest(request) => *request,
        other => panic!("{other:?} is no request"),
    }
}

#[test]
fn what_is_looked_up_is_in_the_record_and_order_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let (lookups, events) = start(root.path(), config::Enrich::default());
    lookups.send(1, request(root.path()));
    lookups.send(2, heartbeat());
    let (first, event) = events.recv_timeout(LONG).unwrap();
    assert_eq!(first, 1);
    let container = request_of(event).process.unwrap().container.unwrap();
    // Under load it may come too late for the first one.
    assert!(container.name.is_none_or(|name| name == "web"));
    assert_eq!(events.recv_timeout(LONG).unwrap().0, 2);
    lookups.finish();
}

#[test]
fn program_of_the_owner_is_heard_after_the_names() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("enrich");
    let script = "#!/bin/sh\ngrep -q '\"name\":\"web\"' && echo '{\"team\":\"of web\"}' || echo '{\"team\":\"?\"}'\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let enrich = config::Enrich {
        command: vec![program.to_str().unwrap().to_owned()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    let (lookups, events) = start(root.path(), enrich);
    lookups.send(1, request(root.path()));
    let request = request_of(events.recv_timeout(LONG).unwrap().1);
    let named = request.process.unwrap().container.unwrap().name.is_some();
    let team = if named { "of web" } else { "?" };
    assert_eq!(request.enrichment.unwrap()["team"], team);
    assert_eq!(request.enrichment_error, None);
    lookups.finish();
}

#[test]
fn program_that_hangs_costs_its_time_and_no_record() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("enrich");
    fs::write(&program, "#!/bin/sh\nsleep 1000\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let enrich = config::Enrich {
        command: vec![program.to_str().unwrap().to_owned()],
        timeout_ms: 50,
        ..Default::default()
    };
    let (lookups, events) = start(root.path(), enrich);
    for time in 0..100 {
        lookups.send(time, request(root.path()));
    }
    for time in 0..100 {
        let (at, event) = events.recv_timeout(LONG).unwrap();
        assert_eq!(at, time);
        let error = request_of(event).enrichment_error.unwrap();
        assert!(["late", "timed_out"].contains(&error), "{error}");
    }
    lookups.finish();
}

#[test]
fn end_comes_after_every_event() {
    let root = tempfile::tempdir().unwrap();
    let (lookups, events) = start(root.path(), config::Enrich::default());
    for time in 0..1_000 {
        lookups.send(time, request(root.path()));
    }
    lookups.send(1_000, heartbeat());
    lookups.finish();
    let times: Vec<u64> = events.iter().map(|(time, _)| time).collect();
    assert!(times.into_iter().eq(0..=1_000));
}
