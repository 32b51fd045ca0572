//! Paths that are credentials in themselves.

use super::*;

#[test]
fn id_in_a_path_of_the_ecs_agent_is_hidden() {
    assert_text(&[
        (
            "/v2/credentials/CANARY-4f0e-9b57",
            "/v2/credentials/[REDACTED]",
        ),
        (
            "http://169.254.170.2/v2/credentials/CANARY?x=y",
            "http://169.254.170.2/v2/credentials/[REDACTED]?x=y",
        ),
        (
            "169.254.170.2/v12/credentials/CANARY/",
            "169.254.170.2/v12/credentials/[REDACTED]/",
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARY",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/[REDACTED]",
        ),
        (
            "curl '169.254.170.2/v2/credentials/CANARY' | jq .",
            "curl '169.254.170.2/v2/credentials/[REDACTED]' | jq .",
        ),
        (
            "/fetch?url=http%3A%2F%2F169.254.170.2%2Fv2%2fcredentials%2FCANARY",
            "/fetch?url=http%3A%2F%2F169.254.170.2%2Fv2%2fcredentials%2F[REDACTED]",
        ),
        (
            "/v1/credentials/CANARY /v2/credentials/CANARY",
            "/v1/credentials/[REDACTED] /v2/credentials/[REDACTED]",
        ),
    ]);
}

#[test]
fn authorization_tokens_of_container_credentials_are_hidden() {
    assert_text(&[
        ("Authorization: CANARY", "Authorization: [REDACTED]"),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARY",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=[REDACTED]",
        ),
    ]);
}

#[test]
fn what_only_looks_alike_stays() {
    for plain in [
        "/v1/credentials",
        "/v1/credentials/",
        "/latest/meta-data/iam/security-credentials/role",
        "/root/.aws/credentials/x",
        "/v/credentials/x",
        "v2/credentials-helper",
        "/v2/my-credentials/x",
        "curl 169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "/v4/0123456789abcdef-1/task",
    ] {
        assert_eq!(text(plain.as_bytes()), plain);
    }
}
