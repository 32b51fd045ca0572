//! The chain up to PID 1.

use imds_analyzer_common::record::MAX_ANCESTORS;

use super::*;

/// Names with what `/proc` added.
fn shown(found: &Attribution) -> Vec<(u32, &str, Option<&str>, Option<&str>)> {
    let ancestors = found.ancestors.iter();
    ancestors
        .map(|it| {
            (
                it.pid,
                it.name.as_str(),
                it.executable.as_deref(),
                it.command_line.as_deref(),
            )
        })
        .collect()
}

fn attributor_with(host: &Host, ancestors: &[Ancestor], truncated: bool) -> Attributor {
    let mut attributor = host.attributor();
    attributor.note_ancestors(&task(7, "curl"), ancestors.to_vec(), truncated);
    attributor
}

#[test]
fn proc_adds_to_the_kernels_chain_only_what_is_the_same_process() {
    let host = Host::new();
    host.run(&Fake::new(5, "sh").with_args(&["sh", "backup.sh"]));
    let mut reused = Fake::new(4, "cron");
    reused.start_ns += 10_000_000;
    host.run(&reused);
    host.run(&Fake::new(3, "execed"));
    host.run(&Fake::new(1, "systemd"));
    let chain = [
        ancestor(5, "sh"),
        ancestor(4, "cron"),
        ancestor(3, "bash"),
        ancestor(2, "gone"),
        ancestor(1, "systemd"),
    ];
    let found = attributor_with(&host, &chain, false).attribute(&task(7, "curl"), NOW);
    let expected = [
        (5, "sh", Some("/usr/bin/sh"), Some("sh backup.sh")),
        (4, "cron", None, None),
        (3, "bash", None, None),
        (2, "gone", None, None),
        (1, "systemd", Some("/usr/bin/systemd"), Some("systemd")),
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!(found.lineage, "curl < sh < cron < bash < gone < systemd");
    assert!(!found.ancestors_truncated);
}

#[test]
fn kernels_chain_is_kept_for_a_process_that_is_gone() {
    let chain = [ancestor(5, "sh"), ancestor(1, "systemd")];
    let found = attributor_with(&Host::new(), &chain, false).attribute(&task(7, "curl"), NOW);
    assert!(found.process.exited);
    assert_eq!(found.lineage, "curl < sh < systemd");
    assert_eq!(
        shown(&found),
        [(5, "sh", None, None), (1, "systemd", None, None)]
    );
}

#[test]
fn kernels_chain_wins_over_that_of_proc() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl"));
    host.run(&Fake::new(1, "systemd"));
    let chain = [ancestor(5, "sh"), ancestor(1, "systemd")];
    let found = attributor_with(&host, &chain, false).attribute(&task(7, "curl"), NOW);
    assert_eq!(found.lineage, "curl < sh < systemd");
}

#[test]
fn chain_that_the_kernel_cut_is_marked() {
    let found = attributor_with(&Host::new(), &[ancestor(5, "sh")], true);
    assert!(
        { found }
            .attribute(&task(7, "curl"), NOW)
            .ancestors_truncated
    );
}

#[test]
fn what_was_learnt_of_an_ancestor_serves_its_other_children() {
    let host = Host::new();
    host.run(&Fake::new(5, "sh").with_args(&["sh", "backup.sh"]));
    let mut attributor = attributor_with(&host, &[ancestor(5, "sh")], false);
    attributor.attribute(&task(7, "curl"), NOW);
    host.reap(5);
    attributor.note_ancestors(&task(8, "wget"), vec![ancestor(5, "sh")], false);
    let found = attributor.attribute(&task(8, "wget"), LATER);
    assert_eq!(shown(&found)[0].3, Some("sh backup.sh"));
}

#[test]
fn ancestor_is_looked_at_again_after_a_second() {
    let host = Host::new();
    host.run(&Fake::new(5, "bash").with_args(&["bash", "a.sh"]));
    let mut attributor = attributor_with(&host, &[ancestor(5, "bash")], false);
    attributor.attribute(&task(7, "curl"), NOW);
    host.run(&Fake::new(5, "bash").with_args(&["bash", "b.sh"]));
    let found = attributor.attribute(&task(7, "curl"), LATER);
    assert_eq!(shown(&found)[0].3, Some("bash b.sh"));
}

#[test]
fn proc_gives_the_chain_that_the_kernel_did_not() {
    let host = Host::new();
    let mut sender = Fake::new(7, "curl");
    sender.parent = 5;
    let mut shell = Fake::new(5, "sh").with_args(&["sh", "backup.sh"]);
    shell.start_ns -= 10_000_000;
    let mut init = Fake::new(1, "systemd");
    (init.start_ns, init.parent) = (0, 0);
    for process in [&sender, &shell, &init] {
        host.run(process);
    }
    let mut attributor = host.attributor();
    let found = attributor.attribute(&task(7, "curl"), NOW);
    let expected = [
        (5, "sh", Some("/usr/bin/sh"), Some("sh backup.sh")),
        (1, "systemd", Some("/usr/bin/systemd"), Some("systemd")),
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!(found.lineage, "curl < sh < systemd");
    // It stays once nobody is there to ask.
    for process in [&sender, &shell, &init] {
        host.reap(process.pid);
    }
    let found = attributor.attribute(&task(7, "curl"), LATER);
    assert_eq!(
        (shown(&found), found.process.exited),
        (expected.to_vec(), true)
    );
    assert_eq!(found.lineage, "curl < sh < systemd");
}

#[test]
fn parent_that_is_younger_than_its_child_is_not_the_parent() {
    let host = Host::new();
    let mut sender = Fake::new(7, "curl");
    sender.parent = 5;
    host.run(&sender);
    let mut successor = Fake::new(5, "sshd");
    successor.start_ns += 10_000_000;
    host.run(&successor);
    let found = host.attributor().attribute(&task(7, "curl"), NOW);
    assert_eq!((shown(&found), found.lineage.as_str()), (vec![], "curl"));
}

#[test]
fn chain_through_proc_is_bounded() {
    let host = Host::new();
    for pid in 1..100 {
        let mut process = Fake::new(pid, "sh");
        process.parent = pid + 1;
        host.run(&process);
    }
    let found = host.attributor().attribute(&task(1, "sh"), NOW);
    assert_eq!(found.ancestors.len(), MAX_ANCESTORS);
    assert!(found.ancestors_truncated);
}

#[test]
fn chain_of_exactly_the_bound_is_whole() {
    let host = Host::new();
    let last = 1 + MAX_ANCESTORS as u32;
    for pid in 1..=last {
        let mut process = Fake::new(pid, "sh");
        process.parent = if pid == last { 0 } else { pid + 1 };
        host.run(&process);
    }
    let found = host.attributor().attribute(&task(1, "sh"), NOW);
    assert_eq!(found.ancestors.len(), MAX_ANCESTORS);
    assert!(!found.ancestors_truncated);
}

#[test]
fn loop_of_parents_ends() {
    let host = Host::new();
    for (pid, parent) in [(7, 5), (5, 7)] {
        let mut process = Fake::new(pid, "sh");
        process.parent = parent;
        host.run(&process);
    }
    let found = host.attributor().attribute(&task(7, "sh"), NOW);
    assert!(found.ancestors_truncated);
    assert_eq!(found.ancestors.len(), MAX_ANCESTORS);
}

#[test]
fn name_with_the_separator_is_one_name_in_the_lineage() {
    let chain = [ancestor(5, "sh < systemd"), ancestor(1, "init")];
    let found = attributor_with(&Host::new(), &chain, false).attribute(&task(7, "curl"), NOW);
    assert_eq!(found.lineage, "curl < sh \\x3c systemd < init");
    assert_eq!(found.ancestors[0].name, "sh < systemd");
}
