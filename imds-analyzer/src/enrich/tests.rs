//! Programs that behave, and ones that don't.

use super::*;
use crate::sink::fixture;

const LONG: Duration = Duration::from_secs(60);

/// What comes of a program that is the shell script `script`.
fn outcome(script: &str, time: Duration) -> Outcome {
    let command = ["/bin/sh", "-c", script].map(str::to_owned);
    run(&mut Runner::default(), &command, time, b"{}\n")
}

#[test]
fn outcome_is_told_by_its_name() {
    for (script, expected) in [
        ("echo '{\"team\":\"web\"}'", None),
        ("echo no", Some(Outcome::BadAnswer)),
        ("while :; do echo '{}'; done", Some(Outcome::BadAnswer)),
        ("echo '{}'; exit 3", Some(Outcome::Failed)),
        ("kill -9 $$", Some(Outcome::Failed)),
    ] {
        let found = outcome(script, LONG);
        match expected {
            Some(expected) => assert_eq!(found, expected, "{script}"),
            None => assert!(matches!(found, Outcome::Said(_)), "{script}: {found:?}"),
        }
    }
    let late = outcome("sleep 1000", Duration::from_millis(200));
    assert_eq!(late, Outcome::TimedOut);
    let command = ["/none/such".to_owned()];
    let none = run(&mut Runner::default(), &command, LONG, b"");
    assert_eq!(none, Outcome::Failed);
}

fn config(program: &str) -> config::Enrich {
    config::Enrich {
        command: vec![program.to_owned()],
        ..config::Enrich::default()
    }
}

#[test]
fn program_that_cannot_be_run_is_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    for program in [&plain, directory.path(), &directory.path().join("none")] {
        let program = program.to_str().unwrap();
        let error = Enricher::new(&config(program)).unwrap_err().to_string();
        assert!(error.starts_with("enrich.command: "), "{error}");
        assert!(error.contains(program), "{error}");
    }
    assert!(Enricher::new(&config("/bin/sh")).unwrap().is_some());
    assert!(Enricher::new(&config::Enrich::default()).unwrap().is_none());
}

/// An enrichment that is asked and answers nothing by itself.
fn enrichment() -> (Enrichment, Receiver<Ask>) {
    let (asks, asked) = mpsc::sync_channel(1);
    let time = Duration::from_secs(1);
    (Enrichment::new(asks, time, Duration::from_secs(300)), asked)
}

fn said() -> Outcome {
    let fields = serde_json::json!({"team": "web"});
    Outcome::Said(fields.as_object().unwrap().clone())
}

/// A request that nothing is known of yet.
fn request() -> Request {
    let mut request = fixture::request();
    request.enrichment = None;
    request.enrichment_error = None;
    request
}

#[test]
fn callers_of_one_kind_are_asked_about_once() {
    let (mut enrichment, asked) = enrichment();
    let now = Instant::now();
    let mut first = request();
    let key = enrichment.begin(&mut first, now).unwrap();
    let mut second = request();
    let process = second.process.as_mut().unwrap();
    (process.pid, process.tid, process.exited) = (1, 2, false);
    process.start_time = None;
    process.thread_name = None;
    second.http.path = Some("/other".to_owned());
    second.ancestors[0].pid = 77;
    assert_eq!(enrichment.begin(&mut second, now), Some(key));
    let ask = asked.try_recv().unwrap();
    assert_eq!(ask.key, key);
    assert!(asked.try_recv().is_err());

    enrichment.remember(key, said(), now);
    assert_eq!(enrichment.begin(&mut second, now), None);
    assert_eq!(second.enrichment.unwrap()["team"], "web");
    let later = now + Duration::from_secs(300);
    assert_eq!(enrichment.begin(&mut first, later), Some(key));
}

#[test]
fn callers_of_another_kind_are_others() {
    let callers = Callers::new();
    let key = callers.key(&request());
    let changes: [fn(&mut Request); 7] = [
        |it| it.process.as_mut().unwrap().user.id += 1,
        |it| it.process.as_mut().unwrap().args = None,
        |it| it.process.as_mut().unwrap().executable = Some("/usr/bin/curl2".to_owned()),
        |it| it.process.as_mut().unwrap().container = None,
        |it| it.process.as_mut().unwrap().systemd_unit = None,
        |it| it.ancestors[0].executable = None,
        |it| it.process = None,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut other = request();
        change(&mut other);
        assert_ne!(callers.key(&other), key, "change {at}");
    }
}

#[test]
fn program_gets_the_record_on_one_line() {
    let line = caller::line(&request());
    let text = String::from_utf8(line).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["event"], "imds_request");
    assert_eq!(value["schema_version"], 1);
    assert_eq!(value["process"]["package"]["name"], "curl");
    assert_eq!(value["imds"]["version"], "v1");
}

#[test]
fn too_many_questions_are_told_as_busy_and_not_remembered() {
    let (mut enrichment, asked) = enrichment();
    let now = Instant::now();
    enrichment.begin(&mut request(), now).unwrap();
    let mut other = request();
    other.process = None;
    assert_eq!(enrichment.begin(&mut other, now), None);
    assert_eq!(other.enrichment_error, Some("busy"));
    drop(asked.recv().unwrap());
    assert!(enrichment.begin(&mut other, now).is_some());
}

#[test]
fn failure_is_forgotten_soon() {
    let (mut enrichment, asked) = enrichment();
    let now = Instant::now();
    let key = enrichment.begin(&mut request(), now).unwrap();
    drop(asked.recv().unwrap());
    enrichment.remember(key, Outcome::Failed, now);
    let mut next = request();
    assert_eq!(enrichment.begin(&mut next, now), None);
    assert_eq!(next.enrichment_error, Some("failed"));
    assert!(enrichment.begin(&mut request(), now + FAILED_FOR).is_some());
}

#[test]
fn threads_answer_what_they_are_asked() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("enrich");
    fs::write(
        &program,
        "#!/bin/sh\nread line && echo \"{\\\"length\\\": ${#line}}\"\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let enricher = Enricher::new(&config::Enrich {
        timeout_ms: 10_000,
        ..config(program.to_str().unwrap())
    });
    let (heard, outcomes) = mpsc::channel();
    let said = move |key, outcome| heard.send((key, outcome)).unwrap();
    let mut enrichment = enricher.unwrap().unwrap().start(said).unwrap();
    let mut request = request();
    let length = caller::line(&request).len() - 1;
    let key = enrichment.begin(&mut request, Instant::now()).unwrap();
    let (answered, outcome) = outcomes.recv_timeout(LONG).unwrap();
    assert_eq!(answered, key);
    outcome.describe(&mut request);
    assert_eq!(request.enrichment.unwrap()["length"], length);
}
