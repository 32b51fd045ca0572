//! One page, complete in itself: no network, a timeline, and a table that can be sorted.
//!
//! The page forbids itself everything but its own style and script, which its policy
//! names by their digests. Text of records goes through the template's escaping and
//! nowhere into script, style or an attribute that has a meaning.

mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::report::{
    model::{Caller, HostReport, Report, Verdict},
    moment::duration,
    summary::at_boot,
    text::{number, plural},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page may do: nothing but this style and this script, by their digests
/// (Content Security Policy Level 3, 2.3.1). `cargo xtask test` has Chromium check them.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
    style-src 'sha256-wmbACSEAxKLn6pvdtAmqfx2KdEkn21Jae2ObRQwqT5s='; \
    script-src 'sha256-NBLw1D1J8aUwLwEfJBbFMhgA2m9SfR0R9SEmbtq1Zbo='";

/// Callers in the table, and of those with tokens only.
const MAX_CALLERS: usize = 1_000;

pub(super) fn render(report: &Report) -> String {
    let title = format!("{}: {}", report.verdict.as_str(), report.why);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "May IMDSv1 be turned off?" }
                (verdict(report))
                (commands(report))
                (timeline::picture(report))
                (callers(report))
                (steps(report))
                (hosts(report))
                @if !report.reconciliation.is_empty() {
                    h2 { "Against CloudWatch" }
                    ul { @for one in &report.reconciliation { li { (one.text) } } }
                }
                @if !report.notes.is_empty() {
                    h2 { "Notes" }
                    ul { @for note in &report.notes { li { (note) } } }
                }
                p class="dim" {
                    "Read: " (plural(report.input.files, "file")) ", "
                    (plural(report.input.records, "record")) ", "
                    (number(report.input.request_records)) " of them of requests that are reported on."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let mut page = page.into_string();
    page.push('\n');
    page
}

fn verdict(report: &Report) -> Markup {
    let (class, text) = match report.verdict {
        Verdict::Safe => ("verdict safe", "Safe"),
        Verdict::CannotTell => ("verdict", "Cannot tell"),
        Verdict::NotSafe => ("verdict not_safe", "Not safe"),
    };
    html! {
        div class=(class) id="verdict" {
            strong { (text) }
            p { (report.why) }
            @if report.reasons.len() > 1 {
                ul {
                    @for reason in &report.reasons {
                        li {
                            @if let Some(host) = &reason.host { (host) ": " }
                            (reason.text)
                        }
                    }
                }
            }
        }
    }
}

fn commands(report: &Report) -> Markup {
    html! {
        @for commands in &report.commands {
            h2 { "Commands for " (commands.host) }
            p { "Turn v1 off:" }
            pre { (commands.enforce) }
            p { "Turn it on again:" }
            pre { (commands.revert) }
        }
        @if let Some(advice) = &report.hop_limit { p { (advice) } }
    }
}

fn callers(report: &Report) -> Markup {
    let number_column =
        |name: &str| html! { th class="number" { button type="button" { (name) } } };
    let text_column = |name: &str| html! { th { button type="button" { (name) } } };
    html! {
        h2 { "Callers" }
        table class="sortable" id="callers" {
            thead {
                tr {
                    (text_column("caller")) (number_column("v1")) (number_column("refused"))
                    (number_column("v2")) (number_column("unknown")) (number_column("at boot"))
                    (text_column("first seen")) (text_column("last seen"))
                }
            }
            tbody {
                @for caller in report.callers.iter().take(MAX_CALLERS) {
                    tr class=(if caller.counts.v1 > 0 { "v1" } else { "" }) {
                        td { (caller.title) }
                        (count(caller.counts.v1)) (count(caller.counts.v1_rejected))
                        (count(caller.counts.v2)) (count(caller.counts.unknown))
                        (count(caller.counts.at_boot))
                        td { (caller.first_seen) }
                        td { (caller.last_seen) }
                    }
                }
            }
        }
        @if report.callers.len() > MAX_CALLERS {
            p { "and " (plural((report.callers.len() - MAX_CALLERS) as u64, "more caller")) }
        }
        p class="dim" { "At boot: " (at_boot()) "." }
    }
}

fn count(count: u64) -> Markup {
    html! { td class="number" data-key=(count) { (number(count)) } }
}

fn steps(report: &Report) -> Markup {
    let mut callers = report
        .callers
        .iter()
        .filter(|caller| caller.counts.v1 > 0)
        .peekable();
    html! {
        @if callers.peek().is_some() {
            h2 { "What to do" }
            ol { @for caller in callers.take(MAX_CALLERS) { li { (step(caller)) } } }
        }
    }
}

fn step(caller: &Caller) -> Markup {
    let row = |name: &str, text: &str| {
        html! { @if !text.is_empty() { dt { (name) } dd { (text) } } }
    };
    let causes: Vec<String> = caller
        .causes
        .iter()
        .map(|cause| {
            let name = cause.cause.as_deref().unwrap_or("cause not known");
            let client = cause.client.as_deref().unwrap_or("unknown client");
            let version = cause.client_version.as_deref().unwrap_or("");
            format!("{name}, {client} {version}: {}", number(cause.count))
        })
        .collect();
    html! {
        strong { (caller.title) }
        @for step in &caller.next_steps { p { (step) } }
        dl {
            (row("why", &causes.join("; ")))
            (row("secrets", &caller.credential_paths.join(", ")))
            (row("user", &caller.users.join(", ")))
            (row("inside", &caller.containers.join(", ")))
            (row("host", &caller.hosts.join(", ")))
            (row("version", &caller.package_versions.join(", ")))
            @if let Some(command) = &caller.command_line { dt { "command" } dd { code { (command) } } }
            (row("path", caller.path.as_deref().unwrap_or_default()))
            (row("below", caller.lineage.as_deref().unwrap_or_default()))
        }
    }
}

fn hosts(report: &Report) -> Markup {
    html! {
        @if !report.hosts.is_empty() {
            h2 { "Watched" }
            table {
                thead {
                    tr {
                        th { "host" } th { "boot" } th { "from" } th { "to" }
                        th class="number" { "watched" } th { "not watched" }
                    }
                }
                tbody { @for host in &report.hosts { (boots(host)) } }
            }
        }
    }
}

fn boots(host: &HostReport) -> Markup {
    html! {
        @for boot in &host.boots {
            tr {
                td { (host.host) }
                td { code { (boot.boot_id.as_deref().unwrap_or("(no id)")) } }
                td { (boot.from) }
                td { (boot.to) }
                td class="number" { (duration(boot.watched_seconds * 1_000_000)) }
                td {
                    @match boot.unwatched_at_start_seconds {
                        Some(seconds) => { "first " (seconds) " s of the boot" }
                        None => { "its beginning is not in the log" }
                    }
                    @for gap in boot.gaps.iter().take(20) {
                        br;
                        (duration(gap.seconds * 1_000_000)) " from " (gap.from) ": " (gap.kind.as_str())
                    }
                    @if boot.records_lost > 0 {
                        br;
                        (plural(boot.records_lost, "record")) " missing"
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
