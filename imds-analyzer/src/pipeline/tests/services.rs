//! What goes to other services than IMDS.

use std::net::IpAddr;

use super::*;
use crate::service::{Service, Watched};

const ECS: &str = "169.254.170.2";

/// A pipeline that watches ECS, EKS and a service of the owner's as well.
fn run_with_services() -> Run {
    let mut watched = Watched::default();
    for service in [Service::Ecs, Service::Eks] {
        for ip in service.addresses() {
            watched.add(ip, 80, service.clone()).unwrap();
        }
    }
    let own = Service::from_name("own").unwrap();
    watched.add([10, 0, 0, 7].into(), 8080, own).unwrap();
    let run = run();
    Run {
        pipeline: run.pipeline.watching(watched),
        ..run
    }
}

/// The one request of `head` to `ip`.
fn request_to(ip: &str, port: u16, head: &str) -> (Run, Request) {
    let mut run = run_with_services();
    let capture::Event::Chunk(chunk) = chunk(0, 0, Payload::Bytes(head.into())) else {
        unreachable!();
    };
    let ip: IpAddr = ip.parse().unwrap();
    run.take(capture::Event::Chunk(Chunk {
        destination: Destination { ip, port },
        ..chunk
    }));
    run.close();
    let request = run.only_request().clone();
    (run, request)
}

#[test]
fn service_is_told_by_address_and_port() {
    let get = "GET /v1/credentials HTTP/1.1\r\n\r\n";
    for (ip, port, service) in [
        ("169.254.169.254", 80, "imds"),
        ("fd00:ec2::254", 80, "imds"),
        (ECS, 80, "ecs"),
        ("169.254.170.23", 80, "eks"),
        ("fd00:ec2::23", 80, "eks"),
        ("10.0.0.7", 8080, "own"),
    ] {
        let (_, request) = request_to(ip, port, get);
        assert_eq!(request.imds.service, service, "{ip}");
        let is_imds = request.imds.version == ImdsVersion::V1;
        assert_eq!(is_imds, service == "imds", "{ip}");
    }
}

#[test]
fn other_services_are_counted_apart() {
    let (run, request) = request_to(ECS, 80, "GET /v4/a/task HTTP/1.1\r\n\r\n");
    assert_eq!(request.imds.version, ImdsVersion::NotApplicable);
    assert_eq!(run.versions(), [0, 0, 0]);
    assert_eq!(run.pipeline.counters().requests.not_applicable, 1);
}

#[test]
fn broken_request_to_another_service_is_not_of_unknown_version() {
    let (run, request) = request_to(ECS, 80, "GET /v2/credentials/c4n4ryV4lue");
    assert_eq!(request.imds.version, ImdsVersion::NotApplicable);
    assert_eq!(request.imds.reason.as_deref(), Some("incomplete_head"));
    assert_eq!(run.versions(), [0, 0, 0]);
    assert!(!run.everything().contains("c4n"), "{}", run.everything());
}

#[test]
fn id_of_a_task_never_comes_out_however_its_path_is_spelt() {
    for path in [
        "/v2/credentials/c4n4ryV4lue",
        "http://169.254.170.2/v2/credentials/c4n4ryV4lue?x",
        "//v2//credentials//c4n4ryV4lue",
        "/v2/./credentials/c4n4ryV4lue",
        "/x/../v2/credentials/c4n4ryV4lue",
        "/v2/%63redentials/c4n4ryV4lue",
        "/v2%2Fcredentials/c4n4ryV4lue",
        "/v2/credentials/%634n4ryV4lue",
    ] {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {ECS}\r\nAuthorization: Bearer {CANARY}\r\n\r\n");
        let (run, request) = request_to(ECS, 80, &head);
        assert_eq!(request.imds.credentials, Some(true), "{path}");
        let shown = request.http.path.as_deref().unwrap();
        assert!(shown.contains("[REDACTED]"), "{path}: {shown}");
        let everything = run.everything();
        for part in ["4n4ry", "V4lue"] {
            assert!(!everything.contains(part), "{path}: {everything}");
        }
    }
}

#[test]
fn path_without_an_id_is_shown() {
    for path in ["/v1/credentials", "/v2/credentials/", "/v4/a-b/task"] {
        let (_, request) = request_to(ECS, 80, &format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert_eq!(request.http.path.as_deref(), Some(path));
    }
}

#[test]
fn token_of_a_pod_never_comes_out() {
    let head = format!("GET /v1/credentials HTTP/1.1\r\nAuthorization: {CANARY}\r\n\r\n");
    let (run, request) = request_to("169.254.170.23", 80, &head);
    assert_eq!(request.http.path.as_deref(), Some("/v1/credentials"));
    assert!(!run.everything().contains("c4n"), "{}", run.everything());
}
