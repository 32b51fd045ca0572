//! The files in `systemd/` are held against the tools that will read them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use imds_analyzer::cli::{Cli, Command as Sub};
use imds_analyzer::clock;
use imds_analyzer::config::{DEFAULT_PATH, Format, Output};
use serde_json::Value;

const UNIT: &str = include_str!("../../systemd/imds-analyzer.service");
const AGENT: &str = include_str!("../../systemd/amazon-cloudwatch-agent.json");

/// Says in a way that no test runner hides that something was not checked; in
/// CI that is a failure.
fn not_checked(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    let mut stderr = io::stderr();
    writeln!(stderr, "\n*** NOT CHECKED: {what}\n").unwrap();
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn agent() -> Value {
    serde_json::from_str(AGENT).unwrap()
}

fn setting(key: &str) -> &'static str {
    let mut values = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {key}="));
    assert_eq!(values.next(), None, "{key}= stands twice");
    value
}

/// What the unit runs, read as the command line reads it.
fn unit_runs() -> imds_analyzer::cli::RunArgs {
    let words = setting("ExecStart").split(' ');
    match Cli::try_parse_from(words).unwrap().command {
        Sub::Run(args) => args,
        _ => panic!("the unit must run"),
    }
}

#[test]
fn unit_runs_a_command_line_that_is_understood() {
    let args = unit_runs();
    assert_eq!(args.config.as_deref(), Some(Path::new(DEFAULT_PATH)));
    assert_eq!(args.format, Some(Format::Json));
}

#[test]
fn unit_writes_into_the_directory_that_systemd_makes() {
    let directory = Path::new("/var/log").join(setting("LogsDirectory"));
    match unit_runs().output {
        Some(Output::File(path)) => assert_eq!(path.parent(), Some(&*directory)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn agent_ships_the_file_that_the_unit_writes() {
    let path = &agent()["logs"]["logs_collected"]["files"]["collect_list"][0]["file_path"];
    let path = Output::File(path.as_str().unwrap().into());
    assert_eq!(unit_runs().output, Some(path));
}

#[test]
fn agent_takes_every_line_for_a_record_and_no_rotated_file() {
    let entry = &agent()["logs"]["logs_collected"]["files"]["collect_list"][0];
    assert_eq!(entry.get("multi_line_start_pattern"), None);
    let path = entry["file_path"].as_str().unwrap();
    assert!(!path.contains(['*', '?', '[']), "{path}");
    assert_eq!(entry["log_stream_name"], "{instance_id}");
}

#[test]
fn unit_stops_after_ordinary_services_and_before_the_end() {
    let before: Vec<&str> = setting("Before").split(' ').collect();
    for target in [
        "cloud-init-local.service",
        "network-pre.target",
        "sysinit.target",
    ] {
        assert!(before.contains(&target), "{target}");
    }
    assert!(before.contains(&"shutdown.target"));
    assert_eq!(setting("Conflicts"), "shutdown.target");
}

#[test]
fn group_of_the_unit_is_the_one_that_sysusers_makes() {
    let sysusers = include_str!("../../systemd/imds-analyzer.sysusers");
    let made: Vec<&str> = sysusers
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(made, [format!("g {} -", setting("Group"))]);
}

#[test]
fn unit_gives_no_capability_but_those_of_its_comment() {
    let bounding: Vec<&str> = setting("CapabilityBoundingSet").split(' ').collect();
    assert_eq!(bounding.len(), 4);
    for capability in bounding {
        assert!(UNIT.contains(&format!("#   {capability} ")), "{capability}");
    }
}

#[test]
fn agent_reads_the_timestamps_that_records_have() {
    let list = &agent()["logs"]["logs_collected"]["files"]["collect_list"];
    let format = list[0]["timestamp_format"].as_str().unwrap();
    assert_eq!(list[0]["timezone"], "UTC");
    // The agent looks for the format anywhere in the line; `Z` follows it.
    let moment = clock::Clock::new().at(clock::boottime_ns());
    let read = jiff::fmt::strtime::parse(format!("{format}Z"), clock::rfc3339(moment)).unwrap();
    let utc = read
        .to_datetime()
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap();
    assert_eq!(utc.timestamp(), moment);
}

#[test]
fn agent_configuration_is_what_the_agent_s_schema_says() {
    let directory = std::env::var_os("IMDS_SHARED_SCHEMAS")
        .map_or_else(|| workspace().join("../shared/schemas"), PathBuf::from);
    let path = directory.join("amazon-cloudwatch-agent.schema.json");
    let Ok(schema) = fs::read_to_string(&path) else {
        return not_checked(&format!(
            "systemd/amazon-cloudwatch-agent.json against the agent's schema, which is not at {}; \
             IMDS_SHARED_SCHEMAS names its directory",
            path.display()
        ));
    };
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let agent = agent();
    let errors: Vec<String> = validator
        .iter_errors(&agent)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut wrong = agent.clone();
    wrong["logs"]["logs_collected"]["files"]["collect_list"][0]["timezone"] = "Mars".into();
    assert!(!validator.is_valid(&wrong), "the schema accepts anything");
}

/// A root with the unit and a cloud-init that is ordered as distributions order
/// it, and what `systemd-analyze verify` says about both.
fn verify(unit: &str) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let wanted = ["sysinit.target", "shutdown.target", "network-pre.target"];
    for target in wanted
        .into_iter()
        .chain(["local-fs.target", "sockets.target"])
    {
        write(
            &format!("usr/lib/systemd/system/{target}"),
            "[Unit]\nDescription=x\n",
        );
    }
    write(
        "usr/lib/systemd/system/basic.target",
        "[Unit]\nDescription=x\nRequires=sysinit.target\nAfter=sysinit.target\n",
    );
    for slice in ["system.slice", "-.slice"] {
        write(
            &format!("usr/lib/systemd/system/{slice}"),
            "[Unit]\nDescription=x\n",
        );
    }
    write(
        "usr/lib/systemd/system/cloud-init-local.service",
        "[Unit]\nDescription=x\nDefaultDependencies=no\nWants=network-pre.target\n\
         After=systemd-remount-fs.service\nBefore=network-pre.target sysinit.target shutdown.target\n\
         Conflicts=shutdown.target\nRequiresMountsFor=/var/lib/cloud\n\
         [Service]\nType=oneshot\nExecStart=/usr/bin/imds-analyzer\n",
    );
    write("etc/systemd/system/imds-analyzer.service", unit);
    write(
        "etc/systemd/system/sysinit.target.d/wants.conf",
        "[Unit]\nWants=imds-analyzer.service\n",
    );
    for program in ["usr/bin/imds-analyzer", "bin/kill"] {
        write(program, "#!/bin/sh\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path().join(program), mode).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .arg(format!("--root={}", root.path().display()))
        .args([
            "--man=no",
            "verify",
            "imds-analyzer.service",
            "cloud-init-local.service",
        ])
        .output();
    match output {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let status = if output.status.success() {
                ""
            } else {
                "failed\n"
            };
            Some(format!("{status}{}", String::from_utf8_lossy(&said)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            not_checked("systemd/imds-analyzer.service, because systemd-analyze is not installed");
            None
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

#[test]
fn systemd_understands_the_unit_and_starts_it_before_cloud_init() {
    if let Some(said) = verify(UNIT) {
        assert_eq!(said, "");
    }
}

#[test]
fn systemd_s_verdict_tells_a_misspelt_setting_and_a_cycle() {
    for (good, bad, expected) in [
        ("RestrictRealtime=", "RestrictRealtim=", "Unknown key"),
        ("DefaultDependencies=no\n", "", "ordering cycle"),
        (
            "After=systemd-remount-fs.service",
            "Wants=basic.target\nAfter=basic.target",
            "ordering cycle",
        ),
    ] {
        let unit = UNIT.replace(good, bad);
        assert_ne!(unit, UNIT);
        if let Some(said) = verify(&unit) {
            assert!(said.contains(expected), "{said}");
        }
    }
}
