//! May v1 be turned off here? Every reason why not, or why nobody can tell.

use imds_analyzer_common::loss::LossCause;

use super::{
    coverage::{Boots, HostCoverage},
    group::Counts,
    model::{Caller, Input, Reason, ReasonKind, Reconciled, Verdict},
    moment::{duration, second},
    text::{number, plain, plural},
};

/// What has to be fulfilled for `safe`.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Days that each host has to be watched.
    pub min_days: u32,
    /// Boots that each host has to be watched from their beginning.
    pub min_boots: u32,
    /// Longest time without a watch that is forgiven, µs.
    pub max_gap_us: u64,
    /// They come from the command line, so a reason names the option that it is about.
    pub from_options: bool,
}

/// Part of the time watched that all gaps together may be, if each is short enough.
const FORGIVEN_PART: u64 = 100;

/// What the verdict depends on.
pub struct Facts<'a> {
    /// All requests.
    pub totals: &'a Counts,
    /// Those who made them.
    pub callers: &'a [Caller],
    /// Requests of callers that are not kept apart.
    pub others: &'a Counts,
    /// What was watched.
    pub hosts: &'a [HostCoverage],
    /// All boots.
    pub boots: &'a Boots,
    /// What was read.
    pub input: &'a Input,
    /// Comparisons with CloudWatch.
    pub reconciled: &'a [Reconciled],
    /// What has to be fulfilled.
    pub thresholds: Thresholds,
}

/// The reasons, the worst first. Without any it is `safe`.
pub fn reasons(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.totals.v1_calls() > 0 {
        reasons.push(v1_callers(facts));
    }
    if facts.totals.unknown > 0 {
        reasons.push(unknown(facts));
    }
    for reconciled in facts.reconciled.iter().filter(|one| !one.accounted_for) {
        reasons.push(reason(
            ReasonKind::Unaccounted,
            Some(reconciled.expected - reconciled.counted_at_most),
            reconciled.text.clone(),
        ));
    }
    for host in facts.hosts {
        let of_host = of_host(host, facts);
        let several = facts.hosts.len() > 1;
        reasons.extend(of_host.into_iter().map(|reason| Reason {
            host: several.then(|| plain(&host.label)),
            ..reason
        }));
    }
    reasons.extend(of_input(facts));
    if facts.hosts.is_empty() {
        let text = "there is no record of this format in what was read".to_owned();
        reasons.push(reason(ReasonKind::Nothing, None, text));
    }
    // Those of one kind stay in their order.
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.verdict), reason.kind));
    reasons
}

/// What the reasons amount to.
pub fn verdict(reasons: &[Reason]) -> Verdict {
    let worst = reasons.iter().map(|reason| reason.verdict).max();
    worst.unwrap_or(Verdict::Safe)
}

fn reason(kind: ReasonKind, count: Option<u64>, text: String) -> Reason {
    Reason {
        verdict: Verdict::CannotTell,
        kind,
        host: None,
        count,
        text,
    }
}

fn v1_callers(facts: &Facts<'_>) -> Reason {
    let calling = |caller: &&Caller| caller.counts.v1_calls() > 0;
    let callers: Vec<&Caller> = facts.callers.iter().filter(calling).collect();
    let named = callers
        .iter()
        .take(3)
        .map(|caller| format!("{} ({})", caller.title, number(caller.counts.v1_calls())));
    let mut named: Vec<String> = named.collect();
    if callers.len() > 3 {
        named.push(format!("{} more", number((callers.len() - 3) as u64)));
    }
    if facts.others.v1_calls() > 0 {
        let calls = plural(facts.others.v1_calls(), "call");
        named.push(format!("{calls} by callers not listed"));
    }
    let calls = facts.totals.v1_calls();
    Reason {
        verdict: Verdict::NotSafe,
        count: Some(calls),
        ..reason(
            ReasonKind::V1Callers,
            None,
            format!(
                "{} by {}: {}",
                format_args!("{} without a token", plural(calls, "call")),
                plural(callers.len() as u64, "caller"),
                named.join(", ")
            ),
        )
    }
}

fn unknown(facts: &Facts<'_>) -> Reason {
    let count = facts.totals.unknown;
    let mut why: Vec<&str> = facts
        .callers
        .iter()
        .flat_map(|caller| caller.unknown_reasons.iter().map(String::as_str))
        .collect();
    why.sort_unstable();
    why.dedup();
    why.truncate(4);
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({})", why.join(", "))
    };
    let text = format!(
        "{} could not be read whole{why}, so nobody knows whether with a token",
        plural(count, "request")
    );
    reason(ReasonKind::UnknownRequests, Some(count), text)
}

fn of_host(host: &HostCoverage, facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let boots = || host.boots.iter().map(|covered| &covered.coverage);
    let counted = boots()
        .map(|boot| boot.counted.v1)
        .fold(0, u64::saturating_add);
    let all = facts.boots.all();
    let of_boot = |covered: &super::coverage::Covered| &all[covered.number as usize];
    let logged: u64 = host.boots.iter().map(|boot| of_boot(boot).logged_v1).sum();
    if counted > logged {
        reasons.push(Reason {
            verdict: Verdict::NotSafe,
            ..reason(
                ReasonKind::V1Counted,
                Some(counted - logged),
                format!(
                    "the analyzer counted {} without a token, and the log has {}",
                    plural(counted, "call"),
                    number(logged)
                ),
            )
        });
    }
    reasons.extend(gaps(host, facts));
    let lost = boots()
        .map(|boot| boot.records_lost)
        .fold(0, u64::saturating_add);
    if lost > 0 {
        let text = format!("lost from the log: {}", plural(lost, "record"));
        reasons.push(reason(ReasonKind::RecordsLost, Some(lost), text));
    }
    let mut losses: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (cause, count) in boots().flat_map(|boot| &boot.lost) {
        let sum = losses.entry(cause).or_default();
        *sum = sum.saturating_add(*count);
    }
    // Statuses of requests that have their records.
    losses.remove(LossCause::ResponseRingFull.as_str());
    for (cause, count) in losses {
        let text = format!(
            "capture lost something {} times: {}",
            number(count),
            plain(cause)
        );
        reasons.push(reason(ReasonKind::Loss, Some(count), text));
    }
    let suppressed = boots()
        .map(|boot| boot.counted.suppressed)
        .fold(0, u64::saturating_add);
    if suppressed > 0 {
        let text = format!(
            "{} read and not written, as their callers made too many",
            plural(suppressed, "request")
        );
        reasons.push(reason(ReasonKind::Suppressed, Some(suppressed), text));
    }
    let mut spots: Vec<_> = host
        .boots
        .iter()
        .flat_map(|boot| of_boot(boot).blind_spots.keys())
        .collect();
    spots.sort();
    spots.dedup();
    for (kind, detail) in spots {
        let text = format!("blind spot, {}: {}", plain(kind), plain(detail));
        reasons.push(reason(ReasonKind::BlindSpot, None, text));
    }
    let ragged = host
        .boots
        .iter()
        .map(|boot| of_boot(boot).ragged)
        .sum::<u64>();
    if ragged > 0 {
        let text = format!(
            "{} in too much disorder to tell what is missing",
            plural(ragged, "record")
        );
        reasons.push(reason(ReasonKind::TooMuch, Some(ragged), text));
    }
    reasons.extend(too_short(host, facts.thresholds));
    reasons
}

fn gaps(host: &HostCoverage, facts: &Facts<'_>) -> Option<Reason> {
    let all = facts.boots.all();
    let gaps = || {
        host.boots.iter().flat_map(|covered| {
            let boot = &all[covered.number as usize];
            covered.coverage.gaps.iter().map(move |gap| (boot, gap))
        })
    };
    let gap_us = host.boots.iter().map(|boot| boot.coverage.gap_us);
    let total = gap_us.fold(0, u64::saturating_add);
    let (boot, longest) = gaps().max_by_key(|(_, gap)| gap.time.len_us())?;
    let forgiven = facts
        .thresholds
        .max_gap_us
        .max(host.watched_us / FORGIVEN_PART);
    if longest.time.len_us() <= facts.thresholds.max_gap_us && total <= forgiven {
        return None;
    }
    let count = gaps().count() as u64;
    let at = second(boot.wall_us(longest.time.from));
    let mut text = format!(
        "{} not watched from {at} on: {}",
        duration(longest.time.len_us()),
        longest.kind.as_str()
    );
    if count > 1 {
        text = format!(
            "{text}; {} in all, {} together",
            plural(count, "gap"),
            duration(total)
        );
    }
    Some(reason(ReasonKind::Gap, Some(count), text))
}

fn too_short(host: &HostCoverage, thresholds: Thresholds) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let option = |name| {
        if thresholds.from_options {
            format!(" ({name})")
        } else {
            String::new()
        }
    };
    let wanted_us = u64::from(thresholds.min_days) * 86_400_000_000;
    if host.watched_us < wanted_us {
        let text = format!(
            "watched for {}, less than {}{}",
            duration(host.watched_us),
            plural(thresholds.min_days.into(), "day"),
            option("--min-days")
        );
        reasons.push(reason(ReasonKind::Days, None, text));
    }
    let boots = host.boots_from_the_start();
    if boots < thresholds.min_boots {
        let text = format!(
            "{} watched from the beginning, less than {}{}: most v1 calls come at launch",
            plural(boots.into(), "boot"),
            thresholds.min_boots,
            option("--min-boots")
        );
        reasons.push(reason(ReasonKind::Boots, Some(boots.into()), text));
    }
    reasons
}

fn of_input(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let input = facts.input;
    if input.other_schema > 0 {
        let text = format!(
            "{} of another version of the format, which this program can't read",
            plural(input.other_schema, "record")
        );
        reasons.push(reason(
            ReasonKind::OtherSchema,
            Some(input.other_schema),
            text,
        ));
    }
    for file in &input.unreadable {
        reasons.push(reason(
            ReasonKind::Unreadable,
            None,
            format!("not read to its end: {file}"),
        ));
    }
    if facts.boots.too_many > 0 {
        let text = format!(
            "{} of more boots than are told apart",
            plural(facts.boots.too_many, "record")
        );
        reasons.push(reason(
            ReasonKind::TooMuch,
            Some(facts.boots.too_many),
            text,
        ));
    }
    reasons
}

#[cfg(test)]
mod tests;
