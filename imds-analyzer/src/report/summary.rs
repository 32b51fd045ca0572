//! From what was counted to the report.

use std::collections::BTreeSet;

use super::{
    commands::commands,
    coverage::{Boots, Covered, HostCoverage, Now, hosts},
    group::{AT_BOOT_MINUTES, Counts, Few, Group, Groups, Why},
    model::*,
    moment::{Moment, duration, second},
    reconcile::reconcile,
    scope::Scope,
    steps::{Situation, next_step},
    subject::{Kind, Subject},
    text::{number, plain, plural},
    timeline::Timeline,
    verdict::{Facts, Thresholds, reasons, verdict},
};
use crate::record::Cloud;

/// Everything that was read.
pub struct Gathered {
    /// Boots and runs.
    pub boots: Boots,
    /// Callers.
    pub groups: Groups,
    /// Requests over time.
    pub timeline: Timeline,
    /// Lines.
    pub input: Input,
}

/// What was asked, and where.
pub struct Question {
    /// What is reported on.
    pub scope: Scope,
    /// `--boot`, as it was asked.
    pub boot: Option<String>,
    /// What has to be fulfilled.
    pub thresholds: Thresholds,
    /// `MetadataNoToken`.
    pub no_token: Option<u64>,
    /// `MetadataNoTokenRejected`.
    pub no_token_rejected: Option<u64>,
    /// The boot that this program runs in.
    pub now: Now,
    /// Name of the host that it runs on.
    pub host_name: Option<String>,
    /// Which instance that is.
    pub cloud: Cloud,
}

/// Makes the report.
pub fn report(gathered: Gathered, question: &Question) -> Report {
    let Gathered {
        mut boots,
        groups,
        timeline,
        mut input,
    } = gathered;
    boots.settle();
    input.records_twice = boots.twice;
    let hosts = hosts(
        boots.all(),
        |boot| question.scope.beginning_us(boot),
        &question.now,
    );
    let other_services = groups.other_services;
    let (groups, others) = groups.finish();
    let mut totals = others;
    for (_, group) in &groups {
        totals.add(&group.counts);
    }
    let callers: Vec<Caller> = groups
        .into_iter()
        .map(|(subject, group)| caller(&subject, group, &boots, &hosts))
        .collect();
    let reconciliation = reconcile(&totals, question.no_token, question.no_token_rejected);
    let reasons = reasons(&Facts {
        totals: &totals,
        callers: &callers,
        others: &others,
        hosts: &hosts,
        boots: &boots,
        input: &input,
        reconciled: &reconciliation,
        thresholds: question.thresholds,
    });
    let verdict = verdict(&reasons);
    let is_here = |host: &HostCoverage| {
        let is_current = |covered: &Covered| {
            let boot = &boots.all()[covered.number as usize];
            boot.id.is_some() && boot.id.as_deref() == question.now.boot_id.as_deref()
        };
        host.boots.iter().any(is_current)
            || (host.name.is_some() && host.name == question.host_name)
    };
    let is_safe = verdict == Verdict::Safe;
    let commands = if is_safe {
        commands(&hosts, &question.cloud, is_here)
    } else {
        Vec::new()
    };
    Report {
        report_version: REPORT_VERSION,
        verdict,
        why: why(verdict, &reasons, &totals, &hosts, &callers),
        notes: notes(&totals, &others, &hosts, &boots, &input, other_services),
        period: period(&hosts, &boots, question),
        hop_limit: is_safe.then(|| hop_limit(&callers)).flatten(),
        reasons,
        totals,
        other_services,
        callers,
        others,
        hosts: hosts.iter().map(|host| host_report(host, &boots)).collect(),
        reconciliation,
        commands,
        input,
        timeline,
    }
}

/// The verdict's one line.
fn why(
    verdict: Verdict,
    reasons: &[Reason],
    totals: &Counts,
    hosts: &[HostCoverage],
    callers: &[Caller],
) -> String {
    let text = match reasons.first() {
        Some(first) => {
            let host = first.host.as_deref();
            let mut text = host.map_or(String::new(), |host| format!("{host}: "));
            text.push_str(&first.text);
            if reasons.len() > 1 {
                text.push_str(&format!(
                    "; and {}",
                    plural(reasons.len() as u64 - 1, "more reason")
                ));
            }
            text
        }
        None => {
            let least = hosts.iter().map(|host| host.watched_us).min().unwrap_or(0);
            let boots = hosts.iter().map(HostCoverage::boots_from_the_start).min();
            format!(
                "{} in {} watched over {} from the beginning{}",
                if totals.v1 == 0 {
                    "no call without a token".to_owned()
                } else {
                    "no call without a token succeeded".to_owned()
                },
                duration(least),
                plural(boots.unwrap_or(0).into(), "boot"),
                if hosts.len() > 1 {
                    format!(" on each of {} hosts", hosts.len())
                } else {
                    String::new()
                }
            )
        }
    };
    let broken = callers
        .iter()
        .filter(|caller| caller.counts.v1_rejected > 0)
        .count() as u64;
    if broken > 0 && verdict != Verdict::NotSafe {
        return format!(
            "v1 is off already, and {} being refused now; {text}",
            if broken == 1 {
                "1 caller is".to_owned()
            } else {
                format!("{} callers are", number(broken))
            }
        );
    }
    text
}

fn notes(
    totals: &Counts,
    others: &Counts,
    hosts: &[HostCoverage],
    boots: &Boots,
    input: &Input,
    other_services: u64,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |is: bool, text: String| {
        if is {
            notes.push(text);
        }
    };
    note(
        totals.v1_rejected > 0,
        format!(
            "{} refused with 401: v1 is off on that instance, and whoever made them is broken now",
            plural(totals.v1_rejected, "call")
        ),
    );
    note(
        others.requests > 0,
        format!(
            "{} of more callers than are told apart are counted together ({} v1)",
            plural(others.requests, "request"),
            number(others.v1)
        ),
    );
    note(
        other_services > 0,
        format!(
            "{} to other services than IMDS left out",
            plural(other_services, "request")
        ),
    );
    for (count, what) in [
        (input.torn_lines, "line cut off in the middle of a record"),
        (
            input.foreign_lines,
            "line of something else than the analyzer",
        ),
        (
            input.unknown_events,
            "record of an event unknown to this version",
        ),
        (input.records_twice, "record read twice and counted once"),
    ] {
        let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
        note(count > 0, format!("{} {rest}", plural(count, noun)));
    }
    let several = hosts.len() > 1;
    for host in hosts {
        let prefix = if several {
            format!("{}: ", plain(&host.label))
        } else {
            String::new()
        };
        for covered in &host.boots {
            let boot = &boots.all()[covered.number as usize];
            let at = second(boot.wall_us(0));
            let started = covered.coverage.started_us;
            note(
                started.is_some_and(|us| us > 0),
                format!(
                    "{prefix}first {} of the boot of {at} were not watched",
                    duration(started.unwrap_or(0))
                ),
            );
            note(
                started.is_none(),
                format!("{prefix}of the boot of {at} the log has not the beginning"),
            );
        }
        let of_boots = || {
            host.boots
                .iter()
                .map(|boot| &boots.all()[boot.number as usize])
        };
        note(
            !of_boots().any(|boot| boot.told_blind_spots),
            format!(
                "{prefix}blind spots are not known: the log does not tell what else is on the host"
            ),
        );
        let netns: BTreeSet<u32> = of_boots()
            .flat_map(|boot| boot.netns.iter().copied())
            .collect();
        for netns in netns {
            note(
                true,
                format!(
                    "{prefix}only network namespace {netns} was watched (--netns), not the host"
                ),
            );
        }
    }
    notes
}

fn period(hosts: &[HostCoverage], boots: &Boots, question: &Question) -> Period {
    let moments = || {
        hosts.iter().flat_map(|host| &host.boots).map(|covered| {
            let boot = &boots.all()[covered.number as usize];
            let coverage = &covered.coverage;
            (
                boot.wall_us(coverage.first_us),
                boot.wall_us(coverage.last_us),
            )
        })
    };
    Period {
        from: moments().map(|(first, _)| first).min().map(second),
        to: moments().map(|(_, last)| last).max().map(second),
        since: question.scope.since_us.map(second),
        boot: question.boot.clone(),
    }
}

fn texts(few: &Few) -> Vec<String> {
    let mut texts: Vec<String> = few.iter().map(plain).collect();
    if few.more {
        texts.push("…".to_owned());
    }
    texts
}

fn caller(subject: &Subject, group: Group, boots: &Boots, hosts: &[HostCoverage]) -> Caller {
    let time = |at: Moment| second(boots.all()[at.boot as usize].wall_us(at.boottime_us));
    let title = plain(&subject.title());
    let causes = causes(subject, &title, &group);
    let mut next_steps: Vec<String> = Vec::new();
    for cause in &causes {
        if !cause.next_step.is_empty() && !next_steps.contains(&cause.next_step) {
            next_steps.push(cause.next_step.clone());
        }
    }
    let names = |host: &HostCoverage| {
        let has = |boot: &Covered| group.boots.contains(&boot.number);
        host.boots.iter().any(has).then(|| plain(&host.label))
    };
    let own = |text: &Option<String>| text.as_deref().map(plain);
    Caller {
        kind: subject.kind,
        name: plain(&subject.name),
        container: subject.container.as_deref().map(plain),
        counts: group.counts,
        first_seen: time(group.first),
        last_seen: time(group.last),
        causes,
        other_causes: group.other_whys,
        next_steps,
        v1_answers: group
            .v1_answers
            .iter()
            .map(|(answer, count)| (plain(answer), *count))
            .collect(),
        clients: texts(&group.clients),
        credential_paths: texts(&group.credential_paths),
        unknown_reasons: texts(&group.unknown_reasons),
        users: texts(&group.users),
        executables: texts(&group.executables),
        package_versions: texts(&group.versions),
        containers: texts(&group.containers),
        hosts: hosts.iter().filter_map(names).collect(),
        command_line: own(&group.sample.command_line),
        lineage: own(&group.sample.lineage),
        path: own(&group.sample.path),
        title,
    }
}

fn causes(subject: &Subject, title: &str, group: &Group) -> Vec<Cause> {
    let rejected = group.counts.v1 > 0 && group.counts.v1_calls() == 0;
    let in_container = subject.kind == Kind::Container || subject.container.is_some();
    let mut causes: Vec<(&Why, u64)> = group.whys.iter().map(|(why, n)| (why, *n)).collect();
    causes.sort_by_key(|(why, count)| (std::cmp::Reverse(*count), *why));
    causes
        .into_iter()
        .map(|(why, count)| Cause {
            cause: why.cause.as_deref().map(plain),
            status: why.cause_status,
            client: why.client.as_deref().map(plain),
            client_version: why.version.as_deref().map(plain),
            count,
            next_step: plain(&next_step(&Situation {
                cause: why.cause.as_deref(),
                cause_status: why.cause_status,
                client: why.client.as_deref(),
                version: why.version.as_deref(),
                in_container,
                rejected,
                executable: group.sample.executable.as_deref(),
                subject: title,
            })),
        })
        .collect()
}

fn host_report(host: &HostCoverage, boots: &Boots) -> HostReport {
    let of = |covered: &Covered| &boots.all()[covered.number as usize];
    let mut lost = std::collections::BTreeMap::new();
    for (cause, count) in host.boots.iter().flat_map(|boot| &boot.coverage.lost) {
        let sum: &mut u64 = lost.entry(plain(cause)).or_default();
        *sum = sum.saturating_add(*count);
    }
    let spots: BTreeSet<BlindSpot> = host
        .boots
        .iter()
        .flat_map(|boot| of(boot).blind_spots.keys())
        .map(|(kind, detail)| BlindSpot {
            kind: plain(kind),
            detail: plain(detail),
        })
        .collect();
    HostReport {
        host: plain(&host.label),
        name: host.name.as_deref().map(plain),
        instance_id: host.instance_id.as_deref().map(plain),
        region: host.region.as_deref().map(plain),
        days_watched: thousandths(host.watched_us as f64 / 86_400e6),
        boots_watched: host.boots_from_the_start(),
        boots: host
            .boots
            .iter()
            .map(|boot| boot_report(boot, of(boot)))
            .collect(),
        lost,
        blind_spots: spots.into_iter().collect(),
    }
}

fn boot_report(covered: &Covered, boot: &super::coverage::Boot) -> BootReport {
    let coverage = &covered.coverage;
    let time = |boottime_us| second(boot.wall_us(boottime_us));
    BootReport {
        boot_id: boot.id.as_deref().map(plain),
        booted: time(0),
        from: time(coverage.first_us),
        to: time(coverage.last_us),
        watched_seconds: coverage.watched_us / 1_000_000,
        unwatched_at_start_seconds: coverage.started_us.map(|us| thousandths(us as f64 / 1e6)),
        watched_from_the_start: covered.from_the_start,
        runs: coverage.runs,
        gaps: coverage
            .gaps
            .iter()
            .map(|gap| Hole {
                from: time(gap.time.from),
                to: time(gap.time.to),
                seconds: gap.time.len_us() / 1_000_000,
                kind: gap.kind,
            })
            .collect(),
        records_lost: coverage.records_lost,
    }
}

fn thousandths(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// What to mind about the hop limit, if containers call.
fn hop_limit(callers: &[Caller]) -> Option<String> {
    let in_containers = callers
        .iter()
        .filter(|caller| caller.kind == Kind::Container || caller.container.is_some())
        .count() as u64;
    (in_containers > 0).then(|| {
        format!(
            "{} in containers: behind a bridge they get their token only with hop limit 2. Look at \
             HttpPutResponseHopLimit first (aws ec2 describe-instances), and add \
             --http-put-response-hop-limit 2 if it is 1 and they are not in the host's network.",
            plural(in_containers, "caller")
        )
    })
}

/// For people: how long a call counts as one at boot.
pub fn at_boot() -> String {
    format!("within {AT_BOOT_MINUTES} min of a boot")
}
