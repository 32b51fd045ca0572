use proptest::prelude::*;

use super::*;
use crate::report::{subject::Kind, view::Line};

fn record(fields: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-22T04:32:51.949123Z","schema_version":1,"event":"imds_request","seq":1,"boottime_us":2,{fields}}}"#
    )
}

fn take(groups: &mut Groups, line: &str, wall_us: i64) {
    let Line::Record(view) = Line::read(line.as_bytes()) else {
        panic!("not a record: {line}");
    };
    let at = Moment {
        boot: 0,
        boottime_us: view.boottime_us,
        wall_us,
    };
    groups.take(&view, at);
}

fn caller(name: &str, version: &str, more: &str) -> String {
    record(&format!(
        r#""imds":{{"version":"{version}"}},"process":{{"executable":"/opt/{name}"{more}}}"#
    ))
}

/// A record of a request, with everything in it that a group depends on.
fn any_request() -> impl Strategy<Value = String> {
    let version = prop::sample::select(vec!["v1", "v2", "unknown", "not_applicable", "v3"]);
    let process = prop::option::of((
        prop::option::of("/[a-z]{1,2}"),
        prop::option::of("[a-z]"),
        prop::option::of(prop::sample::select(vec![
            "cron.service",
            "a.service",
            "b.service",
        ])),
        prop::option::of("[0-9a-f]{12}"),
    ));
    let status = prop::option::of(prop::sample::select(vec![200_u16, 401, 404]));
    (version, process, status, any::<bool>()).prop_map(|(version, process, status, credentials)| {
        let mut fields = format!(r#""imds":{{"version":"{version}","credentials":{credentials}}}"#);
        if let Some(status) = status {
            fields.push_str(&format!(r#","http":{{"status":{status}}}"#));
        }
        if let Some((executable, package, unit, container)) = process {
            let mut parts = Vec::new();
            parts.extend(executable.map(|path| format!(r#""executable":"{path}""#)));
            parts.extend(package.map(|name| format!(r#""package":{{"name":"{name}"}}"#)));
            parts.extend(unit.map(|unit| format!(r#""systemd_unit":"{unit}""#)));
            parts.extend(container.map(|id| format!(r#""container":{{"id":"{id}"}}"#)));
            fields.push_str(&format!(r#","process":{{{}}}"#, parts.join(",")));
        }
        record(&fields)
    })
}

proptest! {
    #[test]
    fn every_request_is_in_exactly_one_group(
        requests in prop::collection::vec(any_request(), 0..200),
        max in 1..40_usize,
    ) {
        let mut groups = Groups::bounded(max);
        let mut expected = Counts::default();
        let mut others = 0;
        for (at, line) in requests.iter().enumerate() {
            take(&mut groups, line, i64::try_from(at).unwrap());
            let Line::Record(view) = Line::read(line.as_bytes()) else {
                unreachable!("it was read a moment ago");
            };
            match view.imds.as_ref().map(|imds| imds.version.as_str()) {
                Some("not_applicable") => others += 1,
                _ => expected.add(&Counts::of(&view)),
            }
        }
        prop_assert_eq!(groups.other_services, others);
        let (found, rest) = groups.finish();
        prop_assert!(found.len() <= max);
        let mut sum = rest;
        for (_, group) in &found {
            sum.add(&group.counts);
        }
        prop_assert_eq!(sum, expected);
        prop_assert_eq!(sum.requests, sum.v1 + sum.v2 + sum.unknown);
    }
}

#[test]
fn what_calls_v1_makes_those_with_tokens_give_up_their_room() {
    let mut groups = Groups::bounded(3);
    for name in ["a", "b", "c"] {
        take(&mut groups, &caller(name, "v2", ""), 0);
    }
    for name in ["d", "e", "f", "g", "d"] {
        take(&mut groups, &caller(name, "v1", ""), 0);
    }
    let (found, others) = groups.finish();
    let names: Vec<&str> = found.iter().map(|(subject, _)| &*subject.name).collect();
    assert_eq!(names, ["/opt/d", "/opt/e", "/opt/f"]);
    assert_eq!((others.v2, others.v1), (3, 1));
}

#[test]
fn requests_before_the_package_was_found_are_of_the_package() {
    let mut groups = Groups::new();
    take(&mut groups, &caller("a", "v1", ""), 0);
    take(
        &mut groups,
        &caller("a", "v1", r#","package":{"name":"agent","version":"1.0"}"#),
        1,
    );
    take(&mut groups, &caller("b", "v1", ""), 2);
    let (found, _) = groups.finish();
    let found: Vec<_> = found
        .iter()
        .map(|(subject, group)| (subject.kind, &*subject.name, group.counts.v1))
        .collect();
    assert_eq!(
        found,
        [(Kind::Package, "agent", 2), (Kind::Executable, "/opt/b", 1)]
    );
}

#[test]
fn what_a_group_remembers_is_bounded_and_says_so() {
    let mut groups = Groups::new();
    for at in 0..1_000 {
        let client = format!(
            r#""http":{{"client":{{"name":"c","version":"{at}"}},"status":{}}},"#,
            100 + at % 400
        );
        let line = record(&format!(
            r#"{client}"imds":{{"version":"v1","cause":"token_refused","cause_status":{}}},"process":{{"executable":"/opt/a"}}"#,
            400 + at % 100
        ));
        take(&mut groups, &line, at);
    }
    let (found, _) = groups.finish();
    let group = &found[0].1;
    assert!(group.clients.iter().count() == MAX_KINDS && group.clients.more);
    assert!(group.whys.len() <= 2 * MAX_KINDS && group.v1_answers.len() <= 2 * MAX_KINDS);
    let counted: u64 = group.whys.values().sum();
    assert_eq!(counted + group.other_whys, 1_000);
}

#[test]
fn sample_shows_what_is_wrong() {
    let mut groups = Groups::new();
    for (version, args) in [
        ("v2", "new"),
        ("unknown", "odd"),
        ("v1", "old"),
        ("v1", "older"),
    ] {
        take(
            &mut groups,
            &caller("a", version, &format!(r#","args":["a","{args}"]"#)),
            0,
        );
    }
    let (found, _) = groups.finish();
    assert_eq!(found[0].1.sample.command_line.as_deref(), Some("a old"));
}

#[test]
fn long_samples_are_cut() {
    let mut groups = Groups::new();
    let args = format!(
        r#","args":["{}","{}"]"#,
        "x".repeat(5_000),
        "y".repeat(5_000)
    );
    take(&mut groups, &caller("a", "v1", &args), 0);
    let (found, _) = groups.finish();
    let line = found[0].1.sample.command_line.as_deref().unwrap();
    assert!(line.len() <= MAX_SAMPLE + '…'.len_utf8() && line.ends_with('…'));
}
