//! The picture: requests over time, and below it when each host was watched.

use maud::{Markup, html};

use crate::report::{
    model::{HostReport, Report},
    moment::{parse, second},
    text::number,
};

/// Size of the picture, in its own units.
const WIDTH: f64 = 1_000.0;
/// Room for names on the left.
const LEFT: f64 = 150.0;
/// Height of the bars.
const BARS: f64 = 120.0;
/// Height of a host's lane.
const LANE: f64 = 18.0;

/// Hosts that have a lane.
const MAX_LANES: usize = 30;

/// Time to place.
struct Axis {
    from_us: i64,
    to_us: i64,
}

impl Axis {
    /// Where a moment lies, within the picture.
    fn x(&self, us: i64) -> f64 {
        let span = (self.to_us - self.from_us).max(1) as f64;
        let part = (us.saturating_sub(self.from_us)) as f64 / span;
        round(LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT))
    }
}

/// The picture, if there is a time to show.
pub(super) fn picture(report: &Report) -> Markup {
    let time = |text: &Option<String>| text.as_deref().and_then(parse);
    let (Some(from_us), Some(to_us)) = (time(&report.period.from), time(&report.period.to)) else {
        return html! {};
    };
    let to_us = to_us.max(from_us + report.timeline.step_us);
    let axis = Axis { from_us, to_us };
    let lanes = report.hosts.len().min(MAX_LANES);
    let height = BARS + 30.0 + lanes as f64 * LANE;
    let most = report
        .timeline
        .steps()
        .map(|(_, step)| step.v1 + step.v2 + step.unknown)
        .max()
        .unwrap_or(0);
    html! {
        h2 { "Over time" }
        svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="Requests over time and when each host was watched" {
            text x="0" y="12" { "requests, at most " (number(most)) }
            text class="bar-v1" x="0" y="30" { "v1" }
            text class="bar-v2" x="0" y="46" { "v2" }
            text class="bar-unknown" x="0" y="62" { "unknown" }
            @for (at, step) in report.timeline.steps() {
                (bars(&axis, report.timeline.step_us, at, step, most))
            }
            line class="axis" x1=(LEFT) x2=(WIDTH) y1=(BARS) y2=(BARS) {}
            text x=(LEFT) y=(BARS + 14.0) { (second(from_us)) }
            text x=(WIDTH) y=(BARS + 14.0) text-anchor="end" { (second(to_us)) }
            @for (at, host) in report.hosts.iter().take(MAX_LANES).enumerate() {
                (lane(&axis, host, BARS + 24.0 + at as f64 * LANE))
            }
        }
        @if report.hosts.len() > MAX_LANES {
            p class="dim" { "and " (number((report.hosts.len() - MAX_LANES) as u64)) " more hosts" }
        }
    }
}

fn bars(
    axis: &Axis,
    step_us: i64,
    at: i64,
    step: crate::report::timeline::Step,
    most: u64,
) -> Markup {
    let x = axis.x(at);
    let width = round((axis.x(at + step_us) - x - 0.5).max(1.0));
    let height = |count: u64| {
        // What is there is seen, however little it is.
        let part = count as f64 / most.max(1) as f64;
        if count == 0 {
            0.0
        } else {
            (part * (BARS - 10.0)).max(1.5)
        }
    };
    let mut bottom = BARS;
    let mut bar = |class: &str, count: u64| {
        let height = height(count);
        bottom -= height;
        html! {
            @if count > 0 {
                rect class=(class) x=(x) width=(width) y=(round(bottom)) height=(round(height)) {
                    title { (second(at)) ": " (number(count)) }
                }
            }
        }
    };
    html! {
        (bar("bar-v1", step.v1))
        (bar("bar-unknown", step.unknown))
        (bar("bar-v2", step.v2))
    }
}

fn lane(axis: &Axis, host: &HostReport, y: f64) -> Markup {
    let span = |class: &str, from: &str, to: &str, what: &str| {
        let (from_x, to_x) = (
            axis.x(parse(from).unwrap_or(axis.from_us)),
            axis.x(parse(to).unwrap_or(axis.from_us)),
        );
        html! {
            rect class=(class) x=(from_x) width=(round((to_x - from_x).max(1.0))) y=(y) height="10" {
                title { (what) " from " (from) " to " (to) }
            }
        }
    };
    html! {
        text x="0" y=(y + 9.0) { (host.host.chars().take(22).collect::<String>()) }
        @for boot in &host.boots {
            (span("seen", &boot.from, &boot.to, "watched"))
            @for gap in &boot.gaps { (span("gap", &gap.from, &gap.to, "not watched")) }
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
