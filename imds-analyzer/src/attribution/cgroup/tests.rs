//! Trees of every runtime, each with where it was seen, and trees that lie.

use super::*;

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

/// Layouts, and where each is from. In paths, `ID` and `OTHER` stand for 64
/// hexadecimal digits, `POD` and `POD_` for a pod's uid, `TASK` for a task's id.
const LAYOUTS: &[(&str, &str, &str)] = &[
    // systemd: CGROUPS.md "The Cgroup Tree", systemd.slice(5), user@.service(5).
    (
        "service",
        "/system.slice/cron.service",
        "slice=system.slice, unit=cron.service",
    ),
    (
        "nested slice",
        "/system.slice/system-getty.slice/getty@tty1.service",
        "slice=system-getty.slice, unit=getty@tty1.service",
    ),
    (
        "escaped name",
        r"/system.slice/system-systemd\x2dfsck.slice/systemd-fsck@dev-disk-by\x2duuid-77.service",
        r"slice=system-systemd\x2dfsck.slice, unit=systemd-fsck@dev-disk-by\x2duuid-77.service",
    ),
    (
        "name like a file of the kernel (cg_escape)",
        "/system.slice/_cpu.test.service",
        "slice=system.slice, unit=cpu.test.service",
    ),
    (
        "delegated service with groups of its own",
        "/system.slice/web.service/workers/1",
        "slice=system.slice, unit=web.service",
    ),
    ("PID 1", "/init.scope", "unit=init.scope"),
    (
        "login",
        "/user.slice/user-1000.slice/session-3.scope",
        "slice=user-1000.slice, unit=session-3.scope, session=3 of 1000",
    ),
    (
        "user manager",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service",
        "slice=user-1000.slice, unit=user@1000.service, user_unit=sync.service, session=- of 1000",
    ),
    (
        "user manager before systemd 246",
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        "slice=user-1000.slice, unit=user@1000.service, user_unit=init.scope, session=- of 1000",
    ),
    // Docker: neuvector share/system/cgroup_test.go, TestDockerIDDebian/Ubuntu/CentOS.
    ("docker, no parent", "/ID", "?=ID"),
    ("docker, cgroupfs", "/docker/ID", "docker=ID"),
    (
        "docker, systemd",
        "/system.slice/docker-ID.scope",
        "docker=ID, slice=system.slice, unit=docker-ID.scope",
    ),
    (
        "docker, own parent (dockerd --cgroup-parent)",
        "/actions_job/ID",
        "?=ID",
    ),
    (
        "docker in docker (the same file, TestDockerIDRancherOS)",
        "/docker/ID/docker/OTHER",
        "docker=ID, inner=OTHER",
    ),
    // Kubernetes: the same file, TestDockerIDKubepods, Kubepods2, K8sBottleRocket.
    (
        "cgroupfs",
        "/kubepods/besteffort/podPOD/ID",
        "?=ID, pod=POD besteffort",
    ),
    (
        "cgroupfs, guaranteed",
        "/kubepods/podPOD/ID",
        "?=ID, pod=POD guaranteed",
    ),
    (
        "inside (TestK8sProxyProcess)",
        "/kubepods/burstable/podPOD/ID/kube-proxy",
        "?=ID, pod=POD burstable",
    ),
    (
        "systemd, docker",
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podPOD_.slice/docker-ID.scope",
        "docker=ID, pod=POD besteffort, slice=kubepods-besteffort-podPOD.slice, unit=docker-ID.scope",
    ),
    (
        "Bottlerocket",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/cri-containerd-ID.scope",
        "containerd=ID, pod=POD burstable, slice=kubepods-burstable-podPOD.slice, unit=cri-containerd-ID.scope",
    ),
    (
        "CRI-O with the group that crun adds (crun(1))",
        "/kubepods.slice/kubepods-podPOD_.slice/crio-ID.scope/container",
        "cri-o=ID, pod=POD guaranteed, slice=kubepods-podPOD.slice, unit=crio-ID.scope",
    ),
    (
        "CRI-O's monitor is no container (cri-o internal/config/cgmgr)",
        "/kubepods.slice/kubepods-podPOD_.slice/crio-conmon-ID.scope",
        "pod=POD guaranteed, slice=kubepods-podPOD.slice, unit=crio-conmon-ID.scope",
    ),
    (
        "static pod (its uid is a digest)",
        "/kubepods/burstable/pod45b1e35aaaa11e7ac420050568ffca00/ID",
        "?=ID, pod=45b1e35aaaa11e7ac420050568ffca00 burstable",
    ),
    (
        "kubelet for systemd, containerd not (opentelemetry-java-instrumentation CgroupV1ContainerIdExtractor)",
        "/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:ID",
        "containerd=ID, pod=POD burstable, slice=system.slice, unit=containerd.service",
    ),
    (
        "the same, below the root of a hierarchy",
        "/kubepods-podPOD_.slice:cri-containerd:ID",
        "containerd=ID, pod=POD guaranteed",
    ),
    (
        "kind node (netdata collectors/cgroups.plugin/cgroup-name.sh)",
        "/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podPOD_.slice/cri-containerd-OTHER.scope",
        "docker=ID, inner=OTHER",
    ),
    (
        "kubelet with --cgroup-root=/kubelet",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podPOD_.slice/cri-containerd-ID.scope",
        "containerd=ID, pod=POD besteffort, slice=kubelet-kubepods-besteffort-podPOD.slice, unit=cri-containerd-ID.scope",
    ),
    (
        "k3s itself",
        "/system.slice/k3s.service",
        "slice=system.slice, unit=k3s.service",
    ),
    (
        "seen from a pod with the host's processes (cgroup_namespaces(7))",
        "/../../kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/cri-containerd-ID.scope",
        "containerd=ID, pod=POD burstable, slice=kubepods-burstable-podPOD.slice, unit=cri-containerd-ID.scope",
    ),
    // ECS: amazon-ecs-agent agent/api/task/task_linux.go, BuildCgroupRoot.
    ("ECS, cgroup v1", "/ecs/TASK/ID", "docker=ID, task=TASK"),
    (
        "ECS, old task ids",
        "/ecs/b2bc27ee-7d5e-4dbf-8ac4-b42e2a3b3f5f/ID",
        "docker=ID, task=b2bc27ee-7d5e-4dbf-8ac4-b42e2a3b3f5f",
    ),
    (
        "ECS, with the cluster",
        "/ecs/prod/TASK/ID",
        "docker=ID, task=TASK, cluster=prod",
    ),
    (
        "ECS, cgroup v2",
        "/ecstasks.slice/ecstasks-TASK.slice/docker-ID.scope",
        "docker=ID, task=TASK, slice=ecstasks-TASK.slice, unit=docker-ID.scope",
    ),
    // Podman: libpod/container.go CGroupPath, podman-systemd.unit(5).
    (
        "podman",
        "/machine.slice/libpod-ID.scope/container",
        "podman=ID, slice=machine.slice, unit=libpod-ID.scope",
    ),
    ("podman, cgroupfs", "/libpod_parent/libpod-ID", "podman=ID"),
    (
        "podman's monitor is no container",
        "/machine.slice/libpod-conmon-ID.scope",
        "slice=machine.slice, unit=libpod-conmon-ID.scope",
    ),
    (
        "Quadlet",
        "/system.slice/web.service/libpod-payload-ID",
        "podman=ID, delegated, slice=system.slice, unit=web.service",
    ),
    (
        "podman, rootless",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
        "podman=ID, delegated, slice=user-1000.slice, unit=user@1000.service, user_unit=libpod-ID.scope, session=- of 1000",
    ),
    (
        "Quadlet, rootless",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-ID",
        "podman=ID, delegated, slice=user-1000.slice, unit=user@1000.service, user_unit=web.service, session=- of 1000",
    ),
    // systemd-nspawn(1), netdata's cgroup-name.sh, lxc.container.conf(5).
    (
        "nspawn",
        "/machine.slice/systemd-nspawn@jammy.service/payload/system.slice/ssh.service",
        "systemd-nspawn=jammy, slice=machine.slice, unit=systemd-nspawn@jammy.service",
    ),
    (
        "nspawn without a unit of its own",
        r"/machine.slice/machine-my\x2dbox.scope/payload",
        r"systemd-nspawn=my-box, slice=machine.slice, unit=machine-my\x2dbox.scope",
    ),
    (
        "nspawn itself",
        "/machine.slice/systemd-nspawn@jammy.service/supervisor",
        "slice=machine.slice, unit=systemd-nspawn@jammy.service",
    ),
    (
        "a virtual machine is no container",
        r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator",
        r"slice=machine.slice, unit=machine-qemu\x2d1\x2dvm.scope",
    ),
    (
        "LXC 4",
        "/lxc.payload.web/system.slice/ssh.service",
        "lxc=web",
    ),
    ("LXC 3 and LXD", "/lxc.payload/web/init.scope", "lxc=web"),
    ("LXC 2 and Proxmox", "/lxc/100/ns", "lxc=100"),
    ("LXC's monitor is no container", "/lxc.monitor.web", ""),
    ("nothing", "/", ""),
];

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
