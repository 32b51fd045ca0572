//! Trees of every runtime.

/// Layouts, and where each is from. In paths, `ID` and `OTHER` stand for 64
/// hexadecimal digits, `POD` and `POD_` for a pod's uid, `TASK` for a task's id.
pub(super) const LAYOUTS: &[(&str, &str, &str)] = &[
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
