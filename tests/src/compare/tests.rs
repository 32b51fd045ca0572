//! The comparer must be able to fail.

use super::*;
use crate::record::Ancestor;

fn sender() -> Sender {
    Sender {
        pid: 7,
        tid: Some(7),
        threads: Vec::new(),
        name: "curl".into(),
        executable: Some("/usr/bin/curl".into()),
        executable_state: None,
        args: Some(vec!["curl".into()]),
        may_lack_args: false,
        may_lack_facts: false,
        uid: 0,
        args_are_cut: false,
        parent: None,
        above: vec![5],
        is_deep: false,
        lingers: true,
    }
}

fn expected(number: u64, version: Version) -> Expected {
    Expected {
        method: Some("GET".into()),
        target: Some(format!("/?case=c&n={number}").into_bytes()),
        loose_target: false,
        version,
        sender: sender(),
        seq: None,
        outcome: Outcome::Status(200, &[]),
        cause: Cause::default(),
    }
}

fn record(number: u64, version: &str) -> Request {
    Request {
        seq: number,
        version: version.into(),
        service: Some("imds".into()),
        credentials: Some(false),
        operation: Some("metadata".into()),
        reason: None,
        method: Some("GET".into()),
        path: Some(format!("/?case=c&n={number}")),
        status: Some(200),
        server: Some("EC2ws".into()),
        latency_us: Some(7),
        no_response: None,
        cause: Some("never_asked_for_token".into()).filter(|_: &String| version == "v1"),
        cause_status: None,
        rejected: false,
        pid: 7,
        tid: 7,
        name: "curl".into(),
        executable: Some("/usr/bin/curl".into()),
        executable_state: None,
        args: Some(vec!["curl".into()]),
        uid: 0,
        exited: false,
        lineage: "curl < suite < init".into(),
        ancestors: [5, 1]
            .map(|pid| Ancestor {
                pid,
                name: "x".into(),
                command_line: Some("x y".into()),
            })
            .to_vec(),
        ancestors_truncated: false,
        ip: "169.254.169.254".into(),
        port: 80,
        backend: "cgroup".into(),
        netns: 1,
    }
}

fn both() -> Vec<Expected> {
    vec![expected(1, Version::V1), expected(2, Version::V2(None))]
}

#[test]
fn equal_sides_have_no_difference() {
    let records = [record(2, "v2"), record(1, "v1")];
    assert_eq!(compare(&both(), &records), []);
}

#[test]
fn version_of_a_service_that_has_none_is_told() {
    let wanted = [expected(1, Version::NotApplicable)];
    let mut right = record(1, "not_applicable");
    right.operation = None;
    assert_eq!(compare(&wanted, &[right.clone()]), []);
    for version in ["v1", "v2", "unknown"] {
        right.version = version.into();
        right.cause = record(1, version).cause;
        assert_eq!(compare(&wanted, &[right.clone()]).len(), 1, "{version}");
    }
    let odd = record(1, "not_applicable");
    let odd = [odd];
    assert_eq!(compare(&wanted, &odd).len(), 1, "an operation");
    assert_eq!(compare(&[expected(1, Version::V1)], &odd).len(), 1);
}

#[test]
fn missing_record_is_told() {
    let found = compare(&both(), &[record(1, "v1")]);
    assert!(matches!(found[..], [Difference::Missing(_)]), "{found:?}");
}

#[test]
fn invented_record_is_told() {
    let records = [record(1, "v1"), record(2, "v2"), record(3, "v1")];
    let found = compare(&both(), &records);
    assert!(matches!(found[..], [Difference::Invented(_)]), "{found:?}");
}

#[test]
fn second_record_is_told() {
    let mut second = record(1, "v1");
    second.seq = 3;
    let found = compare(&both(), &[record(1, "v1"), record(2, "v2"), second]);
    assert!(matches!(found[..], [Difference::Twice(_)]), "{found:?}");
}

#[test]
fn unknown_is_a_miss_unless_expected() {
    let mut unknown = record(1, "unknown");
    unknown.reason = Some("not_http".into());
    let found = compare(&[expected(1, Version::V1)], &[unknown.clone()]);
    assert!(
        matches!(
            found[..],
            [Difference::Wrong {
                field: "version",
                ..
            }]
        ),
        "{found:?}"
    );
    unknown.path = None;
    let answered = |reasons| Expected {
        outcome: Outcome::Status(200, &[]),
        ..Expected::unknown(sender(), reasons)
    };
    let garbage = [answered(&["not_http"])];
    assert_eq!(compare(&garbage, &[unknown.clone()]), []);
    let other = [answered(&["cut_off"])];
    assert_eq!(compare(&other, &[unknown.clone()]).len(), 1);
    unknown.reason = None;
    assert_eq!(compare(&[answered(&[])], &[unknown]).len(), 1);
}

#[test]
fn wrong_version_is_wrong_in_both_directions() {
    for (wanted, said) in [
        (Version::V1, "v2"),
        (Version::V2(None), "v1"),
        (Version::RightOrUnknown(Known::V1), "v2"),
        (Version::RightOrUnknown(Known::V2), "v1"),
        (Version::Unknown(&[]), "v1"),
        (Version::V2(Some("empty_token")), "v2"),
    ] {
        let found = compare(&[expected(1, wanted)], &[record(1, said)]);
        assert!(
            matches!(
                found[..],
                [Difference::Wrong {
                    field: "version",
                    ..
                }]
            ),
            "{found:?}"
        );
    }
}

#[test]
fn every_field_that_is_compared_can_be_wrong() {
    type Spoil = fn(&mut Request);
    let spoilt: [(&str, Spoil); 17] = [
        ("cause", |r| r.cause = None),
        ("pid", |r| r.pid = 8),
        ("tid", |r| r.tid = 8),
        ("name", |r| {
            r.name = "wget".into();
            r.lineage = "wget".into();
        }),
        ("args", |r| r.args = Some(vec!["wget".into()])),
        ("args", |r| r.args = None),
        ("executable", |r| r.executable = None),
        ("executable_state", |r| {
            r.executable_state = Some("deleted".into());
        }),
        ("ancestors_truncated", |r| r.ancestors_truncated = true),
        ("executable", |r| {
            r.executable = Some("/usr/bin/wget".into());
        }),
        ("uid", |r| r.uid = 1),
        ("exited", |r| r.exited = true),
        ("ancestors", |r| drop(r.ancestors.remove(0))),
        ("command line above", |r| r.ancestors[0].command_line = None),
        ("last ancestor", |r| drop(r.ancestors.pop())),
        ("lineage", |r| r.lineage = "other".into()),
        ("path", |r| r.path = Some("/x?case=c&n=1".into())),
    ];
    for (field, spoil) in spoilt {
        let mut record = record(1, "v1");
        spoil(&mut record);
        let found = compare(&[expected(1, Version::V1)], &[record]);
        assert!(
            matches!(&found[..], [Difference::Wrong { field: told, .. }] if *told == field),
            "{field}: {found:?}"
        );
    }
}

#[test]
fn wrong_operation_is_told() {
    let mut put = expected(1, Version::V2(None));
    put.method = Some("PUT".into());
    put.target = Some(b"/latest/api/token".to_vec());
    let mut said = record(1, "v2");
    said.method = Some("PUT".into());
    said.path = Some("/latest/api/token".into());
    let found = compare(&[put], &[said]);
    assert!(
        matches!(
            found[..],
            [Difference::Wrong {
                field: "operation",
                ..
            }]
        ),
        "{found:?}"
    );
}

#[test]
fn same_request_by_two_senders_is_paired_by_sender() {
    let mut second = expected(1, Version::V1);
    second.sender.pid = 8;
    second.sender.tid = None;
    let mut other = record(1, "v1");
    other.pid = 8;
    other.seq = 2;
    let wanted = [second, expected(1, Version::V1)];
    assert_eq!(compare(&wanted, &[record(1, "v1"), other]), []);
}

/// What SDKs send: the same target again and again, and nothing to tell them apart.
fn plain(version: Version) -> Expected {
    Expected {
        target: Some(b"/latest/meta-data/ami-id".into()),
        ..expected(0, version)
    }
}

fn plain_record(seq: u64, version: &str) -> Request {
    Request {
        path: Some("/latest/meta-data/ami-id".into()),
        ..record(seq, version)
    }
}

#[test]
fn requests_without_ids_are_paired_in_their_order() {
    let expected = [plain(Version::V2(None)), plain(Version::V1)];
    let right = [plain_record(1, "v2"), plain_record(2, "v1")];
    assert_eq!(compare(&expected, &right), []);
    let swapped = [plain_record(1, "v1"), plain_record(2, "v2")];
    assert_eq!(compare(&expected, &swapped).len(), 2);
}

#[test]
fn one_record_too_many_or_too_few_shows_without_ids() {
    let expected = [plain(Version::V1), plain(Version::V1)];
    let records = [1, 2, 3].map(|seq| plain_record(seq, "v1"));
    let found = compare(&expected, &records);
    assert!(matches!(found[..], [Difference::Twice(_)]), "{found:?}");
    let found = compare(&expected, &records[..1]);
    assert!(matches!(found[..], [Difference::Missing(_)]), "{found:?}");
}

#[test]
fn thread_of_another_process_is_wrong() {
    let mut wanted = expected(1, Version::V1);
    wanted.sender.tid = None;
    wanted.sender.threads = vec![6, 7];
    assert_eq!(compare(&[wanted.clone()], &[record(1, "v1")]), []);
    wanted.sender.threads = vec![6];
    let found = compare(&[wanted], &[record(1, "v1")]);
    assert!(
        matches!(found[..], [Difference::Wrong { field: "tid", .. }]),
        "{found:?}"
    );
}

/// The cause that is expected of a request behind a token request of that outcome.
fn cause_behind(outcome: Outcome, pid: u32) -> Cause {
    let mut put = expected(1, Version::V2(None));
    put.method = Some("PUT".into());
    put.target = Some(b"/latest/api/token".to_vec());
    (put.outcome, put.seq) = (outcome, Some(1));
    let mut get = expected(2, Version::V1);
    get.seq = Some(2);
    get.sender.pid = pid;
    let mut both = [put, get];
    cause::settle(&mut both);
    assert_eq!(both[0].cause, Cause::None);
    both[1].cause.clone()
}

#[test]
fn cause_is_what_was_answered_to_the_same_process_before() {
    let behind = |outcome| cause_behind(outcome, 7);
    assert_eq!(
        behind(Outcome::Status(200, &[])),
        Cause::Is("token_not_used", None)
    );
    assert_eq!(
        behind(Outcome::Status(403, &[])),
        Cause::Is("token_refused", Some(403))
    );
    assert_eq!(
        behind(Outcome::Silent(&[])),
        Cause::Is("token_unanswered", None)
    );
    assert_eq!(cause_behind(Outcome::Status(403, &[]), 8), Cause::Some);
}
