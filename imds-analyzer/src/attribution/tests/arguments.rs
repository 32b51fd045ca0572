//! Arguments: the kernel's, those of `/proc`, and which of them are shown.

use super::*;

#[test]
fn kernels_arguments_win_over_those_of_proc() {
    let host = Host::new();
    host.run(&Fake::new(7, "nginx").with_args(&["nginx: worker process"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "nginx"), &bytes(&["nginx", "-c", "conf"]), false);
    let found = attributor.attribute(&task(7, "nginx"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["nginx", "-c", "conf"]);
}

#[test]
fn arguments_after_an_exec_are_not_the_senders() {
    let host = Host::new();
    host.run(&Fake::new(7, "sleep").with_args(&["sleep", "9"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "bash"), &bytes(&["bash", "-c", "ok"]), false);
    let found = attributor.attribute(&task(7, "bash"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["bash", "-c", "ok"]);
    assert!(!found.process.exited);
}

#[test]
fn gone_process_keeps_the_kernels_arguments() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
    for now in [NOW, LATER] {
        let found = attributor.attribute(&task(7, "curl"), now);
        assert!(found.process.exited);
        assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
    }
}

#[test]
fn arguments_are_of_one_process_only() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
    let mut successor = task(7, "curl");
    successor.start_boottime_ns += 1;
    assert_eq!(args_of(&attributor.attribute(&successor, NOW)), None);
    assert_eq!(args_of(&attributor.attribute(&task(8, "curl"), NOW)), None);
    let execed = Task {
        exec_id: 4,
        ..task(7, "curl")
    };
    assert_eq!(args_of(&attributor.attribute(&execed, NOW)), None);
}

#[test]
fn process_that_renames_itself_keeps_its_arguments() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "python3"), &bytes(&["python3", "a.py"]), false);
    attributor.attribute(&task(7, "python3"), NOW);
    let found = attributor.attribute(&task(7, "worker"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["python3", "a.py"]);
    assert_eq!(
        (found.process.name.as_str(), found.lineage.as_str()),
        ("worker", "worker")
    );
}

#[test]
fn arguments_that_the_kernel_could_not_read_are_taken_from_proc() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl").with_args(&["curl", "-s"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "curl"), &[], true);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
}

#[test]
fn arguments_that_come_after_the_first_request_count_from_then_on() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl").with_args(&["retitled"]));
    let mut attributor = host.attributor();
    attributor.attribute(&task(7, "curl"), NOW);
    attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
    assert_eq!(found.process.executable.as_deref(), Some("/usr/bin/curl"));
}

#[test]
fn other_arguments_under_one_name_are_another_program() {
    let host = Host::new();
    host.run(&Fake::new(7, "python3"));
    let mut attributor = host.attributor();
    let sender = task(7, "python3");
    attributor.note_args(&sender, &bytes(&["python3", "a.py"]), false);
    attributor.attribute(&sender, NOW);
    host.reap(7);
    attributor.note_args(&sender, &bytes(&["/venv/bin/python3", "b.py"]), false);
    let found = attributor.attribute(&sender, NOW);
    assert_eq!(args_of(&found).unwrap(), ["/venv/bin/python3", "b.py"]);
    assert_eq!(found.process.executable, None, "was the other one's");
}

#[test]
fn arguments_told_again_change_nothing() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl"));
    let mut attributor = host.attributor();
    let mut ask = || {
        attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
        attributor.note_ancestors(&task(7, "curl"), vec![ancestor(1, "init")], false);
        attributor.attribute(&task(7, "curl"), NOW)
    };
    let first = ask();
    // Were it read again, it would be gone.
    host.reap(7);
    assert_eq!(ask(), first);
}

#[test]
fn cut_arguments_are_marked_and_end_with_a_whole_word() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "sh"), &bytes(&["sh", "-c", "echo one tw"]), true);
    let found = attributor.attribute(&task(7, "sh"), NOW);
    assert_eq!(
        args_of(&found).unwrap(),
        ["sh", "-c", "echo one", "…[truncated]"]
    );

    attributor.note_args(&task(8, "sh"), &bytes(&["sh", "half-of-a-wo"]), true);
    let found = attributor.attribute(&task(8, "sh"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["sh", "…[truncated]"]);
}

#[test]
fn cut_arguments_are_completed_from_proc_if_they_are_its_beginning() {
    let host = Host::new();
    host.run(&Fake::new(7, "java").with_args(&["java", "-cp", "a.jar:b.jar", "Main"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "java"), &bytes(&["java", "-cp", "a.jar"]), true);
    let found = attributor.attribute(&task(7, "java"), NOW);
    assert_eq!(
        args_of(&found).unwrap(),
        ["java", "-cp", "a.jar:b.jar", "Main"]
    );

    attributor.note_args(&task(7, "java"), &bytes(&["java", "-cp", "c d"]), true);
    let found = attributor.attribute(&task(7, "java"), NOW);
    assert_eq!(
        args_of(&found).unwrap(),
        ["java", "-cp", "c", "…[truncated]"]
    );
}

#[test]
fn cut_arguments_stay_marked_if_proc_has_no_more_of_them() {
    let host = Host::new();
    host.run(&Fake::new(7, "java").with_args(&["java", "-cp", "a.jar b"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "java"), &bytes(&["java", "-cp", "a.jar b"]), true);
    let found = attributor.attribute(&task(7, "java"), NOW);
    assert_eq!(
        args_of(&found).unwrap(),
        ["java", "-cp", "a.jar", "…[truncated]"]
    );
}

#[test]
fn process_without_arguments_has_none() {
    let host = Host::new();
    host.run(&Fake::new(7, "kworker/0:1").with_args(&[]));
    let found = host.attributor().attribute(&task(7, "kworker/0:1"), NOW);
    assert_eq!(args_of(&found), None);
}

#[test]
fn arguments_that_can_no_longer_be_read_are_those_of_before() {
    let mut attributor = Host::new().attributor();
    attributor.note_args(&task(7, "curl"), &[], true);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found), None);
    attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
    attributor.note_args(&task(7, "curl"), &[], true);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
}

#[test]
fn whole_arguments_are_not_continued_from_proc() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl").with_args(&["curl", "-s", "added"]));
    let mut attributor = host.attributor();
    attributor.note_args(&task(7, "curl"), &bytes(&["curl", "-s"]), false);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
}
