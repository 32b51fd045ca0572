//! What the kernel side tells of a sender's program, and of programs as they start.

use super::*;
use crate::{
    capture::{FileId, Namespaces},
    record::ExecutableState,
};

const FILE: FileId = FileId {
    device: 1,
    inode: 99,
};

/// A program as the kernel side tells it.
fn program(path: &str) -> Program {
    Program {
        file: Some(FILE),
        path: Some(path.into()),
        cgroup: Some(b"/system.slice/backup.service".to_vec()),
        namespaces: Namespaces {
            pid: 1,
            mount: 2,
            net: 3,
        },
        ns_tgid: 7,
        ..Program::default()
    }
}

fn told(host: &Host, program: Program) -> Attribution {
    let mut attributor = host.attributor();
    attributor.note_program(&task(7, "curl"), program);
    attributor.attribute(&task(7, "curl"), NOW)
}

#[test]
fn program_and_place_of_a_process_that_is_gone_are_known() {
    let found = told(&Host::new(), program("/usr/bin/curl")).process;
    assert!(found.exited);
    assert_eq!(found.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(found.systemd_unit.as_deref(), Some("backup.service"));
    assert_eq!(
        found.cgroup.as_deref(),
        Some("/system.slice/backup.service")
    );
    let namespaces = found.namespaces.unwrap();
    assert_eq!(
        (namespaces.pid, namespaces.mount, namespaces.net),
        (1, 2, 3)
    );
    assert_eq!((found.executable_state, found.namespaced_pid), (None, None));
}

#[test]
fn process_in_another_pid_namespace_shows_both_ids() {
    let inside = Program {
        ns_tgid: 1,
        ..program("/usr/bin/curl")
    };
    let found = told(&Host::new(), inside).process;
    assert_eq!((found.pid, found.namespaced_pid), (7, Some(1)));
}

#[test]
fn program_that_was_executed_after_the_send_is_not_the_sender() {
    let host = Host::new();
    // The name is a process's own choice, its file is not.
    let mut other = Fake::new(7, "curl").with_args(&["sleep", "inf"]);
    other.executable = "/usr/bin/sleep".to_owned();
    host.run(&other);
    let found = told(&host, program("/usr/bin/curl"));
    assert!(!found.process.exited);
    assert_eq!(found.process.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(args_of(&found), None);
}

#[test]
fn renamed_process_is_recognised_by_its_file() {
    let host = Host::new();
    host.run(&Fake::new(7, "renamed").with_args(&["curl", "-s"]));
    let found = told(&host, program("/usr/bin/renamed"));
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
}

#[test]
fn deleted_and_memory_executables_are_marked() {
    let deleted = Program {
        deleted: true,
        ..program("/tmp/updater")
    };
    let found = told(&Host::new(), deleted).process;
    assert_eq!(found.executable.as_deref(), Some("/tmp/updater"));
    assert_eq!(found.executable_state, Some(ExecutableState::Deleted));
    let memfd = Program {
        deleted: true,
        in_memory: true,
        ..program("/memfd:payload")
    };
    let found = told(&Host::new(), memfd).process;
    assert_eq!(found.executable_state, Some(ExecutableState::Memfd));
}

#[test]
fn cgroup_of_the_hook_wins_over_that_of_proc() {
    let host = Host::new();
    let mut moved = Fake::new(7, "curl");
    moved.cgroup = "0::/system.slice/other.service\n".to_owned();
    host.run(&moved);
    let found = told(&host, program("/usr/bin/curl")).process;
    assert_eq!(found.systemd_unit.as_deref(), Some("backup.service"));
}

#[test]
fn place_comes_from_proc_where_the_unified_hierarchy_tells_nothing() {
    let host = Host::new();
    let mut process = Fake::new(7, "curl");
    process.cgroup = "1:name=systemd:/system.slice/cron.service\n0::/\n".to_owned();
    host.run(&process);
    for cgroup in [None, Some(b"/".to_vec())] {
        let program = Program {
            cgroup,
            ..program("/usr/bin/curl")
        };
        let found = told(&host, program).process;
        assert_eq!(found.systemd_unit.as_deref(), Some("cron.service"));
    }
}

/// What is shown of the ancestors of a sender.
fn above(
    attributor: &mut Attributor,
    chain: Vec<Ancestor>,
) -> Vec<(Option<String>, Option<String>)> {
    attributor.note_ancestors(&task(7, "curl"), chain, false);
    let found = attributor.attribute(&task(7, "curl"), NOW);
    let ancestors = found.ancestors.into_iter();
    ancestors
        .map(|it| (it.executable, it.command_line))
        .collect()
}

/// A parent of senders that told what it executed, as the kernel side does.
fn executed(attributor: &mut Attributor, exec_id: u64, args: &[&str]) {
    let shell = Task {
        exec_id,
        ..task(5, "sh")
    };
    attributor.note_exec_args(&shell, &bytes(args));
    attributor.note_exec_program(&shell, &program("/usr/bin/dash"));
}

#[test]
fn ancestor_that_is_gone_has_what_it_executed() {
    let mut attributor = Host::new().attributor();
    executed(&mut attributor, 2, &["sh", "backup.sh"]);
    executed(&mut attributor, 1, &["other"]);
    let shown = above(&mut attributor, vec![ancestor(5, "sh")]);
    assert_eq!(
        shown,
        [(
            Some("/usr/bin/dash".to_owned()),
            Some("sh backup.sh".to_owned())
        )]
    );
}

#[test]
fn subshell_that_is_gone_has_the_arguments_of_its_shell() {
    let mut attributor = Host::new().attributor();
    executed(&mut attributor, 2, &["sh", "backup.sh"]);
    let chain = vec![ancestor(9, "sh"), ancestor(8, "sh"), ancestor(5, "sh")];
    for (_, line) in above(&mut attributor, chain) {
        assert_eq!(line.as_deref(), Some("sh backup.sh"));
    }
}

#[test]
fn other_program_than_the_parents_has_not_its_arguments() {
    let mut attributor = Host::new().attributor();
    executed(&mut attributor, 2, &["sh", "backup.sh"]);
    let others = [
        Ancestor {
            exec_id: 3,
            ..ancestor(9, "sh")
        },
        Ancestor {
            file: Some(FILE),
            ..ancestor(9, "sh")
        },
        ancestor(9, "bash"),
    ];
    for other in others {
        let shown = above(&mut attributor, vec![other, ancestor(5, "sh")]);
        assert_eq!(shown[0], (None, None));
    }
}

#[test]
fn live_ancestor_is_believed_only_of_the_same_file() {
    let host = Host::new();
    // The tests' `exe` links lead nowhere, so this one has to.
    let own = std::env::current_exe().unwrap();
    let mut shell = Fake::new(5, "sh").with_args(&["sh", "other.sh"]);
    shell.executable = own.to_str().unwrap().to_owned();
    host.run(&shell);
    let real = executable::file_at(&own);
    for (file, believed) in [(real, true), (Some(FILE), false)] {
        let chain = vec![Ancestor {
            file,
            ..ancestor(5, "sh")
        }];
        let shown = above(&mut host.attributor(), chain);
        assert_eq!(shown[0].1.is_some(), believed, "{file:?}");
    }
}
