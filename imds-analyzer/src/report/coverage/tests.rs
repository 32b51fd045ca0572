use super::*;
use crate::report::{
    fixture::{Run, question, report_on, report_on_runs},
    model::{BootReport, Hole, Report},
};

fn boot(report: &Report) -> &BootReport {
    &report.hosts[0].boots[0]
}

fn gaps(report: &Report) -> Vec<(u64, GapKind)> {
    let gap = |gap: &Hole| (gap.seconds, gap.kind);
    let boots = report.hosts.iter().flat_map(|host| &host.boots);
    boots.flat_map(|boot| boot.gaps.iter().map(gap)).collect()
}

#[test]
fn run_with_heartbeats_has_no_gap() {
    let mut run = Run::start(1, 4);
    run.beat(120);
    let report = report_on_runs(&[run.stop()]);
    assert_eq!(gaps(&report), []);
    assert_eq!(boot(&report).watched_seconds, 7_200);
    assert_eq!(boot(&report).unwatched_at_start_seconds, Some(4.0));
    assert!(boot(&report).watched_from_the_start);
}

#[test]
fn more_than_three_intervals_without_a_record_are_a_gap() {
    for (seconds, expected) in [(180, vec![]), (181, vec![(181, GapKind::Silent)])] {
        let mut run = Run::start(1, 4);
        run.beat(5).pass(seconds);
        run.write("heartbeat", r#""heartbeat_interval_s":60"#);
        assert_eq!(gaps(&report_on_runs(&[run.stop()])), expected);
    }
}

#[test]
fn interval_is_the_run_s_own() {
    let mut run = Run::start_with(1, 4, r#","heartbeat_interval_s":600"#);
    // A name that is there twice is no record: one that says so in its heartbeats.
    run.lines.clear();
    run.pass(1_700);
    run.write("heartbeat", r#""heartbeat_interval_s":600"#);
    run.pass(1_700);
    run.write("heartbeat", r#""heartbeat_interval_s":600"#);
    assert_eq!(gaps(&report_on_runs(&[run.stop()])), []);
}

#[test]
fn requests_are_signs_of_life_too() {
    let mut run = Run::start(1, 4);
    for _ in 0..10 {
        run.pass(100).request("a", "v2", "", "");
    }
    assert_eq!(gaps(&report_on_runs(&[run.stop()])), []);
}

#[test]
fn jump_of_the_wall_clock_makes_no_gap_and_hides_none() {
    let mut run = Run::start(1, 4);
    run.ahead_s = -40 * 365 * 86_400;
    run.beat(10);
    run.ahead_s = 0;
    run.beat(10);
    let report = report_on_runs(&[run.stop()]);
    assert_eq!(gaps(&report), []);
    assert_eq!(boot(&report).watched_seconds, 1_200);

    let mut run = Run::start(1, 4);
    run.beat(10).pass(21_600);
    // Back by as much as was not watched: by the wall clock nothing is missing.
    run.ahead_s = -21_600;
    run.beat(10);
    let found = gaps(&report_on_runs(&[run.stop()]));
    assert_eq!(found, [(21_660, GapKind::Silent)]);
}

#[test]
fn records_whose_numbers_are_missing_are_counted_and_their_time_too() {
    let mut run = Run::start(1, 4);
    run.beat(10).lose(360).pass(21_600);
    run.beat(10);
    let report = report_on_runs(&[run.stop()]);
    assert_eq!(gaps(&report), [(21_660, GapKind::RecordsMissing)]);
    assert_eq!(boot(&report).records_lost, 360);
    // Two that are missing between others leave no time unwatched.
    let mut run = Run::start(1, 4);
    run.beat(1).lose(2).beat(1);
    let report = report_on_runs(&[run.stop()]);
    assert_eq!((gaps(&report), boot(&report).records_lost), (vec![], 2));
}

#[test]
fn time_between_runs_is_a_gap_and_says_how_it_began() {
    let mut first = Run::start(1, 4);
    first.beat(10);
    let mut second = Run::start(1, 904);
    second.beat(10);
    let second = second.stop();
    let report = report_on_runs(&[first, second]);
    assert_eq!(gaps(&report), [(300, GapKind::EndedUntold)]);
    assert_eq!(boot(&report).runs, 2);

    let mut first = Run::start(1, 4);
    first.beat(10);
    let mut second = Run::start(1, 610);
    second.beat(10);
    let report = report_on_runs(&[first.stop(), second.stop()]);
    assert_eq!(gaps(&report), [(6, GapKind::NotRunning)]);
}

#[test]
fn nothing_depends_on_the_order_of_the_lines() {
    let mut first = Run::start(1, 4);
    first.beat(30).lose(3).beat(30);
    let mut second = Run::start(1, 5_000);
    second.beat(30);
    let lines: Vec<String> = [first.stop().lines, second.stop().lines].concat();
    let in_order = report_on([lines.join("\n").as_str()], &question());
    for step in [1, 7, 13, 40] {
        let mut shuffled = lines.clone();
        shuffled.reverse();
        shuffled.rotate_left(step);
        let (a, b) = shuffled.split_at(step * 2);
        let texts = [b.join("\n"), a.join("\n")];
        let report = report_on(texts.iter().map(String::as_str), &question());
        assert_eq!(report.hosts, in_order.hosts, "{step}");
        assert_eq!(report.input.records_twice, 0);
    }
}

#[test]
fn copy_of_a_log_counts_once() {
    let mut run = Run::start(1, 4);
    run.request("a", "v1", "", "").beat(30);
    let text = run.stop().text();
    let report = report_on([text.as_str(), text.as_str()], &question());
    assert_eq!((report.totals.v1, report.input.records_twice), (1, 33));
    assert_eq!(gaps(&report), []);
}

#[test]
fn log_that_begins_in_the_middle_of_a_run_has_lost_nothing() {
    let mut run = Run::start(1, 4);
    run.beat(30);
    let mut run = run.stop();
    run.lines.drain(..10);
    let report = report_on_runs(&[run]);
    assert_eq!((gaps(&report), boot(&report).records_lost), (vec![], 0));
    assert!(!boot(&report).watched_from_the_start);
    assert_eq!(boot(&report).unwatched_at_start_seconds, None);
}

#[test]
fn analyzer_that_starts_late_in_a_later_boot_leaves_a_gap() {
    let runs = |late: u64| {
        let mut first = Run::start(1, 4);
        first.beat(10);
        let mut second = Run::start(2, late);
        second.beat(10);
        [first.stop(), second.stop()]
    };
    assert_eq!(gaps(&report_on_runs(&runs(25))), []);
    let report = report_on_runs(&runs(3_600));
    assert_eq!(gaps(&report), [(3_600, GapKind::BeforeStart)]);
    assert_eq!(report.hosts[0].boots_watched, 1);
}

#[test]
fn analyzer_that_was_installed_in_the_first_boot_left_no_gap_there() {
    let mut run = Run::start(1, 86_400);
    run.beat(10);
    let report = report_on_runs(&[run.stop()]);
    assert_eq!((gaps(&report), report.hosts[0].boots_watched), (vec![], 0));
}

#[test]
fn boot_whose_end_was_not_seen_leaves_a_gap_up_to_the_next() {
    let mut first = Run::start(1, 4);
    first.beat(10);
    let second = Run::start(2, 4).stop();
    let report = report_on_runs(&[first, second]);
    let day = 86_400;
    assert_eq!(gaps(&report), [(100 * day - 604, GapKind::EndedUntold)]);
}

#[test]
fn analyzer_of_this_boot_that_writes_nothing_any_more_leaves_a_gap_up_to_now() {
    let mut run = Run::start(1, 4);
    run.beat(10);
    let mut question = question();
    question.now = Now {
        boot_id: Some("00000001-0f6d-4f0e-9b57-2f5f6f2f7a11".to_owned()),
        boottime_us: 22_204_000_000,
    };
    let report = report_on([run.text().as_str()], &question);
    assert_eq!(gaps(&report), [(21_600, GapKind::SilentNow)]);
    let stopped = run.stop().text();
    assert_eq!(gaps(&report_on([stopped.as_str()], &question)), []);
}

#[test]
fn losses_of_runs_add_up_and_totals_within_a_run_do_not() {
    let lossy = |at_s| {
        let mut run = Run::start(1, at_s);
        run.write("capture_loss", r#""cause":"ring_full","count":3,"total":3"#);
        run.write("capture_loss", r#""cause":"ring_full","count":4,"total":7"#);
        run.write(
            "heartbeat",
            r#""heartbeat_interval_s":60,"counters":{"lost":{"ring_full":7,"malformed":1}}"#,
        );
        run.stop()
    };
    let report = report_on_runs(&[lossy(4), lossy(100)]);
    let lost: Vec<_> = report.hosts[0].lost.iter().collect();
    assert_eq!(
        lost,
        [
            (&"malformed".to_owned(), &2),
            (&"ring_full".to_owned(), &14)
        ]
    );
}

#[test]
fn boots_of_an_instance_are_put_together_by_its_id_or_its_name() {
    let with_id = Run::start_with(1, 4, r#","cloud":{"instance_id":"i-0123456789abcdef0"}"#);
    let by_name = Run::start(2, 4);
    let other = Run::on("web-2", 3, 4, "");
    let report = report_on_runs(&[by_name.stop(), with_id.stop(), other.stop()]);
    let hosts: Vec<_> = report
        .hosts
        .iter()
        .map(|host| (host.host.as_str(), host.boots.len()))
        .collect();
    assert_eq!(hosts, [("i-0123456789abcdef0", 2), ("web-2", 1)]);
}

#[test]
fn record_by_record_disorder_is_bounded_and_told() {
    let mut run = Run::start(1, 4);
    run.beat(3 * MAX_PIECES as u64);
    let lines = run.stop().lines;
    // Every other line first: no two of them follow each other.
    let odd = lines
        .iter()
        .step_by(2)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    let report = report_on([odd.as_str()], &question());
    assert!(
        report
            .reasons
            .iter()
            .any(|reason| reason.text.contains("disorder"))
    );
}

mod properties {
    use proptest::prelude::*;

    use crate::report::fixture::{Run, question, report_on};

    proptest! {
        /// Whatever lines are lost and in whatever order the rest is read: each missing
        /// number is counted, and every moment is either watched or in a gap.
        #[test]
        fn what_is_missing_is_counted_and_no_time_is_forgotten(
            pauses in prop::collection::vec(1..400_u64, 2..60),
            lost in prop::collection::btree_set(1..58_usize, 0..20),
            cut in 0..60_usize,
        ) {
            let mut run = Run::start(1, 4);
            for pause in &pauses {
                run.pass(*pause);
                run.write("heartbeat", r#""heartbeat_interval_s":60"#);
            }
            // The first and the last line stay: beyond them nothing can be known.
            let last = run.lines.len() - 1;
            let kept: Vec<&str> = run
                .lines
                .iter()
                .enumerate()
                .filter(|(at, _)| *at == last || !lost.contains(at))
                .map(|(_, line)| line.as_str())
                .collect();
            let (early, late) = kept.split_at(cut.min(kept.len()));
            let texts = [late.join("\n"), early.join("\n")];
            let report = report_on(texts.iter().map(String::as_str), &question());
            let boot = &report.hosts[0].boots[0];
            prop_assert_eq!(boot.records_lost, (run.lines.len() - kept.len()) as u64);
            let gaps: u64 = boot.gaps.iter().map(|gap| gap.seconds).sum();
            prop_assert_eq!(boot.watched_seconds + gaps, pauses.iter().sum::<u64>());
            prop_assert!(boot.gaps.iter().all(|gap| gap.seconds > 180));
        }
    }
}
