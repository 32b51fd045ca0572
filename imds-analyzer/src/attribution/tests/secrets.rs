//! Secrets and control characters never come out.

use super::*;

/// All that an attribution can be seen as.
fn everything(found: &Attribution) -> String {
    let json = serde_json::to_string(&(&found.process, &found.ancestors, &found.lineage)).unwrap();
    format!("{found:?}{json}")
}

/// Words that hold the canary where redaction must know it by its name or place.
fn script() -> String {
    format!("curl -H 'X-aws-ec2-metadata-token: {CANARY}' http://u:{CANARY}@h/; PASSWORD={CANARY}")
}

#[test]
fn secret_in_arguments_of_the_kernel_is_replaced() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "bash"), &bytes(&["bash", "-c", &script()]), false);
    let found = attributor.attribute(&task(7, "bash"), NOW);
    assert!(!everything(&found).contains(CANARY));
    assert!(args_of(&found).unwrap()[2].contains("[REDACTED]"));
}

#[test]
fn secret_in_arguments_of_proc_is_replaced() {
    let host = Host::new();
    host.run(&Fake::new(7, "bash").with_args(&["bash", "-c", &script()]));
    let found = host.attributor().attribute(&task(7, "bash"), NOW);
    assert!(!everything(&found).contains(CANARY));
    assert!(args_of(&found).unwrap()[2].contains("[REDACTED]"));
}

#[test]
fn secret_in_a_command_line_above_is_replaced_however_the_chain_is_known() {
    let host = Host::new();
    let mut sender = Fake::new(7, "curl");
    sender.parent = 5;
    host.run(&sender);
    host.run(&Fake::new(5, "bash").with_args(&["bash", "-c", &script()]));
    let mut attributor = host.attributor();
    for noted in [false, true] {
        if noted {
            attributor.note_ancestors(&task(7, "curl"), vec![ancestor(5, "bash")], false);
        }
        let found = attributor.attribute(&task(7, "curl"), NOW);
        assert!(!everything(&found).contains(CANARY));
        let line = found.ancestors[0].command_line.as_deref().unwrap();
        assert!(line.contains("[REDACTED]"), "{line}");
    }
}

#[test]
fn secret_that_the_kernel_cut_in_two_is_not_shown_in_part() {
    let mut attributor = Host::new().attributor();
    // By its shape alone; its first half has none.
    let half = "AQAEAcanary";
    for cut in [format!("echo {half}"), half.to_owned()] {
        attributor.note_args(&task(7, "sh"), &bytes(&["sh", &cut]), true);
        let found = attributor.attribute(&task(7, "sh"), NOW);
        assert!(!everything(&found).contains("canary"));
    }
}

#[test]
fn secret_in_names_and_paths_is_replaced() {
    let host = Host::new();
    let name = "secret=c4n4ryV";
    let secret_name = "password=c4n4ry";
    let mut process = Fake::new(7, secret_name);
    process.executable = format!("/opt/x?token={CANARY}");
    process.cgroup = format!("0::/a/token={CANARY}.service\n");
    host.run(&process);
    let mut sender = task(7, secret_name);
    sender.thread_name = name.into();
    let mut attributor = host.attributor();
    attributor.note_ancestors(&sender, vec![ancestor(5, secret_name)], false);
    let found = attributor.attribute(&sender, NOW);
    let all = everything(&found);
    assert!(!all.contains("c4n4ry"), "{all}");
    assert!(found.process.executable.is_some());
}

#[test]
fn control_characters_and_invalid_bytes_are_escaped_everywhere() {
    let host = Host::new();
    let hostile = b"a\n\x1b[2J\r\xff\xe2\x80\xae";
    let mut process = Fake::new(7, "");
    process.name = hostile.to_vec();
    process.cmdline = [&hostile[..], b"\0{\"event\":\n\x1b\0"].concat();
    process.executable = "/x\n\u{1b}\u{202e}".to_owned();
    process.cgroup = "0::/\u{1b}\u{202e}.service\n".to_owned();
    process.parent = 5;
    host.run(&process);
    host.passwd(b"ap\x1b\xffp:x:1000:0\n");
    let mut parent = Fake::new(5, "");
    parent.name = hostile.to_vec();
    parent.cmdline = [&hostile[..], b"\0"].concat();
    host.run(&parent);
    let mut sender = task(7, "");
    sender.process_name = hostile.to_vec();
    sender.thread_name = [&hostile[..], b"t"].concat();
    let mut attributor = host.attributor();
    for noted in [false, true] {
        if noted {
            let mut above = ancestor(5, "");
            above.name = hostile.to_vec();
            attributor.note_ancestors(&sender, vec![above], false);
            attributor.note_args(&sender, &[hostile.to_vec()], false);
        }
        let found = attributor.attribute(&sender, NOW);
        let process = &found.process;
        let mut texts = vec![
            &process.name,
            &found.lineage,
            process.thread_name.as_ref().unwrap(),
        ];
        texts.extend([&process.executable, &process.user.name].map(|it| it.as_ref().unwrap()));
        texts.extend(process.args.as_ref().unwrap());
        let above = &found.ancestors[0];
        texts.extend([&above.name, above.command_line.as_ref().unwrap()]);
        for text in texts {
            let is_visible = |character: char| !character.is_control() && character != '\u{202e}';
            assert!(text.chars().all(is_visible), "{text:?}");
            assert!(text.contains('\\') || text.contains("event"), "{text:?}");
        }
    }
}
