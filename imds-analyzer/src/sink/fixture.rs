//! Events that the tests of the sink and of the schema share: one of each with
//! everything in it, and one of each with nothing that may be left out.

use crate::record::*;

pub(crate) fn origin() -> Origin {
    Origin {
        boot_id: Some("8b4a3c1e-0f6d-4f0e-9b57-2f5f6f2f7a11".to_owned()),
        host: Some(Host {
            name: "ip-10-0-0-1".to_owned(),
        }),
        cloud: Some(Cloud {
            instance_id: Some("i-0123456789abcdef0".to_owned()),
            region: Some("eu-central-1".to_owned()),
        }),
    }
}

/// A v1 call with every field.
pub(crate) fn request() -> Request {
    let ancestor = |pid, name: &str, command_line: &str| Ancestor {
        pid,
        name: name.to_owned(),
        user: Some(User { id: 0, name: None }),
        executable: Some(format!("/usr/bin/{name}")),
        command_line: Some(command_line.to_owned()),
    };
    Request {
        imds: Imds {
            service: "imds".to_owned(),
            cause: Some(Cause::TokenRefused),
            cause_status: Some(403),
            rejected: true,
            version: ImdsVersion::V1,
            operation: Some(Operation::Metadata),
            reason: Some("no_token".to_owned()),
            credentials: Some(true),
        },
        http: Http {
            method: Some("GET".to_owned()),
            path: Some("/latest/meta-data/iam/security-credentials/Web".to_owned()),
            host: Some("169.254.169.254".to_owned()),
            user_agent: Some("curl/8.5.0".to_owned()),
            client: Some(Client {
                name: "curl".to_owned(),
                version: Some("8.5.0".to_owned()),
            }),
            status: Some(401),
            server: Some("EC2ws".to_owned()),
            latency_us: Some(431),
            no_response: None,
        },
        lineage: Some("curl < bash < systemd".to_owned()),
        process: Some(Process {
            pid: 3109,
            tid: 3110,
            start_time: Some("2026-11-22T04:32:51.900000Z".to_owned()),
            name: "curl".to_owned(),
            thread_name: Some("worker".to_owned()),
            executable: Some("/usr/bin/curl".to_owned()),
            executable_state: Some(ExecutableState::Deleted),
            executable_file: None,
            package: Some(Package {
                name: "curl".to_owned(),
                version: Some("7.88.1-10+deb12u5".to_owned()),
                manager: "dpkg".to_owned(),
            }),
            args: Some(vec!["curl".to_owned(), "-s".to_owned()]),
            user: User {
                id: 0,
                name: Some("root".to_owned()),
            },
            container: Some(Container {
                id: "0123456789abcdef0123456789abcdef".to_owned(),
                runtime: Some("docker".to_owned()),
                name: Some("web".to_owned()),
                image: Some("nginx:1".to_owned()),
                inner_id: Some("fedcba98".to_owned()),
                delegated: true,
            }),
            kubernetes: Some(Kubernetes {
                pod_uid: "74ba62da-1a3d-11e7-bb11-080027cb0e22".to_owned(),
                qos: Some("burstable".to_owned()),
                namespace: Some("shop".to_owned()),
                pod_name: Some("web-0".to_owned()),
                container_name: Some("nginx".to_owned()),
            }),
            ecs: Some(Ecs {
                task_id: "e95a40efbde84cbc8600660a109ec194".to_owned(),
                cluster: Some("prod".to_owned()),
                task_definition: Some("web:7".to_owned()),
                container_name: Some("nginx".to_owned()),
            }),
            systemd_unit: Some("backup.service".to_owned()),
            systemd_user_unit: Some("sync.service".to_owned()),
            systemd_slice: Some("system.slice".to_owned()),
            session: Some(Session {
                kind: SessionKind::Cron,
                id: Some("3".to_owned()),
                user: Some(User {
                    id: 1000,
                    name: Some("ada".to_owned()),
                }),
            }),
            cgroup: Some("/system.slice/backup.service".to_owned()),
            namespaced_pid: Some(7),
            namespaces: Some(Namespaces {
                pid: 4_026_531_836,
                mount: 4_026_531_841,
                net: 4_026_531_840,
            }),
            exited: true,
        }),
        destination: Destination {
            ip: "169.254.169.254".parse().unwrap(),
            port: 80,
        },
        capture: Capture {
            backend: "fentry".to_owned(),
            netns: 4_026_531_840,
            bytes: 96,
            truncated: false,
        },
        enrichment: serde_json::json!({"team": "web", "tags": ["a", 1, true]})
            .as_object()
            .cloned(),
        enrichment_error: Some("late"),
        ancestors: vec![
            ancestor(3010, "bash", "bash /opt/backup.sh"),
            ancestor(1, "systemd", "/sbin/init"),
        ],
        ancestors_truncated: true,
    }
}

/// A call of which only what the kernel gave at the hook is known.
pub(crate) fn bare_request() -> Request {
    let full = request();
    Request {
        imds: Imds {
            service: "imds".to_owned(),
            cause: None,
            cause_status: None,
            rejected: false,
            version: ImdsVersion::Unknown,
            operation: None,
            reason: None,
            credentials: None,
        },
        http: Http {
            no_response: Some(NoResponse::Deadline),
            ..Http::default()
        },
        process: Some(Process {
            start_time: None,
            thread_name: None,
            executable: None,
            executable_state: None,
            args: None,
            user: User {
                id: 1000,
                name: None,
            },
            package: None,
            container: None,
            kubernetes: None,
            ecs: None,
            systemd_unit: None,
            systemd_user_unit: None,
            systemd_slice: None,
            session: None,
            cgroup: None,
            namespaced_pid: None,
            namespaces: None,
            ..full.process.expect("the full record has one")
        }),
        destination: Destination {
            ip: "fd00:ec2::254".parse().unwrap(),
            port: 80,
        },
        enrichment: None,
        enrichment_error: None,
        ancestors: Vec::new(),
        ancestors_truncated: false,
        ..full
    }
}

fn counters() -> Counters {
    Counters {
        requests: RequestCounters {
            v1: 12,
            v2: 30,
            unknown: 1,
            not_applicable: 2,
        },
        chunks: 50,
        bytes: 4_800,
        reassembly: ReassemblyCounters {
            duplicate_chunks: 1,
            skipped_bytes: 2,
            forgotten_streams: 3,
            dropped_buffers: 4,
        },
        suppressed: 5,
        lost: [("ring_full".into(), 7)].into(),
    }
}

fn blind_spots() -> Vec<BlindSpot> {
    vec![BlindSpot {
        kind: "guest".to_owned(),
        detail: "firecracker: its guests have TCP stacks of their own".to_owned(),
    }]
}

/// A call to another service.
pub(crate) fn other_service_request() -> Request {
    let full = request();
    Request {
        imds: Imds {
            service: "ecs".to_owned(),
            cause: None,
            cause_status: None,
            rejected: false,
            version: ImdsVersion::NotApplicable,
            operation: None,
            reason: None,
            credentials: Some(true),
        },
        http: Http {
            path: Some("/v2/credentials/[REDACTED]".to_owned()),
            host: Some("169.254.170.2".to_owned()),
            ..full.http
        },
        destination: Destination {
            ip: "169.254.170.2".parse().unwrap(),
            port: 80,
        },
        ..full
    }
}

/// One event of each kind with every field.
pub(crate) fn full() -> Vec<Event> {
    vec![
        Event::ImdsRequest(Box::new(request())),
        Event::AnalyzerStarted(Started {
            version: "0.1.0".to_owned(),
            backend: "kprobe".to_owned(),
            backends_not_taken: vec![NotTaken {
                backend: "fentry".to_owned(),
                reason: "attach: errno 524".to_owned(),
            }],
            kernel_release: Some("6.1.0-42-cloud-arm64".to_owned()),
            heartbeat_interval_s: 60,
            previous_end: Some(PreviousEnd::Torn),
            netns: Some(4_026_531_840),
            blind_spots: blind_spots(),
        }),
        Event::AnalyzerStopped(Stopped {
            reason: Some("SIGTERM".to_owned()),
            counters: counters(),
        }),
        Event::CaptureLoss(Loss {
            cause: "ring_full".into(),
            count: 3,
            total: 7,
        }),
        Event::Heartbeat(Heartbeat {
            heartbeat_interval_s: 60,
            blind_spots: Some(blind_spots()),
            counters: counters(),
        }),
    ]
}

/// One event of each kind with nothing that may be absent.
pub(crate) fn bare() -> Vec<Event> {
    vec![
        Event::ImdsRequest(Box::new(bare_request())),
        Event::AnalyzerStarted(Started {
            version: "0.1.0".to_owned(),
            backend: "cgroup".to_owned(),
            backends_not_taken: Vec::new(),
            kernel_release: None,
            heartbeat_interval_s: 1,
            previous_end: None,
            netns: None,
            blind_spots: Vec::new(),
        }),
        Event::AnalyzerStopped(Stopped::default()),
        Event::CaptureLoss(Loss {
            cause: OUTPUT_BLOCKED.into(),
            count: 1,
            total: 1,
        }),
        Event::Heartbeat(Heartbeat {
            heartbeat_interval_s: 1,
            ..Heartbeat::default()
        }),
    ]
}

/// `2026-11-22T04:32:51.949123Z`
pub(crate) fn record<'a>(origin: &'a Origin, event: &'a Event) -> Record<'a> {
    Record {
        timestamp: jiff::Timestamp::from_microsecond(1_795_321_971_949_123).unwrap(),
        seq: 17,
        boottime_us: 81_234_567,
        origin,
        event,
    }
}
