use crate::report::{
    fixture::{Run, question, quiet, report_on, report_on_runs},
    model::{ReasonKind, Report, Verdict},
};

fn kinds(report: &Report) -> Vec<ReasonKind> {
    report.reasons.iter().map(|reason| reason.kind).collect()
}

/// Quiet runs, the last of them changed.
fn with(change: impl FnOnce(&mut Run) -> &mut Run) -> Report {
    let mut runs = quiet();
    let mut last = Run::start(3, 4);
    last.quiet();
    change(&mut last);
    runs[2] = last.stop();
    report_on_runs(&runs)
}

#[test]
fn ten_quiet_days_and_three_boots_are_safe() {
    let report = report_on_runs(&quiet());
    assert_eq!((report.verdict, kinds(&report)), (Verdict::Safe, vec![]));
    assert_eq!(report.commands.len(), 1);
    assert!(
        report.why.contains("10 d 0 h") && report.why.contains("3 boots"),
        "{}",
        report.why
    );
}

#[test]
fn one_call_without_a_token_is_not_safe() {
    for http in [
        "",
        r#","status":200"#,
        r#","status":404"#,
        r#","no_response":"deadline""#,
    ] {
        let report = with(|run| run.request("old", "v1", "", http));
        assert_eq!(report.verdict, Verdict::NotSafe, "{http}");
        assert_eq!(kinds(&report), [ReasonKind::V1Callers]);
        assert!(
            report
                .why
                .contains("1 call without a token by 1 caller: program /opt/old (1)"),
            "{}",
            report.why
        );
        assert_eq!(report.commands, []);
    }
}

#[test]
fn not_safe_stays_so_whatever_else_cannot_be_told() {
    let mut run = Run::start_with(1, 4, r#","blind_spots":[{"kind":"guest","detail":"x"}]"#);
    run.request("old", "v1", "", "").pass(21_600);
    run.request("odd", "unknown", r#","reason":"started_mid_stream""#, "");
    let report = report_on_runs(&[run]);
    assert_eq!(report.verdict, Verdict::NotSafe);
    assert_eq!(
        kinds(&report),
        [
            ReasonKind::V1Callers,
            ReasonKind::UnknownRequests,
            ReasonKind::Gap,
            ReasonKind::BlindSpot,
            ReasonKind::Days,
            ReasonKind::Boots
        ]
    );
}

#[test]
fn calls_that_are_refused_break_nothing_more() {
    for (imds, http) in [
        (r#","rejected":true"#, r#","status":401"#),
        ("", r#","status":401"#),
    ] {
        let report = with(|run| run.request("old", "v1", imds, http));
        assert_eq!(report.verdict, Verdict::Safe, "{imds}");
        assert!(
            report
                .why
                .starts_with("v1 is off already, and 1 caller is being refused now"),
            "{}",
            report.why
        );
        assert_eq!((report.totals.v1, report.totals.v1_rejected), (1, 1));
    }
}

#[test]
fn each_thing_that_is_not_known_makes_it_uncertain() {
    let report = with(|run| run.request("odd", "unknown", r#","reason":"bytes_missing""#, ""));
    assert_eq!(
        (report.verdict, kinds(&report)),
        (Verdict::CannotTell, vec![ReasonKind::UnknownRequests])
    );
    assert!(report.why.contains("bytes_missing"), "{}", report.why);

    let report = with(|run| {
        run.write("capture_loss", r#""cause":"ring_full","count":3,"total":3"#);
        run
    });
    assert_eq!(kinds(&report), [ReasonKind::Loss]);

    let report = with(|run| {
        run.write(
            "capture_loss",
            r#""cause":"response_ring_full","count":3,"total":3"#,
        );
        run
    });
    assert_eq!(report.verdict, Verdict::Safe, "no request was lost");

    let report = with(|run| run.lose(1));
    assert_eq!(kinds(&report), [ReasonKind::RecordsLost]);

    let report = with(|run| run.pass(21_600).beat(1));
    assert_eq!(
        (report.verdict, kinds(&report)),
        (Verdict::CannotTell, vec![ReasonKind::Gap])
    );
    assert!(
        report.why.contains("6 h 1 min not watched"),
        "{}",
        report.why
    );

    let report = with(|run| {
        run.write("heartbeat", r#""counters":{"suppressed":5}"#);
        run
    });
    assert_eq!(kinds(&report), [ReasonKind::Suppressed]);
}

#[test]
fn counters_tell_of_calls_that_the_log_does_not_have() {
    let mut runs = quiet();
    let mut last = Run::start(3, 4);
    last.quiet();
    last.write(
        "analyzer_stopped",
        r#""counters":{"requests":{"v1":2,"v2":0,"unknown":0},"suppressed":2}"#,
    );
    runs[2] = last;
    let report = report_on_runs(&runs);
    assert_eq!(report.verdict, Verdict::NotSafe);
    assert_eq!(
        kinds(&report),
        [ReasonKind::V1Counted, ReasonKind::Suppressed]
    );
}

#[test]
fn blind_spots_are_named_one_by_one() {
    let mut runs = quiet();
    let spots = r#","blind_spots":[{"kind":"guest","detail":"firecracker"},{"kind":"tap_device","detail":"tap0"}]"#;
    let mut last = Run::start_with(3, 4, spots);
    last.quiet();
    runs[2] = last.stop();
    let report = report_on_runs(&runs);
    assert_eq!(report.verdict, Verdict::CannotTell);
    let texts: Vec<_> = report
        .reasons
        .iter()
        .map(|reason| reason.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "blind spot, guest: firecracker",
            "blind spot, tap_device: tap0"
        ]
    );
}

#[test]
fn blind_spot_that_came_later_counts() {
    let report = with(|run| {
        run.write(
            "heartbeat",
            r#""blind_spots":[{"kind":"tap_device","detail":"tap0"}]"#,
        );
        run
    });
    assert_eq!(kinds(&report), [ReasonKind::BlindSpot]);
}

#[test]
fn short_gaps_are_forgiven_unless_they_add_up() {
    let restarts = |count: u64, every_min: u64| {
        let mut runs = quiet();
        let mut at_s = 4;
        for _ in 0..count {
            let mut run = Run::start(4, at_s);
            run.beat(every_min);
            at_s = run.at_us / 1_000_000 + 100;
            runs.push(run.stop());
        }
        report_on_runs(&runs)
    };
    assert_eq!(restarts(3, 600).verdict, Verdict::Safe);
    assert_eq!(kinds(&restarts(400, 1)), [ReasonKind::Gap]);
}

#[test]
fn too_short_a_watch_is_uncertain_by_days_and_by_boots() {
    let mut run = Run::start(1, 4);
    run.quiet().quiet().quiet();
    assert_eq!(kinds(&report_on_runs(&[run.stop()])), [ReasonKind::Boots]);
    let mut run = Run::start(1, 4);
    run.quiet();
    let short = [run.stop(), Run::start(2, 4).stop()];
    assert_eq!(kinds(&report_on_runs(&short)), [ReasonKind::Days]);
}

#[test]
fn one_host_of_several_that_spoils_it_is_named() {
    let mut runs = quiet();
    let mut other = Run::on("web-2", 9, 4, r#","blind_spots":[]"#);
    other.beat(10);
    runs.push(other.stop());
    let report = report_on_runs(&runs);
    assert_eq!(report.verdict, Verdict::CannotTell);
    let hosts: Vec<_> = report
        .reasons
        .iter()
        .map(|reason| reason.host.as_deref())
        .collect();
    assert_eq!(hosts, [Some("web-2"), Some("web-2")]);
    assert!(
        report.why.starts_with("web-2: watched for 10 min"),
        "{}",
        report.why
    );
}

#[test]
fn more_in_cloudwatch_than_in_the_log_is_uncertain() {
    let texts: Vec<String> = quiet().iter().map(Run::text).collect();
    let mut question = question();
    question.no_token = Some(0);
    let agreed = report_on(texts.iter().map(String::as_str), &question);
    assert_eq!(agreed.verdict, Verdict::Safe);
    question.no_token = Some(3);
    let report = report_on(texts.iter().map(String::as_str), &question);
    assert_eq!(
        (report.verdict, kinds(&report)),
        (Verdict::CannotTell, vec![ReasonKind::Unaccounted])
    );
}

#[test]
fn nothing_at_all_is_uncertain() {
    let report = report_on(["", "Nov 22 boot\n"], &question());
    assert_eq!(
        (report.verdict, kinds(&report)),
        (Verdict::CannotTell, vec![ReasonKind::Nothing])
    );
}
