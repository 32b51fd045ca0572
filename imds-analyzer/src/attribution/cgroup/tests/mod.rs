//! Trees of every runtime, each with where it was seen, and trees that lie.

mod layouts;

use super::*;

use layouts::LAYOUTS;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const POD: &str = "74ba62da-1a3d-11e7-bb11-080027cb0e22";
const POD_IN_SLICE: &str = "74ba62da_1a3d_11e7_bb11_080027cb0e22";
const TASK: &str = "e95a40efbde84cbc8600660a109ec194";

/// A place in words, what is unknown left out.
fn words(place: &Place) -> String {
    let mut words = Vec::new();
    if let Some(container) = &place.container {
        let runtime = container.runtime.as_deref().unwrap_or("?");
        let id = match container.id.as_str() {
            ID => "ID",
            OTHER => "OTHER",
            name => name,
        };
        words.push(format!("{runtime}={id}"));
        if let Some(inner) = &container.inner_id {
            words.push(format!(
                "inner={}",
                if inner == OTHER { "OTHER" } else { inner }
            ));
        }
        words.extend(container.delegated.then(|| "delegated".to_owned()));
    }
    if let Some(pod) = &place.kubernetes {
        words.push(format!(
            "pod={} {}",
            if pod.pod_uid == POD {
                "POD"
            } else {
                &pod.pod_uid
            },
            pod.qos.as_deref().unwrap_or("?")
        ));
    }
    if let Some(ecs) = &place.ecs {
        words.push(format!(
            "task={}",
            if ecs.task_id == TASK {
                "TASK"
            } else {
                &ecs.task_id
            }
        ));
        words.extend(ecs.cluster.as_ref().map(|it| format!("cluster={it}")));
    }
    words.extend(place.systemd_slice.as_ref().map(|it| format!("slice={it}")));
    words.extend(place.systemd_unit.as_ref().map(|it| format!("unit={it}")));
    words.extend(
        place
            .systemd_user_unit
            .as_ref()
            .map(|it| format!("user_unit={it}")),
    );
    if let Some(session) = &place.session {
        let id = session.id.as_deref().unwrap_or("-");
        words.push(format!("session={id} of {}", session.uid));
    }
    let words = words.join(", ");
    words
        .replace(&format!("docker-{ID}.scope"), "docker-ID.scope")
        .replace(&format!("-{ID}.scope"), "-ID.scope")
        .replace(POD_IN_SLICE, "POD")
        .replace(TASK, "TASK")
}

/// The path that a short one stands for.
fn path(short: &str) -> String {
    short
        .replace("OTHER", OTHER)
        .replace("POD_", POD_IN_SLICE)
        .replace("POD", POD)
        .replace("TASK", TASK)
        .replace("ID", ID)
}

#[test]
fn every_layout_is_read_in_version_2() {
    for (what, short, expected) in LAYOUTS {
        let place = Place::of(&format!("0::{}\n", path(short)));
        assert_eq!(words(&place), *expected, "{what}: {short}");
    }
}

#[test]
fn every_layout_is_read_in_version_1() {
    for (what, short, expected) in LAYOUTS {
        let path = path(short);
        let cgroup = format!(
            "12:pids:{path}\n11:rdma:/\n4:cpu,cpuacct:{path}\n2:memory:{path}\n1:name=systemd:{path}\n0::/\n"
        );
        assert_eq!(words(&Place::of(&cgroup)), *expected, "{what}: {short}");
    }
}

#[test]
fn every_layout_is_read_in_a_hybrid() {
    for (what, short, expected) in LAYOUTS {
        let path = path(short);
        let cgroup = format!("2:memory:/\n1:name=systemd:{path}\n0::{path}\n");
        assert_eq!(words(&Place::of(&cgroup)), *expected, "{what}: {short}");
    }
}

#[test]
fn runtime_may_leave_systemd_s_hierarchy_alone() {
    let cgroup = path(
        "3:memory:/docker/ID\n2:cpu:/docker/ID\n1:name=systemd:/system.slice/docker.service\n",
    );
    assert_eq!(
        words(&Place::of(&cgroup)),
        "docker=ID, slice=system.slice, unit=docker.service"
    );
}

#[test]
fn unit_is_not_taken_from_another_hierarchy() {
    let cgroup =
        "3:memory:/system.slice/other.service\n1:name=systemd:/system.slice/cron.service\n0::/\n";
    assert_eq!(
        words(&Place::of(cgroup)),
        "slice=system.slice, unit=cron.service"
    );
}

/// Trees that a process can make where it was given a part of one: each names what
/// is somebody else's, and none of that is believed.
const LIES: &[(&str, &str)] = &[
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/docker/ID",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-podPOD_.slice/cri-containerd-ID.scope",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/ecstasks.slice/ecstasks-TASK.slice/docker-ID.scope",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/machine.slice/systemd-nspawn@jammy.service/payload",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/system.slice/cron.service",
        "unit=user@1000.service",
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/user-0.slice/session-1.scope",
        "session=- of 1000",
    ),
    (
        "/user.slice/user-1000.slice/session-3.scope/docker-ID.scope",
        "session=3 of 1000",
    ),
    (
        "/system.slice/web.service/docker-ID.scope",
        "unit=web.service",
    ),
    ("/system.slice/web.service/ID", "unit=web.service"),
    (
        "/system.slice/web.service/system.slice/cron.service",
        "unit=web.service",
    ),
    (
        "/system.slice/web.service/containerd.service/ID",
        "unit=web.service",
    ),
    (
        "/system.slice/web.service/kubepods/podPOD/ID",
        "unit=web.service",
    ),
    ("/system.slice/session-9.scope", "unit=session-9.scope"),
    ("/user/alice/0/docker/ID", ""),
    ("/user/alice/0/lxc.payload.web", ""),
];

#[test]
fn names_below_what_was_given_away_are_not_believed() {
    for (short, certain) in LIES {
        let place = Place::of(&format!("0::{}\n", path(short)));
        assert!(place.container.is_none(), "{short}: {place:?}");
        assert!(place.kubernetes.is_none(), "{short}: {place:?}");
        assert!(place.ecs.is_none(), "{short}: {place:?}");
        let said = words(&place);
        assert!(said.contains(certain), "{short}: {said}");
        let forged = ["unit=cron.service", "session=1", "session=9", "of 0"];
        assert!(
            !forged
                .iter()
                .any(|it| said.replace("user_unit=", "u=").contains(it)),
            "{short}: {said}"
        );
    }
}

#[test]
fn container_says_nothing_of_another_but_an_id_inside_itself() {
    for short in [
        "/docker/ID/OTHER",
        "/docker/ID/kubepods/podPOD/OTHER",
        "/docker/ID/ecs/TASK/OTHER",
    ] {
        let place = Place::of(&format!("0::{}\n", path(short)));
        assert_eq!(words(&place), "docker=ID, inner=OTHER", "{short}");
    }
}

#[test]
fn nothing_is_made_of_what_only_looks_alike() {
    let upper = ID.to_uppercase();
    for path in [
        format!("/docker/{}", &ID[1..]),
        format!("/docker/{ID}0"),
        format!("/docker/{upper}"),
        format!("/system.slice/docker-{}.scope", &ID[1..]),
        format!("/system.slice/evil-{ID}.scope"),
        "/kubepods/podnot-a-uid/x".to_owned(),
        "/ecs/not-a-task/x".to_owned(),
        "/lxc".to_owned(),
        "/lxc.payload.".to_owned(),
    ] {
        let place = Place::of(&format!("0::{path}\n"));
        assert!(place.container.is_none(), "{path}: {place:?}");
        assert!(
            place.kubernetes.is_none() && place.ecs.is_none(),
            "{path}: {place:?}"
        );
    }
    for cgroup in [
        "",
        "garbage",
        "0:",
        "0::",
        "::",
        "0::/user.slice\n",
        "0::/.service",
        "0::/@.service",
    ] {
        let place = Place::of(cgroup);
        assert_eq!(
            (place.container, place.systemd_unit),
            (None, None),
            "{cgroup}"
        );
    }
}

#[test]
fn hostile_names_are_escaped_or_no_names() {
    let place = Place::of("0::/system.slice/a\u{1b}[2J.service\n");
    assert_eq!(place.systemd_unit, None);
    let place = Place::of("0::/lxc.payload.a\u{1b}[2J\n");
    assert_eq!(place.container.unwrap().id, "a\\x1b[2J");
    let place = Place::of(&format!("0::/ecs/a\u{202e}b/{TASK}/{ID}\n"));
    assert_eq!(place.ecs.unwrap().cluster.as_deref(), Some("a\\u{202e}b"));
    let deep = format!("0::{}\n", "/x".repeat(100_000));
    assert_eq!(Place::of(&deep), Place::default());
}
