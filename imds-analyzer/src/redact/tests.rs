use super::*;

/// In every secret of these tests; no output may hold it.
const CANARY: &str = "CANARY";

fn shown(words: &[&str]) -> Vec<String> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let shown = args(&words);
    assert!(!shown.concat().contains(CANARY), "{words:?}: {shown:?}");
    shown
}

fn assert_text(cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        let shown = text(input.as_bytes());
        assert!(!shown.contains(CANARY), "{input}: {shown}");
        assert_eq!(shown, *expected, "{input}");
        assert_eq!(args(&[input.as_bytes().to_vec()]), [*expected], "{input}");
    }
}

fn assert_args(cases: &[(&[&str], &[&str])]) {
    for (input, expected) in cases {
        assert_eq!(shown(input), *expected, "{input:?}");
    }
}

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

#[test]
fn long_texts_are_cut_and_say_so() {
    let shown = text(&b"x".repeat(MAX_TEXT + 5));
    assert_eq!(
        shown,
        format!("{}…[truncated 5 bytes]", "x".repeat(MAX_TEXT))
    );
    let shown = text(&b"x".repeat(10 * WINDOW));
    assert!(shown.ends_with(&format!("…[truncated {} bytes]", 10 * WINDOW - MAX_TEXT)));
    assert_eq!(text(&b"x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT));
    assert_eq!(
        text(&b"\n".repeat(MAX_TEXT)).len(),
        MAX_TEXT + "…[truncated 2048 bytes]".len()
    );
}

#[test]
fn cut_shows_no_part_of_a_secret() {
    for padding in MAX_TEXT - 60..MAX_TEXT + 10 {
        let input = format!("{} --password=CANARYCANARY tail", "x".repeat(padding));
        assert!(!text(input.as_bytes()).contains("CAN"), "padding {padding}");
        let input = format!("{} ghp_CANARYCANARYCANARYCANARY", "x".repeat(padding));
        assert!(!text(input.as_bytes()).contains("CAN"), "padding {padding}");
    }
}

#[test]
fn secret_that_reaches_beyond_what_is_looked_at_is_replaced() {
    let input = format!("--password={}", CANARY.repeat(WINDOW));
    let left_out = input.len() - WINDOW;
    assert_eq!(
        text(input.as_bytes()),
        format!("--password=[REDACTED]…[truncated {left_out} bytes]")
    );
}

#[test]
fn many_arguments_are_cut_and_say_so() {
    let many = args(&vec![b"ab".to_vec(); 3 * MAX_ARG_COUNT]);
    assert_eq!(many.len(), MAX_ARG_COUNT + 1);
    assert_eq!(
        many[MAX_ARG_COUNT],
        format!("…[truncated {} bytes]", 4 * MAX_ARG_COUNT)
    );
    let long = args(&vec![vec![b'x'; 3000]; 100]);
    let total: usize = long.iter().map(String::len).sum();
    assert!(total < MAX_ARGS + 100, "{total}");
    assert!(long.last().unwrap().starts_with("…[truncated "));
    assert_eq!(args(&[b"".to_vec(), b"x".to_vec()]), ["", "x"]);
    assert_eq!(args(&[]), Vec::<String>::new());
}

#[test]
fn replaced_secrets_make_room_for_what_follows() {
    let input = format!("--password={} --next", "x".repeat(MAX_TEXT));
    assert_eq!(text(input.as_bytes()), "--password=[REDACTED]");
    let input = format!("a --password {} --next", "x".repeat(MAX_TEXT));
    assert_eq!(text(input.as_bytes()), "a --password [REDACTED] --next");
}

#[test]
fn hostile_texts_are_shown_within_the_bounds() {
    let pieces: [&[u8]; 22] = [
        b"=",
        b":",
        b"\"",
        b"'",
        b"\\",
        b"\\\"",
        b"$(",
        b"`",
        b"://",
        b"@",
        b" ",
        b"\n",
        b"&",
        b"-p",
        b"-u",
        b"token",
        b"password=",
        b"-----BEGIN ",
        b"AQA",
        b"eyJ",
        b"\xff",
        b"aB3",
    ];
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for round in 0..400 {
        let count = if round % 40 == 0 { 20_000 } else { 60 };
        let bytes: Vec<u8> = (0..count)
            .flat_map(|_| pieces[next(pieces.len())].to_vec())
            .collect();
        let words: Vec<Vec<u8>> = bytes.chunks(1 + next(500)).map(<[u8]>::to_vec).collect();
        assert!(text(&bytes).len() <= MAX_TEXT + 64);
        let shown: usize = args(&words).iter().map(String::len).sum();
        assert!(shown <= MAX_ARGS + 64 * 64, "{shown}");
    }
    for piece in pieces {
        let bytes = piece.repeat(2 * 1024 * 1024 / piece.len());
        assert!(text(&bytes).len() <= MAX_TEXT + 64);
    }
}
