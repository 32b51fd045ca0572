//! For people at a terminal: the verdict and why first, then what to do, then the rest.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::report::{
    model::{Caller, Commands, HostReport, Report, Verdict},
    moment::duration,
    summary::at_boot,
    text::{number, plural},
};

/// Callers with tokens only that are listed.
const MAX_WITH_TOKENS: usize = 20;

/// Callers whose v1 calls are explained one by one.
const MAX_EXPLAINED: usize = 50;

/// Gaps of a boot that are listed.
const MAX_GAPS: usize = 10;

/// Boots of a host that are listed, the last ones.
const MAX_BOOTS: usize = 10;

/// The report in `width` columns.
pub(super) fn render(report: &Report, width: u16, colour: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "{}", first_line(report, colour));
    reasons(&mut out, report, width);
    commands(&mut out, report, width);
    explained(&mut out, report, width);
    callers(&mut out, report, width);
    reconciliation(&mut out, report, width);
    hosts(&mut out, report);
    notes(&mut out, report, width);
    out
}

fn first_line(report: &Report, colour: bool) -> String {
    let verdict = report.verdict.as_str();
    let verdict = match (colour, report.verdict) {
        (false, _) => verdict.to_owned(),
        (true, Verdict::Safe) => format!("\u{1b}[1;32m{verdict}\u{1b}[0m"),
        (true, Verdict::CannotTell) => format!("\u{1b}[1;33m{verdict}\u{1b}[0m"),
        (true, Verdict::NotSafe) => format!("\u{1b}[1;31m{verdict}\u{1b}[0m"),
    };
    let question = match report.verdict {
        Verdict::CannotTell => "whether IMDSv1 can be turned off",
        Verdict::Safe | Verdict::NotSafe => "to turn IMDSv1 off",
    };
    format!("{verdict} {question}: {}", report.why)
}

fn reasons(out: &mut String, report: &Report, width: u16) {
    // The first line has told a single one already.
    if report.reasons.len() < 2 {
        return;
    }
    let _ = writeln!(out, "\nWhy");
    for reason in &report.reasons {
        let mark = match reason.verdict {
            Verdict::NotSafe => "not safe",
            _ => "unsure",
        };
        let host = reason.host.as_deref();
        let host = host.map_or(String::new(), |host| format!("{host}: "));
        wrapped(
            out,
            &format!("  {mark:<9} "),
            &format!("{host}{}", reason.text),
            width,
        );
    }
}

fn commands(out: &mut String, report: &Report, width: u16) {
    let several = report.commands.len() > 1;
    for Commands {
        host,
        enforce,
        revert,
        has_placeholders,
    } in &report.commands
    {
        let of = if several {
            format!(" on {host}")
        } else {
            String::new()
        };
        // A command is one line, however long: it is there to be copied.
        let _ = writeln!(
            out,
            "\nTurn v1 off{of}:\n  {enforce}\nTurn it on again:\n  {revert}"
        );
        if *has_placeholders {
            let text = "INSTANCE_ID and REGION stand for what neither the log nor this host tells.";
            wrapped(out, "  ", text, width);
        }
    }
    if let Some(advice) = &report.hop_limit {
        wrapped(out, "  Hop limit: ", advice, width);
    }
}

fn explained(out: &mut String, report: &Report, width: u16) {
    let mut callers = report
        .callers
        .iter()
        .filter(|caller| caller.counts.v1 > 0)
        .peekable();
    if callers.peek().is_some() {
        let _ = writeln!(out, "\nWho calls v1, and what to do");
    }
    for (at, caller) in callers.by_ref().take(MAX_EXPLAINED).enumerate() {
        let _ = writeln!(out, "\n{:>3}. {}", at + 1, caller.title);
        explain(out, caller, width);
    }
    let more = callers.count() as u64;
    if more > 0 {
        let _ = writeln!(
            out,
            "\n     and {}: --format json has them",
            plural(more, "more caller")
        );
    }
}

fn explain(out: &mut String, caller: &Caller, width: u16) {
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            wrapped(out, &format!("       {label:<8}"), text, width);
        }
    };
    line("do", caller.next_steps.first().map_or("", String::as_str));
    for step in caller.next_steps.iter().skip(1) {
        line("", step);
    }
    line("why", &why(caller));
    let counts = &caller.counts;
    let mut calls = plural(counts.v1, "v1 call");
    if counts.v1_rejected > 0 {
        calls.push_str(&format!(", {} refused (401)", number(counts.v1_rejected)));
    }
    if counts.at_boot > 0 {
        calls.push_str(&format!(
            "; {} of all its requests {}",
            number(counts.at_boot),
            at_boot()
        ));
    }
    line("calls", &calls);
    line(
        "seen",
        &format!("{} to {}", caller.first_seen, caller.last_seen),
    );
    if counts.credentials > 0 {
        let paths = caller.credential_paths.join(", ");
        line(
            "secrets",
            &format!(
                "{} for credentials: {paths}",
                plural(counts.credentials, "request")
            ),
        );
    }
    line("client", &caller.clients.join(", "));
    line("version", &caller.package_versions.join(", "));
    line("user", &caller.users.join(", "));
    line("inside", &caller.containers.join(", "));
    line("host", &caller.hosts.join(", "));
    line(
        "command",
        caller.command_line.as_deref().unwrap_or_default(),
    );
    line("path", caller.path.as_deref().unwrap_or_default());
    line("below", caller.lineage.as_deref().unwrap_or_default());
}

/// Causes without clients, each once: `token_refused 405 (12)`.
fn why(caller: &Caller) -> String {
    let mut causes: Vec<(String, u64)> = Vec::new();
    for cause in &caller.causes {
        let mut name = cause
            .cause
            .clone()
            .unwrap_or_else(|| "cause not known".to_owned());
        if let Some(status) = cause.status {
            name.push_str(&format!(" {status}"));
        }
        match causes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += cause.count,
            None => causes.push((name, cause.count)),
        }
    }
    let causes = causes
        .iter()
        .map(|(name, count)| format!("{name} ({})", number(*count)));
    causes.collect::<Vec<_>>().join(", ")
}

fn callers(out: &mut String, report: &Report, width: u16) {
    if report.callers.is_empty() {
        return;
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["  caller", "v1", "refused", "v2", "unknown", "last seen"]);
    let (with_tokens, others): (Vec<&Caller>, Vec<&Caller>) = report
        .callers
        .iter()
        .partition(|caller| caller.counts.v2 == caller.counts.requests);
    for caller in others
        .iter()
        .chain(with_tokens.iter().take(MAX_WITH_TOKENS))
    {
        let counts = &caller.counts;
        table.add_row([
            format!("  {}", caller.title),
            number(counts.v1),
            number(counts.v1_rejected),
            number(counts.v2),
            number(counts.unknown),
            caller.last_seen.clone(),
        ]);
    }
    for at in 1..5 {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(column) = table.column_mut(5) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(20)));
    }
    let _ = writeln!(out, "\nAll callers\n");
    for line in table.to_string().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let more = with_tokens.len().saturating_sub(MAX_WITH_TOKENS) as u64;
    if more > 0 {
        let _ = writeln!(
            out,
            "  and {} with tokens: --format json has them",
            plural(more, "more caller")
        );
    }
}

fn reconciliation(out: &mut String, report: &Report, width: u16) {
    if !report.reconciliation.is_empty() {
        let _ = writeln!(out, "\nAgainst CloudWatch");
    }
    for compared in &report.reconciliation {
        wrapped(out, "  ", &compared.text, width);
    }
}

fn hosts(out: &mut String, report: &Report) {
    for host in &report.hosts {
        let _ = writeln!(
            out,
            "\nWatched: {}, {} d in all, {} from the beginning",
            host.host,
            host.days_watched,
            plural(host.boots_watched.into(), "boot")
        );
        boots(out, host);
    }
}

fn boots(out: &mut String, host: &HostReport) {
    let hidden = host.boots.len().saturating_sub(MAX_BOOTS);
    if hidden > 0 {
        let _ = writeln!(out, "  {} before these", plural(hidden as u64, "boot"));
    }
    for boot in host.boots.iter().skip(hidden) {
        let start = match boot.unwatched_at_start_seconds {
            Some(seconds) => format!("from {seconds} s after boot"),
            None => "beginning not in the log".to_owned(),
        };
        let _ = writeln!(
            out,
            "  boot {}  {} to {}, {}, watched {}, {}",
            boot.boot_id
                .as_deref()
                .map_or("(no id)", |id| &id[..id.floor_char_boundary(8)]),
            boot.from,
            boot.to,
            start,
            duration(boot.watched_seconds * 1_000_000),
            plural(boot.runs.into(), "run"),
        );
        for gap in boot.gaps.iter().take(MAX_GAPS) {
            let _ = writeln!(
                out,
                "    not watched for {}: {} to {}, {}",
                duration(gap.seconds * 1_000_000),
                gap.from,
                gap.to,
                gap.kind.as_str()
            );
        }
        let more = boot.gaps.len().saturating_sub(MAX_GAPS) as u64;
        if more > 0 {
            let _ = writeln!(out, "    and {}", plural(more, "more gap"));
        }
        if boot.records_lost > 0 {
            let _ = writeln!(out, "    {} missing", plural(boot.records_lost, "record"));
        }
    }
}

fn notes(out: &mut String, report: &Report, width: u16) {
    if !report.notes.is_empty() {
        let _ = writeln!(out, "\nNotes");
    }
    for note in &report.notes {
        wrapped(out, "  ", note, width);
    }
    let input = &report.input;
    let _ = writeln!(
        out,
        "\nRead: {}, {}, {} of them of requests that are reported on.",
        plural(input.files, "file"),
        plural(input.records, "record"),
        number(input.request_records)
    );
}

/// Text behind a label, broken between words, later lines below its beginning.
fn wrapped(out: &mut String, label: &str, text: &str, width: u16) {
    let room = usize::from(width)
        .saturating_sub(label.chars().count())
        .max(30);
    let mut line = String::new();
    let mut len = 0;
    let mut prefix = label.to_owned();
    let mut flush = |line: &mut String, out: &mut String| {
        let _ = writeln!(out, "{}", format!("{prefix}{line}").trim_end());
        prefix = " ".repeat(label.chars().count());
        line.clear();
    };
    for word in text.split(' ') {
        let word_len = word.chars().count();
        if len > 0 && len + 1 + word_len > room {
            flush(&mut line, out);
            len = 0;
        }
        if len > 0 {
            line.push(' ');
            len += 1;
        }
        line.push_str(word);
        len += word_len;
    }
    flush(&mut line, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_below_its_label() {
        let mut out = String::new();
        wrapped(&mut out, "do  ", &"word ".repeat(12), 34);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "do  word word word word word word");
        assert!(lines[1].starts_with("    word"));
        assert!(lines.iter().all(|line| line.chars().count() <= 34), "{out}");
        let words = out.split_whitespace().filter(|word| *word == "word");
        assert_eq!(words.count(), 12);
    }
}
