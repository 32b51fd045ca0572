//! From lines to the report, in every format.

use super::{
    fixture::{Run, question, quiet, report_on},
    model::{Report, Verdict},
    scope::{BootChoice, Scope},
    *,
};

fn text(runs: &[Run]) -> String {
    runs.iter().map(Run::text).collect()
}

/// Quiet days with a caller of v1 in the last boot.
fn with_a_caller() -> Vec<Run> {
    let mut runs = quiet();
    let mut last = Run::start(4, 4);
    last.request(
        "old",
        "v1",
        r#","cause":"token_refused","cause_status":405"#,
        r#","status":200"#,
    );
    last.beat(60);
    runs.push(last.stop());
    runs
}

#[test]
fn what_is_no_record_is_counted_and_harms_nothing() {
    let mut runs = quiet();
    let torn = runs[1].lines[5][..40].to_owned();
    runs[1].lines.insert(6, torn);
    runs[0]
        .lines
        .insert(3, "Nov 22 04:32:51 host sshd[7]: {\"a\":1}".to_owned());
    runs[0].lines.insert(4, String::new());
    let text = text(&runs);
    let cut = &text[..text.len() - 30];
    let report = report_on([cut], &question());
    let input = &report.input;
    assert_eq!(
        (input.torn_lines, input.foreign_lines, input.other_schema),
        (2, 1, 0)
    );
    assert_eq!(input.lines, input.records + 3);
    assert_eq!(report.verdict, Verdict::Safe, "{:?}", report.reasons);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("2 lines cut off"))
    );
}

#[test]
fn record_of_another_format_makes_it_uncertain_and_an_unknown_event_does_not() {
    let mut runs = quiet();
    let mut last = Run::start(4, 4);
    last.write("analyzer_moved", r#""to":"elsewhere""#);
    runs.push(last);
    let report = report_on([text(&runs).as_str()], &question());
    assert_eq!(
        (report.verdict, report.input.unknown_events),
        (Verdict::Safe, 1)
    );

    let newer = runs[3].lines[0].replace(r#""schema_version":1"#, r#""schema_version":2"#);
    runs[3].lines.push(newer);
    let report = report_on([text(&runs).as_str()], &question());
    assert_eq!(
        (report.verdict, report.input.other_schema),
        (Verdict::CannotTell, 1)
    );
}

/// The report with the options of `--since` and `--boot`, as after a first look.
fn scoped(runs: &[Run], since: Option<&str>, choice: Option<BootChoice>) -> Report {
    let text = text(runs);
    let since_us = since.map(|since| moment::parse(since).unwrap());
    let mut first = Reader::new(Scope::default(), false);
    first.read(text.as_bytes()).unwrap();
    let boots = &mut first.gathered.boots;
    boots.settle();
    let hosts = coverage::hosts(boots.all(), |_| Some(0), &Now::default());
    let numbers: Vec<Vec<u32>> = hosts
        .iter()
        .map(|host| host.boots.iter().map(|boot| boot.number).collect())
        .collect();
    let mut question = question();
    question.scope = Scope::looked_up(since_us, choice.as_ref(), boots, &numbers);
    report_on([text.as_str()], &question)
}

#[test]
fn since_leaves_out_what_was_before_however_the_clock_was_set() {
    let mut run = Run::start(1, 4);
    run.request("before", "v1", "", "").pass(21_600);
    run.write("capture_loss", r#""cause":"ring_full","count":3,"total":3"#);
    run.beat(10);
    // By the clock that is not set yet this is long ago.
    run.ahead_s = -40 * 365 * 86_400;
    run.request("after", "v2", "", "");
    run.ahead_s = 0;
    run.beat(10);
    let runs = [run.stop()];
    // Boot 1 is a hundred days after 2026-11-22T04:32:51Z; the gap is six hours.
    let report = scoped(&runs, Some("2027-03-02T10:36:00Z"), None);
    assert_eq!((report.totals.v1, report.totals.v2), (0, 1));
    assert!(
        report.hosts[0].boots[0].gaps.is_empty(),
        "{:?}",
        report.hosts
    );
    assert!(report.hosts[0].lost.is_empty());
    assert_eq!(
        report.hosts[0].boots_watched, 0,
        "its beginning is left out"
    );
    assert_eq!(report.period.from.as_deref(), Some("2027-03-02T10:36:00Z"));
    assert!(report.input.records_out_of_scope > 0);
    let all = scoped(&runs, None, None);
    assert_eq!((all.totals.v1, all.hosts[0].boots[0].gaps.len()), (1, 1));
}

#[test]
fn boots_are_chosen_from_the_last_one_back() {
    let runs = with_a_caller();
    let v1 = |choice| scoped(&runs, None, Some(choice)).totals.v1;
    assert_eq!((v1(BootChoice::Back(0)), v1(BootChoice::Back(1))), (1, 0));
    assert_eq!(v1(BootChoice::Id("00000004".to_owned())), 1);
    let report = scoped(&runs, None, Some(BootChoice::Back(1)));
    assert_eq!(report.hosts[0].boots.len(), 1);
}

#[test]
fn first_line_of_the_table_is_the_verdict_and_why() {
    for (runs, expected) in [
        (
            quiet(),
            "SAFE to turn IMDSv1 off: no call without a token in 10 d 0 h watched",
        ),
        (
            with_a_caller(),
            "NOT SAFE to turn IMDSv1 off: 1 call without a token by 1 caller: program /opt/old (1)",
        ),
        (
            Vec::new(),
            "CANNOT TELL whether IMDSv1 can be turned off: there is no record",
        ),
    ] {
        let report = report_on([text(&runs).as_str()], &question());
        let table = format::render(&report, Format::Table).unwrap();
        assert!(table.starts_with(expected), "{table}");
        assert!(!table.contains('\u{1b}'));
    }
}

#[test]
fn every_format_names_the_caller_and_what_to_do() {
    let report = report_on([text(&with_a_caller()).as_str()], &question());
    let step = &report.callers[0].next_steps[0];
    assert!(step.contains("refused with 405"), "{step}");
    for format in [Format::Table, Format::Json, Format::Markdown, Format::Html] {
        let text = format::render(&report, format).unwrap();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("/opt/old"), "{format:?}: {text}");
        assert!(words.contains("refused with 405"), "{format:?}: {text}");
        assert!(
            text.ends_with('\n') && !text.ends_with("\n\n"),
            "{format:?}"
        );
    }
}

#[test]
fn json_is_what_the_document_says() {
    let report = report_on([text(&with_a_caller()).as_str()], &question());
    let json = format::render(&report, Format::Json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["report_version"], 1);
    assert_eq!(json["verdict"], "not_safe");
    assert_eq!(json["reasons"][0]["kind"], "v1_callers");
    let caller = &json["callers"][0];
    assert_eq!(
        (&caller["kind"], &caller["name"]),
        (&"executable".into(), &"/opt/old".into())
    );
    assert_eq!(
        (&caller["v1"], &caller["v1_succeeded"], &caller["at_boot"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(caller["causes"][0]["cause"], "token_refused");
    assert_eq!(caller["causes"][0]["status"], 405);
    assert_eq!(caller["command_line"], "old -v");
    // Every name in the document's tables is a field, and every field is in them.
    let document = include_str!("../../../docs/report.md");
    let mut unknown = Vec::new();
    missing(&json, document, &mut unknown);
    assert_eq!(unknown, Vec::<String>::new(), "docs/report.md lacks these");
}

fn missing(value: &serde_json::Value, document: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if !document.contains(&format!("`{key}`")) {
                    found.push(key.clone());
                }
                // Its keys are answers and causes of loss, not fields.
                if !["v1_answers", "lost"].contains(&key.as_str()) {
                    missing(value, document, found);
                }
            }
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| missing(item, document, found));
        }
        _ => {}
    }
}

#[test]
fn what_a_record_holds_steers_no_terminal_and_makes_no_markup() {
    let mut run = Run::start(1, 4);
    let hostile = r"a\u001b[2J\u202e<img src=x onerror=alert(1)>|`b`";
    run.write(
        "imds_request",
        &format!(
            r#""imds":{{"version":"v1"}},"lineage":"{hostile}","process":{{"executable":"/{hostile}","args":["{hostile}"],"user":{{"id":0,"name":"{hostile}"}}}},"http":{{"path":"{hostile}","client":{{"name":"{hostile}"}}}}"#
        ),
    );
    let report = report_on([run.text().as_str()], &question());
    assert_eq!(report.totals.v1, 1);
    for format in [Format::Table, Format::Json, Format::Markdown, Format::Html] {
        let text = format::render(&report, format).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{format:?}");
        if matches!(format, Format::Markdown | Format::Html) {
            assert!(!text.contains("<img"), "{format:?}");
        }
    }
}

#[test]
fn safe_prints_both_commands_whole_and_by_themselves() {
    let mut runs = quiet();
    for run in &mut runs {
        for line in &mut run.lines {
            *line = line.replace(
                r#""host":"#,
                r#""cloud":{"instance_id":"i-0123456789abcdef0","region":"eu-central-1"},"host":"#,
            );
        }
    }
    let report = report_on([text(&runs).as_str()], &question());
    for format in [Format::Table, Format::Markdown] {
        let text = format::render(&report, format).unwrap();
        for tokens in ["required", "optional"] {
            let command = format!(
                "aws ec2 modify-instance-metadata-options --instance-id i-0123456789abcdef0 \
                 --region eu-central-1 --http-tokens {tokens} --http-endpoint enabled"
            );
            assert!(text.lines().any(|line| line.trim() == command), "{text}");
        }
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Small numbers, and those at which arithmetic ends.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..5_u64, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
    }

    fn record() -> impl Strategy<Value = String> {
        let event = prop::sample::select(crate::record::Event::NAMES.to_vec());
        let time = prop::sample::select(vec![
            "1970-01-01T00:00:00.000000Z",
            "2026-11-22T04:32:51.949123Z",
            "9999-12-30T22:00:00.999999Z",
            "-009999-01-02T01:59:59Z",
        ]);
        (event, time, [(); 6].map(|()| number()), any::<u32>(), 0..3_u8).prop_map(
            |(event, time, [seq, at, v1, suppressed, lost, total], interval, boot)| {
                format!(
                    r#"{{"timestamp":"{time}","schema_version":1,"event":"{event}","seq":{seq},"boottime_us":{at},"boot_id":"{boot}","heartbeat_interval_s":{interval},"cause":"x","total":{total},"counters":{{"requests":{{"v1":{v1}}},"suppressed":{suppressed},"lost":{{"y":{lost}}}}},"imds":{{"version":"v1"}}}}"#
                )
            },
        )
    }

    proptest! {
        #[test]
        fn no_number_makes_the_report_fail(records in prop::collection::vec(record(), 0..30)) {
            let text = records.join("\n");
            let report = report_on([text.as_str()], &question());
            for format in [Format::Table, Format::Json, Format::Markdown, Format::Html] {
                prop_assert!(!format::render(&report, format).unwrap().is_empty());
            }
        }

        #[test]
        fn no_bytes_make_the_report_fail(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut reader = Reader::new(Scope::default(), true);
            // What begins like something compressed may fail, and says so.
            let _ = reader.read(bytes.as_slice());
            let report = summarize(reader.gathered, &question());
            prop_assert_eq!(report.verdict, Verdict::CannotTell);
        }
    }
}
