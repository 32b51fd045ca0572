//! For tickets and pull requests: GitHub's and CommonMark's tables.

use std::fmt::Write as _;

use crate::report::{
    model::{Report, Verdict},
    moment::duration,
    text::{number, plural},
};

/// Callers that the table lists.
const MAX_CALLERS: usize = 200;

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "**{}** to turn IMDSv1 off: {}\n",
        match report.verdict {
            Verdict::Safe => "Safe",
            Verdict::CannotTell => "Cannot tell whether it is safe",
            Verdict::NotSafe => "Not safe",
        },
        inline(&report.why)
    );
    if !report.reasons.is_empty() {
        let _ = writeln!(out, "## Why\n");
    }
    for reason in &report.reasons {
        let host = reason.host.as_deref();
        let host = host.map_or(String::new(), |host| format!("{}: ", inline(host)));
        let _ = writeln!(out, "- {host}{}", inline(&reason.text));
    }
    for commands in &report.commands {
        let _ = writeln!(
            out,
            "\n## Commands for {}\n\nTurn v1 off:\n\n    {}\n\nTurn it on again:\n\n    {}",
            inline(&commands.host),
            commands.enforce,
            commands.revert
        );
    }
    if let Some(advice) = &report.hop_limit {
        let _ = writeln!(out, "\n{}", inline(advice));
    }
    callers(&mut out, report);
    steps(&mut out, report);
    hosts(&mut out, report);
    if !report.reconciliation.is_empty() {
        let _ = writeln!(out, "\n## Against CloudWatch\n");
    }
    for compared in &report.reconciliation {
        let _ = writeln!(out, "- {}", inline(&compared.text));
    }
    if !report.notes.is_empty() {
        let _ = writeln!(out, "\n## Notes\n");
    }
    for note in &report.notes {
        let _ = writeln!(out, "- {}", inline(note));
    }
    let _ = writeln!(
        out,
        "\nRead: {}, {}, {} of them of requests that are reported on.",
        plural(report.input.files, "file"),
        plural(report.input.records, "record"),
        number(report.input.request_records)
    );
    out
}

fn callers(out: &mut String, report: &Report) {
    if report.callers.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## Callers\n\n| caller | v1 | refused | v2 | unknown | first seen | last seen |\n\
         |---|--:|--:|--:|--:|---|---|"
    );
    for caller in report.callers.iter().take(MAX_CALLERS) {
        let counts = &caller.counts;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            inline(&caller.title),
            counts.v1,
            counts.v1_rejected,
            counts.v2,
            counts.unknown,
            caller.first_seen,
            caller.last_seen
        );
    }
    let more = report.callers.len().saturating_sub(MAX_CALLERS) as u64;
    if more > 0 {
        let _ = writeln!(out, "\nand {}", plural(more, "more caller"));
    }
}

fn steps(out: &mut String, report: &Report) {
    let mut callers = report
        .callers
        .iter()
        .filter(|caller| caller.counts.v1 > 0)
        .peekable();
    if callers.peek().is_some() {
        let _ = writeln!(out, "\n## What to do\n");
    }
    for caller in callers.take(MAX_CALLERS) {
        let _ = writeln!(out, "- [ ] **{}**", inline(&caller.title));
        for step in &caller.next_steps {
            let _ = writeln!(out, "  - {}", inline(step));
        }
        if let Some(command) = &caller.command_line {
            let _ = writeln!(out, "  - for example: {}", inline(command));
        }
        if let Some(lineage) = &caller.lineage {
            let _ = writeln!(out, "  - below: {}", inline(lineage));
        }
    }
}

fn hosts(out: &mut String, report: &Report) {
    if !report.hosts.is_empty() {
        let _ = writeln!(
            out,
            "\n## Watched\n\n| host | boot | from | to | watched | not watched |\n|---|---|---|---|--:|--:|"
        );
    }
    for host in &report.hosts {
        for boot in &host.boots {
            let gaps: u64 = boot.gaps.iter().map(|gap| gap.seconds).sum();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                inline(&host.host),
                inline(boot.boot_id.as_deref().unwrap_or("(no id)")),
                boot.from,
                boot.to,
                duration(boot.watched_seconds * 1_000_000),
                duration(gaps.saturating_mul(1_000_000))
            );
        }
    }
}

/// Text that means nothing to Markdown: every ASCII punctuation that could is escaped
/// (CommonMark 2.4), so that a caller's name makes no link, column or HTML.
fn inline(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A mention or a reference, to whoever renders tickets.
            '@' => escaped.push_str("&#64;"),
            '#' => escaped.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    // A bare address would become a link.
    escaped
        .replace("://", "&#58;//")
        .replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_caller_makes_no_markup() {
        assert_eq!(
            inline("a|b `c` <img src=x> [d](http://e) @f #1 g_h"),
            "a\\|b \\`c\\` &lt;img src=x&gt; \\[d\\](http&#58;//e) &#64;f &#35;1 g\\_h"
        );
        assert_eq!(inline("/opt/backup.sh -v"), "/opt/backup.sh -v");
    }
}
