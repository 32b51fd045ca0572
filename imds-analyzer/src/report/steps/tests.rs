//! Each entry of the table has an example here, and the document shows it.

use super::*;

/// For each entry a situation that it is the answer to.
fn examples() -> Vec<(&'static str, Situation<'static>)> {
    let client = |client, version| Situation {
        client: Some(client),
        version: Some(version),
        subject: "package a",
        ..Situation::default()
    };
    let cause = |cause, status| Situation {
        cause: Some(cause),
        cause_status: status,
        subject: "package a",
        executable: Some("/opt/a"),
        ..Situation::default()
    };
    let program = |executable| Situation {
        executable: Some(executable),
        ..Situation::default()
    };
    let in_container = |situation| Situation {
        in_container: true,
        ..situation
    };
    let rejected = Situation {
        rejected: true,
        ..client("botocore", "1.12.0")
    };
    let never = "never_asked_for_token";
    vec![
        ("rejected", rejected),
        (
            "unanswered-container",
            in_container(cause("token_unanswered", None)),
        ),
        ("unanswered", cause("token_unanswered", None)),
        ("refused-403", cause("token_refused", Some(403))),
        ("refused-400", cause("token_refused", Some(400))),
        ("refused-unknown-path", cause("token_refused", Some(405))),
        ("refused", cause("token_refused", Some(500))),
        ("not-used", cause("token_not_used", None)),
        ("botocore", client("botocore", "1.12.253")),
        ("boto3", client("boto3", "1.9.0")),
        ("boto", client("boto", "2.49.0")),
        ("aws-cli", client("aws-cli", "1.16.18")),
        ("aws-sdk-go-v2", client("aws-sdk-go-v2", "0.18.0")),
        ("aws-sdk-go", client("aws-sdk-go", "1.25.37")),
        ("aws-sdk-java-2", client("aws-sdk-java", "2.10.20")),
        ("aws-sdk-java-1", client("aws-sdk-java", "1.11.677")),
        ("aws-sdk-js-2", client("aws-sdk-js", "2.721.0")),
        ("aws-sdk-php", client("aws-sdk-php", "3.147.6")),
        ("aws-sdk-ruby-2", client("aws-sdk-ruby", "2.11.400")),
        ("aws-sdk-ruby-3", client("aws-sdk-ruby", "3.78.0")),
        ("aws-sdk-dotnet", client("aws-sdk-dotnet", "3.3.633.0")),
        ("aws-sdk-cpp", client("aws-sdk-cpp", "1.7.228")),
        ("cloud-init", client("cloud-init", "19.4-33")),
        ("cloud-init-current", client("cloud-init", "22.4.2")),
        ("ssm-agent", client("amazon-ssm-agent", "2.3.813.0")),
        ("ssm-agent-program", program("/usr/bin/amazon-ssm-agent")),
        (
            "cloudwatch-agent",
            client("amazon-cloudwatch-agent", "1.247347.6"),
        ),
        (
            "cloudwatch-agent-program",
            program("/opt/aws/bin/amazon-cloudwatch-agent"),
        ),
        ("datadog-agent", client("datadog-agent", "7.63.0")),
        (
            "datadog-agent-program",
            program("/opt/datadog-agent/bin/agent/agent"),
        ),
        ("fluent-bit", program("/opt/fluent-bit/bin/fluent-bit")),
        ("efs-utils", program("/sbin/mount.efs")),
        ("curl", program("/usr/bin/curl")),
        ("curl-client", client("curl", "8.5.0")),
        ("sdk-fell-back", client("botocore", "1.34.0")),
        ("never-asked-container", in_container(cause(never, None))),
        ("never-asked", cause(never, None)),
        ("other", Situation::default()),
    ]
}

#[test]
fn every_entry_answers_its_example() {
    let table: Vec<&str> = TABLE.iter().map(|step| step.id.as_str()).collect();
    let examples = examples();
    let with_example: Vec<&str> = examples.iter().map(|(id, _)| *id).collect();
    assert_eq!(table, with_example);
    for (id, situation) in examples {
        let found = TABLE.iter().find(|step| step.matches(&situation)).unwrap();
        assert_eq!(found.id, id);
        let text = next_step(&situation);
        let is_filled = !text.is_empty() && !text.contains(['{', '}', '?']);
        assert!(is_filled, "{id}: {text}");
    }
}

#[test]
fn text_says_what_is_known() {
    let botocore = Situation {
        client: Some("botocore"),
        version: Some("1.12.253"),
        subject: "package python3-botocore",
        ..Situation::default()
    };
    assert_eq!(
        next_step(&botocore),
        "botocore 1.12.253: token support came with 1.13.25. Upgrade botocore (and boto3 with it) \
         in package python3-botocore."
    );
}

#[test]
fn versions_are_compared_by_their_numbers() {
    for (lower, higher) in [
        ("1.9", "1.13"),
        ("1.13", "1.13.25"),
        ("v2.3.9", "2.3.814.0"),
        ("19.4-33-gbb4131a2", "20.1"),
    ] {
        assert!(
            is_before(lower, higher) && !is_before(higher, lower),
            "{lower} {higher}"
        );
    }
    assert!(!is_before("1.13.0", "1.13"));
    let huge = "99999999999999999999999.1";
    assert!(!is_before(huge, "2"));
}

#[test]
fn client_without_a_version_is_neither_old_nor_new() {
    let situation = Situation {
        client: Some("aws-sdk-go"),
        ..Situation::default()
    };
    assert!(next_step(&situation).starts_with("aws-sdk-go (version unknown) can use tokens"));
}

#[test]
fn document_shows_the_table() {
    let document = include_str!("../../../../docs/report.md");
    for step in TABLE.iter() {
        let text = step.text.replace('|', "\\|");
        let row = format!("| `{}` | {} | {text} |", step.id, step.condition());
        assert!(document.contains(&row), "docs/report.md lacks: {row}");
    }
}

impl Step {
    /// Its conditions, as the document has them.
    fn condition(&self) -> String {
        let code = |words: &[String]| {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        };
        let mut parts = Vec::new();
        if let Some(rejected) = self.rejected {
            parts.push(format!("rejected: {rejected}"));
        }
        if let Some(cause) = &self.cause {
            parts.push(format!("`{cause}`"));
        }
        if !self.status.is_empty() {
            let codes: Vec<_> = self.status.iter().map(ToString::to_string).collect();
            parts.push(format!("status {}", codes.join(", ")));
        }
        if !self.client.is_empty() {
            parts.push(format!("client {}", code(&self.client)));
        }
        if let Some(from) = &self.from {
            parts.push(format!("from {from}"));
        }
        if let Some(before) = &self.before {
            parts.push(format!("before {before}"));
        }
        if !self.program.is_empty() {
            parts.push(format!("program {}", code(&self.program)));
        }
        if let Some(container) = self.container {
            parts.push(format!("in a container: {container}"));
        }
        if parts.is_empty() {
            parts.push("anything else".to_owned());
        }
        parts.join("; ")
    }
}
