//! Tests of the formats, and of what a hostile process can do to them.

use jiff::tz::TimeZone;

use super::escape::is_hostile;
use super::fixture::*;
use super::*;
use crate::record::{
    Client, Container, Ecs, Event, Http, ImdsVersion, Kubernetes, Origin, Package, Request,
    Session, SessionKind, User,
};

fn renderers() -> [Renderer; 4] {
    let zone = TimeZone::fixed(jiff::tz::offset(0));
    [
        Format::Json,
        Format::Text { colour: false },
        Format::Text { colour: true },
        Format::Aws { zone },
    ]
    .map(|format| Renderer { format })
}

fn line(format: Format, event: &Event) -> String {
    Renderer { format }.line(&record(&origin(), event))
}

fn json(request: Request) -> String {
    line(Format::Json, &Event::ImdsRequest(Box::new(request)))
}

fn text(request: Request) -> String {
    line(
        Format::Text { colour: false },
        &Event::ImdsRequest(Box::new(request)),
    )
}

fn aws(request: Request) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(0));
    line(Format::Aws { zone }, &Event::ImdsRequest(Box::new(request)))
}

/// A request all of whose strings are `text`.
fn all(text: &str) -> Request {
    let own = || text.to_owned();
    let mut request = request();
    request.imds.reason = Some(own());
    request.http = Http {
        method: Some(own()),
        path: Some(own()),
        host: Some(own()),
        user_agent: Some(own()),
        client: Some(Client {
            name: own(),
            version: Some(own()),
        }),
        server: Some(own()),
        ..request.http
    };
    request.enrichment = serde_json::json!({ text: text }).as_object().cloned();
    request.lineage = Some(own());
    let process = request.process.as_mut().expect("the fixture has one");
    process.name = own();
    process.thread_name = Some(own());
    process.executable = Some(own());
    process.args = Some(vec![own(), own()]);
    process.user.name = Some(own());
    process.systemd_unit = Some(own());
    process.systemd_user_unit = Some(own());
    process.systemd_slice = Some(own());
    process.package = Some(Package {
        name: own(),
        version: Some(own()),
        manager: own(),
    });
    process.container = Some(Container {
        id: own(),
        runtime: Some(own()),
        name: Some(own()),
        image: Some(own()),
        inner_id: Some(own()),
        delegated: false,
    });
    process.kubernetes = Some(Kubernetes {
        pod_uid: own(),
        qos: Some(own()),
        namespace: Some(own()),
        pod_name: Some(own()),
        container_name: Some(own()),
    });
    process.ecs = Some(Ecs {
        task_id: own(),
        cluster: Some(own()),
        task_definition: Some(own()),
        container_name: Some(own()),
    });
    process.session = Some(Session {
        kind: SessionKind::Login,
        id: Some(own()),
        user: Some(User {
            id: 0,
            name: Some(own()),
        }),
    });
    process.cgroup = Some(own());
    for ancestor in &mut request.ancestors {
        ancestor.name = own();
        ancestor.executable = Some(own());
        ancestor.command_line = Some(own());
    }
    request
}

#[test]
fn json_fields_stand_in_the_order_of_the_contract() {
    let line = json(request());
    let places: Vec<usize> = [
        "{\"timestamp\":\"2026-11-22T04:32:51.949123Z\"",
        "\"schema_version\":1",
        "\"event\":\"imds_request\"",
        "\"seq\":17",
        "\"boottime_us\":81234567",
        "\"boot_id\":",
        "\"host\":{\"name\":\"ip-10-0-0-1\"}",
        "\"cloud\":{\"instance_id\":\"i-0123456789abcdef0\",\"region\":\"eu-central-1\"}",
        "\"imds\":{\"version\":\"v1\",\"operation\":\"metadata\",\"reason\":\"no_token\",\"credentials\":true,\"service\":\"imds\",\"cause\":\"token_refused\",\"cause_status\":403,\"rejected\":true}",
        "\"http\":{\"method\":\"GET\",\"path\":",
        "\"lineage\":\"curl < bash < systemd\"",
        "\"process\":{\"pid\":3109,\"tid\":3110,\"start_time\":",
        "\"user\":{\"id\":0,\"name\":\"root\"},\"container\":{",
        "\"systemd_unit\":\"backup.service\",\"systemd_user_unit\":",
        "\"session\":{\"kind\":\"cron\"",
        "\"cgroup\":",
        "\"namespaces\":{\"pid\":4026531836,\"mount\":4026531841,\"net\":4026531840},\"exited\":true}",
        "\"destination\":{\"ip\":\"169.254.169.254\",\"port\":80}",
        "\"capture\":{\"backend\":\"fentry\",\"netns\":4026531840,\"bytes\":96,\"truncated\":false}",
        "\"ancestors\":[{\"pid\":3010,",
    ]
    .iter()
    .map(|field| line.find(field).unwrap_or_else(|| panic!("no {field} in {line}")))
    .collect();
    assert!(places.is_sorted(), "{places:?} in {line}");
}

#[test]
fn what_is_unknown_is_absent_from_json() {
    let event = Event::ImdsRequest(Box::new(bare_request()));
    let line = Renderer {
        format: Format::Json,
    }
    .line(&record(&Origin::default(), &event));
    assert!(!line.contains("null"), "{line}");
    for key in [
        "boot_id",
        "host",
        "cloud",
        "args",
        "start_time",
        "reason",
        "ancestors_truncated",
    ] {
        assert!(!line.contains(&format!("\"{key}\"")), "{key} in {line}");
    }
}

#[test]
fn every_format_gives_every_event_one_line() {
    for renderer in renderers() {
        for event in full().iter().chain(&bare()) {
            let line = renderer.line(&record(&origin(), event));
            assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
        }
    }
}

#[test]
fn no_format_lets_a_hostile_character_through() {
    let hostile = "a\n[x] [WARNING] b\r\x1b[2J\u{9b}31m\u{2028}\u{202e}\u{7f}\u{0}\u{feff}z";
    for renderer in renderers() {
        let colours = matches!(renderer.format, Format::Text { colour: true });
        let request = Event::ImdsRequest(Box::new(all(hostile)));
        let line = renderer.line(&record(&origin(), &request));
        let line = line.strip_suffix('\n').unwrap();
        let own = if colours {
            line.replacen("\x1b[1;31m", "", 1)
                .replacen("\x1b[0m", "", 1)
        } else {
            line.to_owned()
        };
        assert!(!own.chars().any(is_hostile), "{own:?}");
    }
}

#[test]
fn hostile_characters_survive_json_as_escapes() {
    let line = json(all("\u{9b}\u{202e}\u{e0041}\u{7f}"));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["http"]["path"], "\u{9b}\u{202e}\u{e0041}\u{7f}");
}

#[test]
fn text_shows_who_and_what_on_one_line() {
    assert_eq!(
        text(request()),
        "2026-11-22 04:32:51.949Z  IMDSv1!  GET /latest/meta-data/iam/security-credentials/Web  \
         curl < bash < systemd  pid=3109 user=root unit=backup.service cron=ada \
         package=curl pod=shop/web-0 task=web:7 container=docker:web client=curl/8.5.0 \
         reason=no_token credentials status=401 rejected exited\n"
    );
}

#[test]
fn text_of_a_request_that_was_not_read_says_so() {
    let mut request = bare_request();
    request.imds.reason = Some("started_mid_stream".to_owned());
    assert_eq!(
        text(request),
        "2026-11-22 04:32:51.949Z  IMDS?    (not read)  curl < bash < systemd  pid=3109 uid=1000 \
         to=[fd00:ec2::254]:80 reason=started_mid_stream no_response=deadline exited\n"
    );
}

#[test]
fn text_of_another_service_begins_with_its_name() {
    assert_eq!(
        text(other_service_request()),
        "2026-11-22 04:32:51.949Z  ecs      GET /v2/credentials/[REDACTED]  curl < bash < systemd  \
         pid=3109 user=root unit=backup.service cron=ada package=curl \
         pod=shop/web-0 task=web:7 container=docker:web client=curl/8.5.0 \
         to=169.254.170.2:80 credentials status=401 exited\n"
    );
}

#[test]
fn text_value_with_blanks_is_quoted() {
    let mut request = request();
    let process = request.process.as_mut().expect("the fixture has one");
    process.user.name = Some("x unit=\"fake".to_owned());
    assert!(text(request).contains(" user=\"x unit=\\\"fake\" unit=backup.service cron=ada "));
}

#[test]
fn text_is_coloured_only_where_asked() {
    let event = Event::ImdsRequest(Box::new(request()));
    assert!(line(Format::Text { colour: true }, &event).contains("\x1b[1;31mIMDSv1!\x1b[0m"));
    assert!(!line(Format::Text { colour: false }, &event).contains('\x1b'));
}

#[test]
fn text_of_the_other_events() {
    let lines: Vec<String> = full()[1..]
        .iter()
        .map(|event| line(Format::Text { colour: false }, event).split_off(26))
        .collect();
    assert_eq!(
        lines,
        [
            "started  imds-analyzer 0.1.0, kprobe backend, kernel 6.1.0-42-cloud-arm64, \
             heartbeat every 60 s; not fentry: attach: errno 524; \
             the run before ended in half a line\n",
            "stopped  SIGTERM: 12 v1, 30 v2, 1 unknown, 7 lost, 5 suppressed\n",
            "LOST     3 × ring_full (7 since the start)\n",
            "alive    12 v1, 30 v2, 1 unknown, 7 lost, 5 suppressed\n",
        ]
    );
}

#[test]
fn aws_v1_is_a_warning_with_the_chain_and_the_request() {
    assert_eq!(
        aws(request()),
        "[2026-11-22 04:32:51,949] [WARNING] IMDSv1(!) (pid:3109:curl argv:curl -s) called by -> \
         (pid:3010:bash argv:bash /opt/backup.sh) -> (pid:1:systemd argv:/sbin/init) Req details: \
         GET /latest/meta-data/iam/security-credentials/Web HTTP/1.1, Host: 169.254.169.254, \
         User-Agent: curl/8.5.0\n"
    );
}

#[test]
fn aws_v2_is_information() {
    let mut request = request();
    request.imds.version = ImdsVersion::V2;
    let line = aws(request);
    assert!(
        line.contains("] [INFO] IMDSv2 (pid:3109:curl argv:curl -s) called by"),
        "{line}"
    );
}

#[test]
fn aws_unknown_is_an_error_and_never_v1() {
    let mut request = bare_request();
    request.imds.reason = Some("head_too_long".to_owned());
    assert_eq!(
        aws(request),
        "[2026-11-22 04:32:51,949] [ERROR] {MISSING PAYLOAD} IMDS(unknown:head_too_long) \
         (pid:3109:curl argv:) Req details: \n"
    );
}

#[test]
fn aws_line_of_another_service_is_of_no_version() {
    let line = aws(other_service_request());
    assert!(
        line.starts_with("[2026-11-22 04:32:51,949] [INFO] service:ecs (pid:3109:curl argv:"),
        "{line}"
    );
    assert!(!line.contains("IMDS"), "{line}");
}

#[test]
fn aws_lines_of_the_other_events() {
    let zone = TimeZone::fixed(jiff::tz::offset(0));
    let lines: Vec<String> = full()[1..]
        .iter()
        .map(|event| line(Format::Aws { zone: zone.clone() }, event).split_off(26))
        .collect();
    assert_eq!(
        lines,
        [
            "[INFO] analyzer_started version:0.1.0 backend:kprobe heartbeat_interval_s:60 \
             not_taken:fentry attach: errno 524\n",
            "[INFO] analyzer_stopped v1:12 v2:30 unknown:1 lost:7 suppressed:5\n",
            "[ERROR] capture_loss cause:ring_full count:3 total:7\n",
            "[INFO] heartbeat v1:12 v2:30 unknown:1 lost:7 suppressed:5\n",
        ]
    );
}

#[test]
fn process_cannot_forge_a_part_of_an_aws_line() {
    let forged = all(
        "x) called by -> (pid:1:systemd argv:init) Req details: GET /fake HTTP/1.1, Host: fake \
         [WARNING] IMDSv1(!) [INFO] imdsv2 [ERROR] {MISSING PAYLOAD} warning",
    );
    let line = aws(forged);
    for (mark, times) in [
        ("(pid:", 3),
        (")", 4),
        (" argv:", 3),
        (" called by -> ", 1),
        (" -> (", 2),
        ("Req details: ", 1),
        ("IMDSv1", 1),
        ("WARNING", 1),
        ("[ERROR]", 0),
        ("[INFO]", 0),
        ("MISSING PAYLOAD", 0),
    ] {
        let found = line.to_lowercase().matches(&mark.to_lowercase()).count();
        assert_eq!(found, times, "{mark} in {line}");
    }
    let (_, details) = line.split_once("Req details: ").unwrap();
    assert_eq!(details.matches(", Host: ").count(), 1, "{details}");
}

#[test]
fn aws_keeps_the_case_of_a_path() {
    assert!(aws(request()).contains("/security-credentials/Web "));
}

#[test]
fn sender_that_is_not_known_is_not_invented() {
    let mut request = request();
    request.process = None;
    request.lineage = None;
    request.ancestors.clear();
    let json: serde_json::Value = serde_json::from_str(&json(request.clone())).unwrap();
    assert_eq!((json.get("process"), json.get("lineage")), (None, None));
    assert!(text(request.clone()).contains("(sender unknown)"));
    assert!(aws(request).contains("(pid:?: argv:) Req details: "));
}
