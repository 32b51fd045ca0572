//! Values of named things, in arguments and texts.

use super::*;

#[test]
fn headers_keep_their_name_only() {
    assert_text(&[
        (
            "X-aws-ec2-metadata-token: CANARY",
            "X-aws-ec2-metadata-token: [REDACTED]",
        ),
        (
            "x-aws-ec2-metadata-token:CANARY",
            "x-aws-ec2-metadata-token:[REDACTED]",
        ),
        (
            "X-AWS-EC2-METADATA-TOKEN : a CANARY",
            "X-AWS-EC2-METADATA-TOKEN : [REDACTED]",
        ),
        (
            "-HX-aws-ec2-metadata-token: CANARY",
            "-HX-aws-ec2-metadata-token: [REDACTED]",
        ),
        (
            "--header=Authorization: Bearer CANARY",
            "--header=Authorization: [REDACTED]",
        ),
        ("Authorization: Basic CANARY=", "Authorization: [REDACTED]"),
        (
            "Authorization: Digest username=\"u\", response=\"CANARY\"",
            "Authorization: [REDACTED]",
        ),
        ("Cookie: a=CANARY; b=CANARY", "Cookie: [REDACTED]"),
        (
            "X-aws-ec2-metadata-token-ttl-seconds: 21600",
            "X-aws-ec2-metadata-token-ttl-seconds: 21600",
        ),
        (
            "http.extraheader=AUTHORIZATION: basic CANARY",
            "http.extraheader=AUTHORIZATION: [REDACTED]",
        ),
    ]);
}

#[test]
fn values_are_found_in_queries_forms_and_json() {
    assert_text(&[
        ("/x?token=CANARY&next=1", "/x?token=[REDACTED]&next=1"),
        (
            "/x?a=1&X-Amz-Security-Token=CANARY%2F&X-Amz-Signature=CANARY",
            "/x?a=1&X-Amz-Security-Token=[REDACTED]&X-Amz-Signature=[REDACTED]",
        ),
        (
            "/x?X-aws-ec2-metadata-token:CANARY",
            "/x?X-aws-ec2-metadata-token:[REDACTED]",
        ),
        (
            "/?to=http%3A%2F%2Fh%3Ftoken%3DCANARY%26x%3D1",
            "/?to=http%3A%2F%2Fh%3Ftoken%3D[REDACTED]%26x%3D1",
        ),
        (
            "/?x-aws-ec2-metadata%2Dtoken%3aCANARY",
            "/?x-aws-ec2-metadata%2Dtoken%3a[REDACTED]",
        ),
        ("config[password]=CANARY", "config[password]=[REDACTED]"),
        (
            "user=u&password=CANARY&x=1",
            "user=u&password=[REDACTED]&x=1",
        ),
        (
            "{\"SecretAccessKey\": \"CANARY\", \"Type\": \"x\"}",
            "{\"SecretAccessKey\": \"[REDACTED]\", \"Type\": \"x\"}",
        ),
        (
            "{\"Token\":\"CAN\\\"CANARY\",\"n\":1}",
            "{\"Token\":\"[REDACTED]\",\"n\":1}",
        ),
        (
            "{'password': 'CANARY', 'n': 1}",
            "{'password': '[REDACTED]', 'n': 1}",
        ),
        (
            "{\"password\":CANARY,\"n\":1}",
            "{\"password\":[REDACTED],\"n\":1}",
        ),
        (
            "Server=x;Password=CANARY;Port=1",
            "Server=x;Password=[REDACTED];Port=1",
        ),
        (
            "agent/1.0 (token=CANARY) lib/2",
            "agent/1.0 (token=[REDACTED]) lib/2",
        ),
    ]);
    let nested = text(br#"curl -d "{\"password\":\"CANARY\",\"n\":1}" http://h"#);
    assert_eq!(
        nested,
        r#"curl -d "{\\"password\\":\\"[REDACTED]\\",\\"n\\":1}" http://h"#
    );
}

#[test]
fn options_and_assignments_keep_their_name_only() {
    assert_args(&[
        (
            &["x", "--password", "CANARY", "y"],
            &["x", "--password", "[REDACTED]", "y"],
        ),
        (
            &["x", "--password=CANARY a&b", "y"],
            &["x", "--password=[REDACTED]", "y"],
        ),
        (
            &["--aws-secret-access-key", "CANARY"],
            &["--aws-secret-access-key", "[REDACTED]"],
        ),
        (
            &["--oauth2-bearer", "-CANARY"],
            &["--oauth2-bearer", "[REDACTED]"],
        ),
        (
            &["--password", "--host", "h"],
            &["--password", "--host", "h"],
        ),
        (
            &["env", "AWS_SECRET_ACCESS_KEY=CANARY", "cmd"],
            &["env", "AWS_SECRET_ACCESS_KEY=[REDACTED]", "cmd"],
        ),
        (
            &["AWS_SESSION_TOKEN=CANARY;CANARY"],
            &["AWS_SESSION_TOKEN=[REDACTED]"],
        ),
        (
            &["docker", "run", "-e", "DB_PASSWORD=CANARY", "i"],
            &["docker", "run", "-e", "DB_PASSWORD=[REDACTED]", "i"],
        ),
        (
            &["--env=DB_PASSWORD=CANARY"],
            &["--env=DB_PASSWORD=[REDACTED]"],
        ),
        (
            &["java", "-Djavax.net.ssl.keyStorePassword=CANARY"],
            &["java", "-Djavax.net.ssl.keyStorePassword=[REDACTED]"],
        ),
        (
            &["aws", "configure", "set", "aws_session_token", "CANARY"],
            &["aws", "configure", "set", "aws_session_token", "[REDACTED]"],
        ),
        (
            &["helm", "--set", "db.password=CANARY"],
            &["helm", "--set", "db.password=[REDACTED]"],
        ),
        (&["--password=$CANARY"], &["--password=[REDACTED]"]),
        (
            &["aws", "--secret-string", "CANARY"],
            &["aws", "--secret-string", "[REDACTED]"],
        ),
    ]);
}

#[test]
fn secret_is_found_in_the_next_argument() {
    assert_args(&[
        (
            &["curl", "--header", "X-aws-ec2-metadata-token: CANARY"],
            &["curl", "--header", "X-aws-ec2-metadata-token: [REDACTED]"],
        ),
        (
            &["curl", "-H", "X-aws-ec2-metadata-token:", "CANARY", "u"],
            &["curl", "-H", "X-aws-ec2-metadata-token:", "[REDACTED]", "u"],
        ),
        (
            &["-H", "Authorization:", "Bearer", "CANARY", "u"],
            &["-H", "Authorization:", "Bearer", "[REDACTED]", "u"],
        ),
        (
            &["echo", "Bearer", "CANARY123", "u"],
            &["echo", "Bearer", "[REDACTED]", "u"],
        ),
    ]);
}

#[test]
fn logins_keep_their_user() {
    assert_args(&[
        (
            &["curl", "-u", "me:CANARY", "h"],
            &["curl", "-u", "me:[REDACTED]", "h"],
        ),
        (
            &["curl", "-sSu", "me:CANARY:x"],
            &["curl", "-sSu", "me:[REDACTED]"],
        ),
        (&["curl", "-ume:CANARY"], &["curl", "-ume:[REDACTED]"]),
        (
            &["curl", "--user=me:CANARY"],
            &["curl", "--user=me:[REDACTED]"],
        ),
        (
            &["curl", "--proxy-user", "me:CANARY"],
            &["curl", "--proxy-user", "me:[REDACTED]"],
        ),
        (
            &["docker", "run", "-u", "1000:1000"],
            &["docker", "run", "-u", "1000:1000"],
        ),
        (&["sudo", "-u", "root", "id"], &["sudo", "-u", "root", "id"]),
    ]);
}

#[test]
fn programs_that_take_a_password_are_known() {
    assert_args(&[
        (
            &["/usr/bin/sshpass", "-p", "CANARY", "ssh", "h"],
            &["/usr/bin/sshpass", "-p", "[REDACTED]", "ssh", "h"],
        ),
        (
            &["mysql", "-uroot", "-pCANARY", "db"],
            &["mysql", "-uroot", "-p[REDACTED]", "db"],
        ),
        (
            &["redis-cli", "-a", "CANARY"],
            &["redis-cli", "-a", "[REDACTED]"],
        ),
        (
            &["docker", "login", "-p", "CANARY"],
            &["docker", "login", "-p", "[REDACTED]"],
        ),
        (
            &["openssl", "enc", "-pass", "pass:CANARY"],
            &["openssl", "enc", "-pass", "[REDACTED]"],
        ),
        (
            &["docker", "run", "-p", "80:80"],
            &["docker", "run", "-p", "80:80"],
        ),
        (&["ssh", "-p", "22"], &["ssh", "-p", "22"]),
    ]);
}

#[test]
fn passwords_in_urls_are_replaced() {
    assert_text(&[
        ("http://me:CANARY@h/x", "http://me:[REDACTED]@h/x"),
        ("http://me:CANARY@CANARY@h/x", "http://me:[REDACTED]@h/x"),
        (
            "postgres://me:CAN/CANARY@h/db",
            "postgres://me:[REDACTED]@h/db",
        ),
        ("redis://:CANARY@h", "redis://:[REDACTED]@h"),
        (
            "see https://CANARYCANARYCANARYCANARY@h/x now",
            "see https://[REDACTED]@h/x now",
        ),
        ("ssh://git@h/x", "ssh://git@h/x"),
        ("http://h:80/x@y", "http://h:80/x@y"),
        (
            "http://[fd00:ec2::254]/latest/",
            "http://[fd00:ec2::254]/latest/",
        ),
        ("http://[fd00:ec2::254]:80/", "http://[fd00:ec2::254]:80/"),
    ]);
}
