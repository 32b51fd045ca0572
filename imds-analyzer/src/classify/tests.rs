use super::*;

fn imds(head: &str) -> Imds {
    classify_at(&Service::Imds, head)
}

fn classify_at(service: &Service, head: &str) -> Imds {
    classify(
        &RequestHead::parse(head.as_bytes()).expect("a head"),
        service,
    )
}

fn get(target: &str) -> Imds {
    imds(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"))
}

fn put(target: &str) -> Imds {
    imds(&format!(
        "PUT {target} HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    ))
}

#[test]
fn request_without_token_is_v1() {
    let imds = get("/latest/meta-data/");
    assert_eq!(imds.version, ImdsVersion::V1);
    assert_eq!(imds.operation, Some(Operation::Metadata));
    assert_eq!((imds.reason, imds.credentials), (None, Some(false)));
}

#[test]
fn token_header_in_any_case_and_place_is_v2() {
    for field in [
        "x-aws-ec2-metadata-token: T",
        "X-AWS-EC2-METADATA-TOKEN:T",
        "X-Aws-Ec2-Metadata-Token:\tT\r\nHost: h",
        "Host: h\r\nX-aws-ec2-metadata-token: T",
    ] {
        let imds = imds(&format!(
            "GET /latest/user-data HTTP/1.1\r\n{field}\r\n\r\n"
        ));
        assert_eq!(imds.version, ImdsVersion::V2, "{field:?}");
        assert_eq!(imds.operation, Some(Operation::Metadata));
        assert_eq!(imds.reason, None);
    }
}

#[test]
fn empty_token_is_v2_with_a_reason() {
    let imds = imds("GET / HTTP/1.1\r\nX-aws-ec2-metadata-token: \t\r\n\r\n");
    assert_eq!(imds.version, ImdsVersion::V2);
    assert_eq!(imds.reason.as_deref(), Some(EMPTY_TOKEN));
}

#[test]
fn one_token_of_several_headers_is_enough() {
    let imds =
        imds("GET / HTTP/1.1\r\nX-aws-ec2-metadata-token:\r\nX-aws-ec2-metadata-token: T\r\n\r\n");
    assert_eq!((imds.version, imds.reason), (ImdsVersion::V2, None));
}

#[test]
fn name_of_the_token_header_elsewhere_is_v1() {
    for head in [
        "GET /x-aws-ec2-metadata-token:T HTTP/1.1\r\n\r\n",
        "GET /?x-aws-ec2-metadata-token=T HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nUser-Agent: x-aws-ec2-metadata-token: T\r\n\r\n",
        "GET / HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
        "GET / HTTP/1.1\r\nXX-aws-ec2-metadata-token: T\r\n\r\n",
        "GET / HTTP/1.1\r\nx_aws_ec2_metadata_token: T\r\n\r\n",
    ] {
        assert_eq!(imds(head).version, ImdsVersion::V1, "{head:?}");
    }
}

#[test]
fn put_to_the_token_path_asks_for_a_token() {
    for target in [
        "/latest/api/token",
        "/latest/api/token?x=y",
        "/latest/api/token/",
        "//latest//api/token",
        "/latest/api/%74oken",
        "/latest/./api/x/../token",
        "http://169.254.169.254/latest/api/token",
        "http://[fd00:ec2::254]:80/latest/api/token#f",
        "/2021-03-23/api/token",
    ] {
        let imds = put(target);
        assert_eq!(imds.version, ImdsVersion::V2, "{target}");
        assert_eq!(imds.operation, Some(Operation::Token), "{target}");
        assert_eq!(imds.credentials, Some(false));
    }
}

#[test]
fn other_requests_are_no_token_requests() {
    for target in [
        "/latest/api/tokens",
        "/latest/api",
        "/api/token",
        "/LATEST/api/token",
        "/latest/api/token/x",
        "/x/latest/api/token",
        "/latest/api/?/latest/api/token",
        "*",
    ] {
        let imds = put(target);
        assert_eq!(imds.version, ImdsVersion::V1, "{target}");
        assert_eq!(imds.operation, Some(Operation::Metadata), "{target}");
    }
    assert_eq!(get("/latest/api/token").version, ImdsVersion::V1);
    let lower = imds("put /latest/api/token HTTP/1.1\r\n\r\n");
    assert_eq!(lower.version, ImdsVersion::V1);
}

#[test]
fn paths_that_hand_out_credentials_are_marked() {
    for target in [
        "/latest/meta-data/iam/security-credentials/role",
        "/latest/meta-data/iam/security-credentials-extended/role",
        "/1.0/meta-data/iam/security-credentials/role",
        "/2021-03-23/meta-data/iam/security-credentials/role/",
        "//latest/meta-data//iam/security-credentials//role?x",
        "/latest/meta-data/iam/security%2Dcredentials/role",
        "/latest/meta-data/iam%2fsecurity-credentials%2Frole",
        "/latest/meta-data/../meta-data/iam/security-credentials/role",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/role",
        "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    ] {
        assert_eq!(get(target).credentials, Some(true), "{target}");
    }
}

#[test]
fn other_paths_hand_out_no_credentials() {
    for target in [
        "/latest/meta-data/iam/security-credentials",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/iam/security-credentials-extended/",
        "/latest/meta-data/iam/info",
        "/latest/meta-data/identity-credentials/ec2/info",
        "/latest/dynamic/instance-identity/document",
        "/?/latest/meta-data/iam/security-credentials/role",
        "/latest/user-data/meta-data/iam/security-credentials/role",
        "/%",
        "/%4",
        "*",
    ] {
        assert_eq!(get(target).credentials, Some(false), "{target}");
    }
}

#[test]
fn unreadable_request_is_unknown_with_its_reason() {
    let imds = unknown("bytes_missing", &Service::Imds);
    assert_eq!(imds.version, ImdsVersion::Unknown);
    assert_eq!((imds.operation, imds.credentials), (None, None));
    assert_eq!(imds.reason.as_deref(), Some("bytes_missing"));
}

#[test]
fn other_services_are_neither_v1_nor_v2() {
    let own = Service::from_name("own").unwrap();
    for (service, path, credentials) in [
        (Service::Ecs, "/v2/credentials/a-b-c", Some(true)),
        (Service::Ecs, "/v2/./credentials//a-b-c?x=y", Some(true)),
        (Service::Ecs, "/v4/abc/task", Some(false)),
        (Service::Eks, "/v1/credentials", Some(true)),
        (Service::Eks, "/latest/api/token", Some(false)),
        (own, "/v1/credentials", None),
    ] {
        for (method, field) in [
            ("GET", ""),
            ("PUT", ""),
            ("GET", "Authorization: T\r\n"),
            ("GET", "X-aws-ec2-metadata-token: T\r\n"),
        ] {
            let imds = classify_at(
                &service,
                &format!("{method} {path} HTTP/1.1\r\n{field}\r\n"),
            );
            assert_eq!(imds.version, ImdsVersion::NotApplicable, "{service} {path}");
            assert_eq!(imds.service, service.as_str());
            assert_eq!((imds.operation, imds.reason), (None, None));
            assert_eq!(imds.credentials, credentials, "{service} {path}");
        }
        let broken = unknown("bytes_missing", &service);
        assert_eq!(broken.version, ImdsVersion::NotApplicable);
        assert_eq!(broken.reason.as_deref(), Some("bytes_missing"));
    }
}
