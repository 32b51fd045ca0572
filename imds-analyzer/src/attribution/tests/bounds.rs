//! Memory, whatever the processes of a host do.

use super::*;

#[test]
fn facts_and_attributions_of_many_senders_are_forgotten() {
    let mut attributor = Host::new().attributor();
    let long = "a b ".repeat(500);
    for pid in 1..1000 {
        let sender = task(pid, "curl");
        attributor.note_args(&sender, &bytes(&["curl", &long, &pid.to_string()]), false);
        attributor.note_ancestors(&sender, vec![ancestor(1, "init"); 32], false);
        attributor.attribute(&sender, NOW);
    }
    let first = attributor.attribute(&task(1, "curl"), NOW);
    assert_eq!((args_of(&first), first.ancestors.len()), (None, 0));
    let last = attributor.attribute(&task(999, "curl"), NOW);
    assert_eq!(
        (args_of(&last).unwrap()[2], last.ancestors.len()),
        ("999", 32)
    );
}

#[test]
fn sender_that_is_heard_again_and_again_is_not_forgotten() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(1, "agent"), &bytes(&["agent"]), false);
    let long = "a b ".repeat(500);
    for pid in 2..300 {
        attributor.note_args(&task(pid, "curl"), &bytes(&["curl", &long]), false);
        let now = NOW + u64::from(pid) * FRESH_NS;
        attributor.attribute(&task(pid, "curl"), now);
        let found = attributor.attribute(&task(1, "agent"), now);
        assert_eq!(args_of(&found).unwrap(), ["agent"]);
    }
}

#[test]
fn one_record_is_bounded() {
    let host = Host::new();
    let script = "echo \u{1b} ".repeat(20_000);
    for pid in 1..100 {
        let mut process = Fake::new(pid, "bash").with_args(&["bash", "-c", &script]);
        process.parent = pid + 1;
        process.executable = format!("/{}", "\u{1b}".repeat(4_000));
        host.run(&process);
    }
    let found = host.attributor().attribute(&task(1, "bash"), NOW);
    let json = serde_json::to_string(&(&found.process, &found.ancestors)).unwrap();
    // CloudWatch's smallest limit of an event is 256 KB.
    assert!(json.len() < 200_000, "{} bytes", json.len());
    let line = found.ancestors[0].command_line.as_deref().unwrap();
    assert!(
        line.starts_with("bash -c echo") && line.ends_with('…'),
        "{line}"
    );
}

#[test]
fn passwd_of_a_hostile_size_names_who_is_in_reach() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl"));
    let mut passwd = b"app:x:1000:".to_vec();
    passwd.resize(5 << 20, b'x');
    passwd.extend_from_slice(b"\nlate:x:1001:\n");
    host.passwd(&passwd);
    let mut attributor = host.attributor();
    let mut sender = task(7, "curl");
    let user = attributor.attribute(&sender, NOW).process.user;
    assert_eq!(user.name.as_deref(), Some("app"));
    sender.uid = 1001;
    assert_eq!(attributor.attribute(&sender, NOW).process.user.name, None);
}
