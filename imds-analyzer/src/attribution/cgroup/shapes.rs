//! How runtimes, the kubelet and the ECS agent name their directories.
//!
//! `tests.rs` has an example of each, with where it is from.

use super::units;
use crate::record::{Container, Kubernetes};

/// Prefixes of container directories, and whose they are: `PREFIX-ID.scope` made by
/// systemd, `PREFIX-ID` without it.
const PREFIXES: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
];

/// Directories above bare ids, and whose they are: Docker's default parent, Podman's
/// with the cgroupfs driver, containerd's namespaces.
const PARENTS: [(&str, &str); 5] = [
    ("docker", "docker"),
    ("libpod_parent", "podman"),
    ("k8s.io", "containerd"),
    ("moby", "docker"),
    ("ecs", "docker"),
];

/// Services below which root's own runtimes keep containers, where they were set to
/// use the tree without systemd's help.
const RUNTIME_SERVICES: [&str; 9] = [
    "containerd.service",
    "docker.service",
    "crio.service",
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "snap.microk8s.daemon-containerd.service",
];

/// Whether containers below this unit are root's.
pub(super) fn is_runtime_service(unit: &str) -> bool {
    RUNTIME_SERVICES.contains(&unit)
}

/// The container that a directory is. `above` is the outermost directory of the path.
pub(super) fn container(directory: &str, above: Option<&str>) -> Option<Container> {
    // systemd's spelling with a runtime that does not use it:
    // `kubepods-burstable-podUID.slice:cri-containerd:ID`.
    if let Some((before, id)) = directory.rsplit_once(':')
        && let Some((_, prefix)) = before.rsplit_once(':')
    {
        return named(&format!("{prefix}-{id}"));
    }
    let stem = directory.strip_suffix(".scope").unwrap_or(directory);
    if let Some(container) = named(stem) {
        return Some(container);
    }
    let runtime = PARENTS
        .iter()
        .find(|(parent, _)| above == Some(parent))
        .map(|(_, runtime)| (*runtime).to_owned());
    is_id(directory).then(|| Container {
        id: directory.to_owned(),
        runtime,
        ..Container::default()
    })
}

/// The container of Podman that a directory is.
pub(super) fn podman(directory: &str) -> Option<Container> {
    container(directory, None).filter(|it| it.runtime.as_deref() == Some("podman"))
}

/// The machine that a unit of systemd-nspawn or machined holds, if `below`, the next
/// directory, is where its processes are: `systemd-nspawn@NAME.service/payload`.
pub(super) fn machine(unit: &str, below: Option<&str>) -> Option<Container> {
    let service = unit
        .strip_prefix("systemd-nspawn@")
        .and_then(|it| it.strip_suffix(".service"));
    let scope = || {
        unit.strip_prefix("machine-")
            .and_then(|it| it.strip_suffix(".scope"))
    };
    let name = service.or_else(scope)?;
    (below == Some("payload")).then(|| machine_of("systemd-nspawn", &units::plain(name)))
}

/// The LXC container of the outermost directories of a path: `lxc.payload.NAME`,
/// `lxc.payload/NAME`, `lxc/NAME`.
pub(super) fn lxc(first: &str, second: Option<&str>) -> Option<Container> {
    let name = match first {
        "lxc" | "lxc.payload" => second?,
        _ => first.strip_prefix("lxc.payload.")?,
    };
    (!name.is_empty()).then(|| machine_of("lxc", name.as_bytes()))
}

/// The pod that a directory or slice of the kubelet is. `parent` is the one above.
pub(super) fn pod(directory: &str, parent: Option<&str>) -> Option<Kubernetes> {
    let colon = directory.split(':').next().unwrap_or(directory);
    let slice = colon.strip_suffix(".slice");
    let (qos, uid) = match slice {
        Some(slice) => {
            // `kubepods-burstable-podUID`, below a root of the kubelet
            // `kubelet-kubepods-burstable-podUID`.
            let (_, name) = slice.rsplit_once("kubepods-")?;
            let (qos, uid) = match name.split_once("-pod") {
                Some((qos, uid)) => (qos, uid),
                None => ("guaranteed", name.strip_prefix("pod")?),
            };
            (Some(qos), uid.replace('_', "-"))
        }
        None => {
            let qos = match parent {
                Some("kubepods") => Some("guaranteed"),
                other => other,
            };
            (qos, directory.strip_prefix("pod")?.to_owned())
        }
    };
    let is_uid = is_uuid(&uid) || (uid.len() == 32 && uid.bytes().all(is_hex));
    is_uid.then(|| Kubernetes {
        pod_uid: uid,
        qos: qos
            .filter(|qos| ["guaranteed", "burstable", "besteffort"].contains(qos))
            .map(str::to_owned),
        ..Kubernetes::default()
    })
}

/// The ECS task that a slice is: `ecstasks-ID.slice`.
pub(super) fn task_of_slice(slice: &str) -> Option<&str> {
    let id = slice.strip_prefix("ecstasks-")?.strip_suffix(".slice")?;
    is_task(id).then_some(id)
}

/// Whether a directory is an ECS task's: 32 hexadecimal digits, or a UUID where task
/// ids are still of the old form.
pub(super) fn is_task(directory: &str) -> bool {
    is_uuid(directory) || (directory.len() == 32 && directory.bytes().all(is_hex))
}

fn named(stem: &str) -> Option<Container> {
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = stem.strip_prefix(prefix).filter(|id| is_id(id))?;
        Some(Container {
            id: id.to_owned(),
            runtime: Some((*runtime).to_owned()),
            ..Container::default()
        })
    })
}

fn machine_of(runtime: &str, name: &[u8]) -> Container {
    Container {
        id: crate::redact::text(name),
        runtime: Some(runtime.to_owned()),
        ..Container::default()
    }
}

/// 64 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hex)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_hex(byte),
        })
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
