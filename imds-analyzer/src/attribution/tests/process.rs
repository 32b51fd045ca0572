//! The process itself: what of `/proc` is believed, and when.

use super::*;

const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn in_container(mut process: Fake) -> Fake {
    process.cgroup = format!("0::/system.slice/docker-{CONTAINER}.scope\n");
    process
}

#[test]
fn live_process_is_described_from_proc() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl").with_args(&["curl", "-s", "http://host/"]));
    let found = host.attributor().attribute(&task(7, "curl"), NOW);
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s", "http://host/"]);
    let process = found.process;
    assert_eq!((process.pid, process.tid), (7, 7));
    assert_eq!(process.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(process.systemd_unit.as_deref(), Some("cron.service"));
    assert_eq!(
        (process.user.id, process.user.name.as_deref()),
        (1000, Some("app"))
    );
    assert_eq!((process.thread_name, process.container), (None, None));
    assert!(process.start_time.is_some());
    assert!(!process.exited);
}

#[test]
fn nothing_is_believed_of_a_successor_with_the_same_pid() {
    let host = Host::new();
    let mut successor = in_container(Fake::new(7, "curl").with_args(&["curl", "other"]));
    successor.start_ns = START + 10_000_000;
    host.run(&successor);
    let found = host.attributor().attribute(&task(7, "curl"), NOW);
    assert!(found.process.exited);
    assert_eq!(args_of(&found), None);
    assert_eq!(found.process.executable, None);
    assert_eq!(
        (found.process.container, found.process.systemd_unit),
        (None, None)
    );
    assert_eq!((found.ancestors, found.lineage.as_str()), (vec![], "curl"));
}

#[test]
fn program_of_another_name_is_not_the_sender_but_its_place_is() {
    let host = Host::new();
    host.run(&in_container(
        Fake::new(7, "python3").with_args(&["python3", "other.py"]),
    ));
    let found = host.attributor().attribute(&task(7, "bash"), NOW);
    assert!(!found.process.exited);
    assert_eq!(found.process.name, "bash");
    assert_eq!(
        (args_of(&found), found.process.executable.clone()),
        (None, None)
    );
    assert_eq!(found.process.container.unwrap().id, CONTAINER);
}

#[test]
fn zombie_is_gone() {
    let host = Host::new();
    let mut zombie = Fake::new(7, "curl");
    zombie.state = 'Z';
    host.run(&zombie);
    let found = host.attributor().attribute(&task(7, "curl"), NOW);
    assert!(found.process.exited);
    assert_eq!(found.process.executable, None);
}

#[test]
fn process_without_an_entry_is_gone_but_named() {
    let found = Host::new().attributor().attribute(&task(7, "curl"), NOW);
    assert!(found.process.exited);
    assert_eq!(
        (found.process.name.as_str(), found.process.user.id),
        ("curl", 1000)
    );
}

#[test]
fn what_was_learnt_stays_true_of_a_process_that_is_gone() {
    let host = Host::new();
    let mut process = Fake::new(7, "curl").with_args(&["curl", "-s"]);
    process.parent = 0;
    host.run(&process);
    let mut attributor = host.attributor();
    let mut expected = attributor.attribute(&task(7, "curl"), NOW);
    host.reap(7);
    expected.process.exited = true;
    assert_eq!(attributor.attribute(&task(7, "curl"), LATER), expected);
    assert_eq!(
        attributor.attribute(&task(7, "curl"), LATER + FRESH_NS),
        expected
    );
}

#[test]
fn what_was_learnt_stays_true_of_a_program_that_was_left_by_exec() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl").with_args(&["curl", "-s"]));
    let mut attributor = host.attributor();
    attributor.attribute(&task(7, "curl"), NOW);
    host.run(&Fake::new(7, "sleep"));
    let found = attributor.attribute(&task(7, "curl"), LATER);
    assert_eq!(found.process.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(args_of(&found).unwrap(), ["curl", "-s"]);
    assert!(!found.process.exited);
}

#[test]
fn nothing_learnt_is_used_for_another_process() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl"));
    let mut attributor = host.attributor();
    attributor.attribute(&task(7, "curl"), NOW);
    host.reap(7);
    let mut successor = task(7, "curl");
    successor.start_boottime_ns += 1;
    let found = attributor.attribute(&successor, NOW);
    assert!(found.process.exited);
    assert_eq!(found.process.executable, None);
}

#[test]
fn thread_is_named_beside_its_process() {
    let host = Host::new();
    host.run(&Fake::new(7, "java"));
    let mut worker = task(7, "java");
    (worker.tid, worker.thread_name) = (9, b"pool-1-thread-2".to_vec());
    let found = host.attributor().attribute(&worker, NOW).process;
    assert_eq!((found.pid, found.tid, found.name.as_str()), (7, 9, "java"));
    assert_eq!(found.thread_name.as_deref(), Some("pool-1-thread-2"));
    assert_eq!(found.executable.as_deref(), Some("/usr/bin/java"));
}

#[test]
fn threads_of_a_process_share_what_was_read_but_not_their_names() {
    let host = Host::new();
    host.run(&Fake::new(7, "java"));
    let mut attributor = host.attributor();
    let (main, mut worker) = (task(7, "java"), task(7, "java"));
    (worker.tid, worker.thread_name) = (9, b"worker".to_vec());
    attributor.attribute(&main, NOW);
    // Were it read again, it would be gone.
    host.reap(7);
    let found = attributor.attribute(&worker, NOW).process;
    assert_eq!(
        (found.tid, found.thread_name.as_deref()),
        (9, Some("worker"))
    );
    assert!(!found.exited);
    let found = attributor.attribute(&main, NOW).process;
    assert_eq!((found.tid, found.thread_name), (7, None));
}

#[test]
fn change_of_user_is_seen_at_once() {
    let host = Host::new();
    host.run(&Fake::new(7, "su"));
    let mut attributor = host.attributor();
    let mut sender = task(7, "su");
    attributor.attribute(&sender, NOW);
    sender.uid = 0;
    let user = attributor.attribute(&sender, NOW).process.user;
    assert_eq!((user.id, user.name.as_deref()), (0, Some("root")));
}

#[test]
fn move_to_another_cgroup_is_seen_after_a_second() {
    let host = Host::new();
    host.run(&Fake::new(7, "curl"));
    let mut attributor = host.attributor();
    attributor.attribute(&task(7, "curl"), NOW);
    let mut moved = Fake::new(7, "curl");
    moved.cgroup = "0::/system.slice/other.service\n".to_owned();
    host.run(&moved);
    let mut unit_at = |now| {
        attributor
            .attribute(&task(7, "curl"), now)
            .process
            .systemd_unit
    };
    assert_eq!(unit_at(LATER - 1).as_deref(), Some("cron.service"));
    assert_eq!(unit_at(LATER).as_deref(), Some("other.service"));
}

#[test]
fn user_of_a_container_has_no_name_of_the_host() {
    let host = Host::new();
    host.run(&in_container(Fake::new(7, "curl")));
    let mut attributor = host.attributor();
    let found = attributor.attribute(&task(7, "curl"), NOW).process;
    assert_eq!(found.container.unwrap().runtime.as_deref(), Some("docker"));
    assert_eq!((found.user.id, found.user.name), (1000, None));
    host.reap(7);
    let found = attributor.attribute(&task(7, "curl"), LATER).process;
    assert_eq!(found.container.unwrap().id, CONTAINER);
    assert_eq!((found.exited, found.user.name), (true, None));
}

/// Name of the user of a sender that nothing is known of but that `parent` is above it.
fn user_of_child_that_is_gone(parent: &Fake, parent_uid: u32) -> Option<String> {
    let host = Host::new();
    host.run(parent);
    let mut attributor = host.attributor();
    let sender = task(7, "curl");
    let mut above = ancestor(parent.pid, "bash");
    above.uid = parent_uid;
    attributor.note_ancestors(&sender, vec![above], false);
    attributor.attribute(&sender, NOW).process.user.name
}

#[test]
fn gone_process_has_the_user_of_its_parent_on_the_host() {
    let name = user_of_child_that_is_gone(&Fake::new(5, "bash"), 1000);
    assert_eq!(name.as_deref(), Some("app"));
}

#[test]
fn gone_process_whose_user_may_be_a_containers_gets_no_name() {
    let shell = in_container(Fake::new(5, "bash"));
    assert_eq!(user_of_child_that_is_gone(&shell, 1000), None);
    // A container's first process has a parent outside: its runtime, root's.
    assert_eq!(user_of_child_that_is_gone(&Fake::new(5, "bash"), 0), None);
    // Nothing is known at all.
    assert_eq!(
        user_of_child_that_is_gone(&Fake::new(5, "other"), 1000),
        None
    );
}

#[test]
fn sender_that_is_not_known_is_nobody() {
    let host = Host::new();
    let mut attributor = host.attributor();
    let nobody = Task {
        start_boottime_ns: 0,
        uid: 0,
        ..task(0, "")
    };
    attributor.note_args(&nobody, &bytes(&["curl"]), false);
    attributor.note_ancestors(&nobody, vec![ancestor(1, "init")], false);
    let found = attributor.attribute(&nobody, NOW);
    assert_eq!((args_of(&found), found.ancestors.len()), (None, 0));
    assert_eq!(
        (found.process.start_time, found.process.user.name),
        (None, None)
    );
}

#[test]
fn name_that_looks_like_the_rest_of_stat_changes_nothing() {
    let host = Host::new();
    host.run(&Fake::new(8, "bash"));
    let mut sender = task(7, "x) Z 8 (");
    host.run(&Fake::new(7, "x) Z 8 ("));
    let mut attributor = host.attributor();
    assert!(!attributor.attribute(&sender, NOW).process.exited);
    sender.process_name = b"a\n(b\xff".to_vec();
    let mut odd = Fake::new(7, "");
    odd.name = sender.process_name.clone();
    host.run(&odd);
    let found = attributor.attribute(&sender, NOW).process;
    assert_eq!((found.name.as_str(), found.exited), ("a\\n(b\\xff", false));
    assert!(found.executable.is_some());
}

#[test]
fn own_process_is_recognised_in_the_real_proc() {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // The 22nd, of which two are before the parenthesis (proc_pid_stat(5)).
    let ticks: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    let name = fs::read("/proc/self/comm").unwrap();
    let mut sender = task(std::process::id(), "");
    sender.start_boottime_ns = ticks * 10_000_000 + 9_999_999;
    sender.process_name = name.strip_suffix(b"\n").unwrap().to_vec();
    let mut attributor = Attributor::new("/", Arc::new(Clock::new()));
    let found = attributor.attribute(&sender, NOW);
    let executable = std::env::current_exe().unwrap();
    assert_eq!(found.process.executable.as_deref(), executable.to_str());
    assert!(!found.process.exited);
    assert!(!found.ancestors.is_empty());
}
