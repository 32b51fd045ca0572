//! Services that the configuration adds, and the same traffic without it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};

use super::{
    Entry, cases,
    client::RunningSender,
    secrets,
    session::{PATIENCE, Setup, defects_of_run},
};
use crate::{
    analyzer::Launch,
    compare::{Expected, Version, compare, settle},
    mock::{Mock, OTHER_PORT, access_log},
    netns::{ECS, EKS_V4, EKS_V6, IMDS_V4, IMDS_V6, Netns},
    record::{Line, Request},
};

/// Requests of one sender.
const REQUESTS: usize = 4;

/// ECS and EKS by name, and a service of the owner's on another port of an address
/// that is watched.
const ADDED: &str = r#"
[[destinations]]
service = "ecs"
[[destinations]]
service = "eks"
[[destinations]]
service = "own"
address = "::ffff:169.254.169.254"
ports = [81]
"#;

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        added_destinations_are_captured_under_their_service,
        destinations_are_imds_alone_by_default,
    ]
}

/// Where the senders send, and the service there if it is watched.
fn traffic() -> [(IpAddr, u16, Option<&'static str>); 7] {
    [
        (IMDS_V4.into(), 80, Some("imds")),
        (IMDS_V6.into(), 80, Some("imds")),
        (ECS.into(), 80, Some("ecs")),
        (EKS_V4.into(), 80, Some("eks")),
        (EKS_V6.into(), 80, Some("eks")),
        (IMDS_V4.into(), OTHER_PORT, Some("own")),
        (Ipv4Addr::LOCALHOST.into(), 80, None),
    ]
}

fn added_destinations_are_captured_under_their_service(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    records_are_of(setup, name, ADDED, |service| service.is_some())
}

fn destinations_are_imds_alone_by_default(setup: &Setup, name: &'static str) -> Result<()> {
    records_are_of(setup, name, "", |service| service == Some("imds"))
}

/// Sends to everything, and holds the records against the part of it that is watched.
fn records_are_of(
    setup: &Setup,
    name: &str,
    settings: &str,
    is_watched: impl Fn(Option<&str>) -> bool,
) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    mock.listen_also(&netns, &[ECS.into(), EKS_V4.into(), EKS_V6.into()])?;
    let analyzer = Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output: None,
        settings,
        verbose: true,
    }
    .start(|_| {})?;
    let mut expected = Vec::new();
    let mut senders = Vec::new();
    for (number, (ip, port, service)) in traffic().into_iter().enumerate() {
        let case = format!("{name}_{number}");
        let at = SocketAddr::new(ip, port);
        let mut sender = RunningSender::start(&netns, "container_credentials", &case, at)?;
        sender.await_line("done")?;
        mock.log().wait_for(&case, REQUESTS, PATIENCE);
        let entries = mock.log().of_case(&case);
        ensure!(entries.len() == REQUESTS, "{at} got {}", entries.len());
        if is_watched(service) {
            expected.extend(
                entries
                    .iter()
                    .map(|entry| what_is_said(entry, &sender, service)),
            );
        }
        senders.push(sender);
    }
    let sight = analyzer.sight();
    let finished = analyzer.stop()?;
    settle(&mut expected, mock.log(), sight);
    let mut problems = defects_of_run(&finished);
    let mut records = Vec::new();
    for line in &finished.records {
        let request = Line::new(line.clone()).request();
        records.extend(request.map_err(anyhow::Error::msg)?);
    }
    problems.extend(compare(&expected, &records).iter().map(ToString::to_string));
    problems.extend(records.iter().filter_map(wrong_service));
    ensure!(problems.is_empty(), "{}", problems.join("\n    "));
    secrets::require_none(&finished)?;
    senders.into_iter().try_for_each(RunningSender::finish)
}

/// The record of a request: only IMDS has versions. Its target may hold the id of a
/// task.
fn what_is_said(
    entry: &access_log::Entry,
    sender: &RunningSender,
    service: Option<&str>,
) -> Expected {
    let number = entry.id.as_ref().map_or(0, |id| id.number);
    let expected = Expected::from_entry(entry, sender.sender_of(number));
    Expected {
        loose_target: true,
        version: match service {
            Some("imds") => expected.version,
            _ => Version::NotApplicable,
        },
        ..expected
    }
}

/// What a record says wrongly of the service that it found at its destination.
fn wrong_service(record: &Request) -> Option<String> {
    let expected = traffic()
        .into_iter()
        .find(|(ip, port, _)| ip.to_string() == record.ip && u64::from(*port) == record.port)
        .and_then(|(_, _, service)| service);
    let found = record.service.as_deref();
    // Of the four requests, all but that for the task's metadata are for credentials;
    // none is to a path of IMDS's that has any.
    let path = record.path.as_deref().unwrap_or_default();
    let credentials = match expected {
        Some("imds") => Some(false),
        Some("ecs" | "eks") => Some(path.contains("/credentials")),
        _ => None,
    };
    (found != expected || record.credentials != credentials).then(|| {
        format!(
            "service {found:?} with credentials {:?} at {}:{}, not {expected:?} with {credentials:?}, in {record}",
            record.credentials, record.ip, record.port
        )
    })
}
