//! What has to stay, and how it is escaped.

use super::*;

#[test]
fn what_tells_callers_apart_stays_readable() {
    let hex64 = "0123456789abcdef".repeat(4);
    let long = [
        format!("/var/lib/docker/overlay2/{hex64}/merged"),
        format!("sha256:{hex64}"),
        format!("/docker/{hex64}"),
        format!("moby-{}", hex64.to_uppercase()),
    ];
    let plain = [
        "/usr/lib/x86_64-linux-gnu/ImageMagick-6.9.11/modules-Q16/coders/png.so",
        "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
        "com.amazonaws.auth.InstanceProfileCredentialsProvider",
        "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent",
        "/snap/amazon-ssm-agent/9881/ssm-agent-worker",
        "123e4567-e89b-12d3-a456-426614174000",
        "ami-0abcdef1234567890",
        "i-0abcdef1234567890",
        "arn:aws:iam::123456789012:role/MyStack-InstanceRole-1ABCDEFGHIJKL",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
        "AmazonEKSNodeRole-eu-west-1/AmazonSSMManagedInstanceCore",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role",
        "http://169.254.169.254/latest/api/token",
        "/latest/dynamic/instance-identity/document",
        "Boto3/1.26.0 Python/3.9.2 Linux/6.1.0-13-cloud-amd64 Botocore/1.29.0",
        "aws-sdk-go/1.44.1 (go1.19.3; linux; amd64) exec-env/AWS_ECS_EC2",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
        "/nix/store/5q9l8r1kc2y0w7m3d4f6g8h9j0k1l2m3-python3-3.11.6/bin/python3.11",
        "--http-tokens=required",
        "--password-file=/run/secrets/db",
        "--token-ttl=60",
        "-Dcom.sun.management.jmxremote.port=9010",
        "PWD=/home/ec2-user",
        "time=12:30:05",
        "é ü 日本語",
    ];
    for word in plain.iter().copied().chain(long.iter().map(String::as_str)) {
        assert_eq!(text(word.as_bytes()), word);
        assert_eq!(shown(&["x", word, "y"]), ["x", word, "y"]);
    }
    let command = [
        "kubectl",
        "create",
        "secret",
        "generic",
        "x",
        "--secret-id",
        "prod/db",
        "-p",
        "80",
    ];
    assert_eq!(shown(&command), command);
    let command = [
        "aws",
        "ec2",
        "modify-instance-metadata-options",
        "--http-tokens",
        "required",
    ];
    assert_eq!(shown(&command), command);
    let command = [
        "aws",
        "sts",
        "get-session-token",
        "--duration-seconds",
        "900",
    ];
    assert_eq!(shown(&command), command);
}

#[test]
fn control_and_deceptive_characters_are_visible_and_unambiguous() {
    assert_eq!(text(b"a\nb\r\t\x1b[31m\x7f\0"), r"a\nb\r\t\x1b[31m\x7f\x00");
    assert_eq!(text(b"\\n"), r"\\n");
    assert_eq!(text(b"\xff\xfeok\xc3"), r"\xff\xfeok\xc3");
    let deceptive = "\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{200b}";
    let visible = r"\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{200b}";
    assert_eq!(text(deceptive.as_bytes()), visible);
    assert_eq!(text("{\"é\"}".as_bytes()), "{\"é\"}");
}
