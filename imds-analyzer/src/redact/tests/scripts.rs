//! Shell scripts that are one argument, and secrets known by their shape.

use super::*;

#[test]
fn scripts_in_one_argument_are_read_like_arguments() {
    let script = |script: &str| shown(&["bash", "-c", script])[2].clone();
    for (input, expected) in [
        (
            "curl -H 'X-aws-ec2-metadata-token: CANARY' http://h/x",
            "curl -H 'X-aws-ec2-metadata-token: [REDACTED]' http://h/x",
        ),
        (
            "curl -H \"Authorization: Digest a=CANARY, b=CANARY\" http://h/x",
            "curl -H \"Authorization: [REDACTED]\" http://h/x",
        ),
        (
            "curl -H X-aws-ec2-metadata-token:CANARY h",
            "curl -H X-aws-ec2-metadata-token:[REDACTED] h",
        ),
        ("curl -u 'me:CANARY CANARY' h", "curl -u 'me:[REDACTED]' h"),
        ("sshpass -p CANARY ssh h", "sshpass -p [REDACTED] ssh h"),
        ("PASSWORD=CANARY ./run --x", "PASSWORD=[REDACTED] ./run --x"),
        (
            "PASSWORD='CANARY CANARY' ./run",
            "PASSWORD=[REDACTED] ./run",
        ),
        ("PASSWORD='$CANARY' ./run", "PASSWORD=[REDACTED] ./run"),
        ("export TOKEN=CANARY; next", "export TOKEN=[REDACTED]; next"),
        (
            "x --password \\\n CANARY y",
            "x --password \\\\\\n [REDACTED] y",
        ),
        (
            "unset AWS_SESSION_TOKEN; curl h",
            "unset AWS_SESSION_TOKEN; curl h",
        ),
        ("x --password CANARY\ny", "x --password [REDACTED]\\ny"),
        (
            "python3 -c \"h={'X-aws-ec2-metadata-token': 'CANARY'}\"",
            "python3 -c \"h={'X-aws-ec2-metadata-token': '[REDACTED]'}\"",
        ),
        ("echo http://me:CANARY@h/", "echo http://me:[REDACTED]@h/"),
    ] {
        assert_eq!(script(input), expected, "{input}");
    }
}

#[test]
fn scripts_within_scripts_hide_nothing() {
    for script in [
        r#"bash -c "curl -H \"X-aws-ec2-metadata-token: CANARY\" h""#,
        r#"bash -c "curl -H \"Cookie: a=CANARY; b=CANARY\" h""#,
        r#"sh -c 'bash -c "curl -u \"me:CANARY CANARY\" h"'"#,
        r#"X="$(curl -H "X-aws-ec2-metadata-token: CANARY" h)""#,
        r#"X="$(curl -H "Cookie: a=CANARY; b=CANARY" h)""#,
        r#"node -e "fetch(u,{headers:{'X-aws-ec2-metadata-token':`CANARY CANARY`}})""#,
        r#"python3 -c "h['X-aws-ec2-metadata-token'] = 'CANARY CANARY'""#,
        r#"python3 -c "r.add_header('X-aws-ec2-metadata-token', 'CANARY CANARY')""#,
        r#"ruby -e "h={'X-aws-ec2-metadata-token' => 'CANARY'}""#,
        r#"fish -c 'set -x TOKEN CANARY'"#,
        r#"curl -b session=CANARY h"#,
        r#"echo machine h login me password CANARY"#,
        r#"echo '<password>CANARY CANARY</password>'"#,
        r#"printf 'GET / HTTP/1.1\r\nX-aws-ec2-metadata-token: CANARY\r\n'"#,
        r#"ssh h "sshpass -p 'CANARY CANARY' ssh i""#,
        r#"curl -H "X-aws-ec2-metadata-token: "CANARY h"#,
        r#"curl -H X-aws-ec2-metadata-token:\ CANARY h"#,
        r#"curl -H 'X-aws-ec2-metadata-token: CANARY"#,
        "sh -c 'TOKEN='\\''CANARY'\\'' x'",
    ] {
        let shown = shown(&["bash", "-c", script]);
        assert!(shown[2].contains(REDACTED), "{shown:?}");
        shown_as_text_without_canary(script);
    }
}

fn shown_as_text_without_canary(script: &str) {
    let shown = text(script.as_bytes());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn variables_and_substitutions_of_scripts_stay_readable() {
    for script in [
        "TOKEN=$(curl -X PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')",
        "TOKEN=`curl -X PUT http://169.254.169.254/latest/api/token`",
        "curl -H \"X-aws-ec2-metadata-token: $TOKEN\" http://169.254.169.254/latest/meta-data/",
        "curl -H \"X-aws-ec2-metadata-token: ${TOKEN}\" http://169.254.169.254/",
        "mysql --password \"$DB_PASSWORD\" --host h",
        "PASSWORD=$OTHER run",
    ] {
        assert_eq!(shown(&["bash", "-c", script])[2], script);
    }
}

#[test]
fn secrets_are_known_by_their_shape() {
    let imds = "AQAEAHh4X1".to_owned() + &"aB3_-x".repeat(8) + "==";
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    // Put together here, so that nobody takes this file for a leak.
    let filler = "aB3dE5fG7hJ9".repeat(3);
    let prefixed = [
        "ghp_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "sk-ant-",
        "npm_",
        "hvs.",
        "AIza",
    ];
    let prefixed: Vec<String> = prefixed
        .iter()
        .map(|prefix| format!("{prefix}{filler}"))
        .collect();
    let session = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDk4vT9Zq7nW0xY2LsB1mPf8RkQ/3uHc6aJdE5tGiVwZyK9oXrN7";
    for secret in [
        imds.as_str(),
        "AQAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        jwt,
        session,
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE",
    ]
    .into_iter()
    .chain(prefixed.iter().map(String::as_str))
    {
        for (before, after) in [
            ("", ""),
            ("x ", " y"),
            ("/latest/", "/z"),
            ("a=", "&b=c"),
            ("'", "'"),
        ] {
            let shown = text(format!("{before}{secret}{after}").as_bytes());
            let visible = shown.replace(REDACTED, "");
            let longest_left =
                (0..secret.len().saturating_sub(8)).any(|at| visible.contains(&secret[at..at + 8]));
            assert!(!longest_left, "{before}{secret}{after}: {shown}");
            assert!(
                shown.starts_with(before) && shown.ends_with(after),
                "{shown}"
            );
        }
    }
    let pem = "cat <<E\n-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----\nE";
    assert_eq!(text(pem.as_bytes()), "cat <<E\\n[REDACTED]\\nE");
    let cut = "-----BEGIN PRIVATE KEY-----\nCANARY";
    assert_eq!(text(cut.as_bytes()), "[REDACTED]");
}
