use super::*;
use crate::report::view::Line;

fn of(fields: &str) -> String {
    let line = format!(
        r#"{{"timestamp":"2026-11-22T04:32:51.949123Z","schema_version":1,"event":"imds_request",
            "seq":1,"boottime_us":2,"imds":{{"version":"v1"}},{fields}}}"#
    );
    let Line::Record(view) = Line::read(line.as_bytes()) else {
        panic!("not a record: {line}");
    };
    Subject::of(&view).title()
}

fn process(fields: &str) -> String {
    of(&format!(r#""process":{{{fields}}}"#))
}

#[test]
fn program_of_a_package_is_the_package_s() {
    let agent = r#""executable":"/usr/bin/amazon-ssm-agent","package":{"name":"amazon-ssm-agent"},
        "systemd_unit":"amazon-ssm-agent.service""#;
    assert_eq!(process(agent), "package amazon-ssm-agent");
    let inside = format!(r#"{agent},"container":{{"id":"c0ffee","image":"agents:1"}}"#);
    assert_eq!(
        process(&inside),
        "package amazon-ssm-agent in container agents:1"
    );
}

#[test]
fn interpreter_s_package_is_not_to_blame() {
    let python = r#""executable":"/usr/bin/python3.11","package":{"name":"python3.11-minimal"},
        "args":["python3","-u","-W","ignore","/opt/inventory.py","--all"]"#;
    assert_eq!(process(python), "script /opt/inventory.py");
    let unit = format!(r#"{python},"systemd_unit":"inventory.service""#);
    assert_eq!(process(&unit), "unit inventory.service");
}

#[test]
fn job_of_cron_is_not_the_unit_of_cron() {
    let curl = r#""executable":"/usr/bin/curl","package":{"name":"curl"},"args":["curl","-s","http://x"],
        "systemd_unit":"cron.service""#;
    let ancestors = r#"[{"name":"sh","executable":"/usr/bin/dash","command_line":"/bin/sh -c /opt/backup.sh"},
        {"name":"cron","executable":"/usr/sbin/cron","command_line":"cron -f"}]"#;
    assert_eq!(process(curl), "program /usr/bin/curl");
    let in_script = ancestors.replace("/bin/sh -c /opt/backup.sh", "/bin/sh /opt/backup.sh -v");
    let fields = format!(r#""process":{{{curl}}},"ancestors":{in_script}"#);
    assert_eq!(of(&fields), "script /opt/backup.sh");
    let fields = format!(r#""process":{{{curl}}},"ancestors":{ancestors}"#);
    assert_eq!(of(&fields), "program /usr/bin/curl");
}

#[test]
fn script_is_found_above_launchers_but_not_above_a_daemon() {
    let curl = r#""process":{"executable":"/usr/bin/curl","args":["curl","http://x"]}"#;
    let line = |middle: &str| {
        format!(
            r#"{curl},"ancestors":[{{"command_line":"{middle}","executable":"/usr/bin/{middle}"}},
            {{"executable":"/bin/bash","command_line":"bash /opt/a.sh"}}]"#
        )
    };
    assert_eq!(of(&line("sudo")), "script /opt/a.sh");
    assert_eq!(of(&line("agentd")), "program /usr/bin/curl");
}

#[test]
fn container_is_its_image_or_what_else_outlives_its_id() {
    let run = |more: &str| {
        process(&format!(
            r#""executable":"/usr/bin/node","args":["node","app.js"],"systemd_unit":"docker.service",{more}"#
        ))
    };
    let container = r#""container":{"id":"c0ffee","name":"web"}"#;
    assert_eq!(
        run(r#""container":{"id":"c0ffee","name":"web","image":"shop:3"}"#),
        "container shop:3"
    );
    assert_eq!(run(container), "container web");
    assert_eq!(run(r#""container":{"id":"c0ffee"}"#), "container c0ffee");
    assert_eq!(
        run(&format!(
            r#"{container},"ecs":{{"task_id":"1","task_definition":"web:7","container_name":"app"}}"#
        )),
        "container web:7/app"
    );
    assert_eq!(
        run(&format!(
            r#"{container},"kubernetes":{{"pod_uid":"1","namespace":"shop","container_name":"app"}}"#
        )),
        "container shop/app"
    );
}

#[test]
fn scripts_of_each_interpreter_are_found() {
    for (args, expected) in [
        (
            r#"["python3","-m","http.server"]"#,
            "script python -m http.server",
        ),
        (r#"["python3","-c","import x"]"#, "program /usr/bin/python3"),
        (r#"["python3"]"#, "program /usr/bin/python3"),
    ] {
        assert_eq!(
            process(&format!(r#""executable":"/usr/bin/python3","args":{args}"#)),
            expected
        );
    }
    for (executable, args, expected) in [
        (
            "java",
            r#"["java","-Xmx1g","-cp","a:b","com.example.Main"]"#,
            "com.example.Main",
        ),
        ("java", r#"["java","-jar","/opt/a.jar"]"#, "/opt/a.jar"),
        (
            "node",
            r#"["node","--inspect","-r","./x","server.js"]"#,
            "server.js",
        ),
        ("perl5.36.0", r#"["perl","-w","a.pl"]"#, "a.pl"),
        ("ruby3.1", r#"["ruby","a.rb"]"#, "a.rb"),
        ("bash", r#"["bash","-x","a.sh"]"#, "a.sh"),
    ] {
        let fields = format!(r#""executable":"/usr/bin/{executable}","args":{args}"#);
        assert_eq!(process(&fields), format!("script {expected}"));
    }
}

#[test]
fn caller_of_which_nothing_is_known_has_a_group() {
    assert_eq!(of(r#""lineage":"x""#), "unknown caller");
    assert_eq!(process(r#""name":"worker""#), "program worker");
}

#[test]
fn names_are_bounded() {
    let path = format!("/{}", "ä".repeat(4_000));
    let title = process(&format!(r#""executable":"{path}""#));
    assert!(
        title.len() < MAX_NAME + 20 && title.ends_with('…'),
        "{title}"
    );
}
