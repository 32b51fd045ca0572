//! containerd's state: the OCI configuration of a task's bundle,
//! `STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` (containerd
//! docs/ops.md), whose annotations its CRI plugin and nerdctl write.

use std::collections::HashMap;

use serde::Deserialize;

use super::{ContainerNames, Pod, Root, Task, json, shown};

/// State directories: of containerd, of k3s and RKE2, of MicroK8s, of Bottlerocket's
/// containerd for host containers.
const STATES: [&str; 4] = [
    "/run/containerd",
    "/run/k3s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/host-containerd",
];

/// Most namespaces that are looked into.
const MAX_NAMESPACES: usize = 64;

/// Namespaces that most containers are in, looked into first.
const USUAL: [&str; 2] = ["k8s.io", "default"];

#[derive(Deserialize)]
pub(super) struct Oci {
    #[serde(default)]
    pub(super) annotations: HashMap<String, String>,
}

pub(super) fn names(root: &Root, id: &str) -> Option<ContainerNames> {
    STATES.iter().find_map(|state| {
        let tasks = format!("{state}/io.containerd.runtime.v2.task");
        let others = root.names(&tasks, MAX_NAMESPACES);
        let others = others.iter().filter_map(|name| name.to_str());
        let namespaces = USUAL
            .into_iter()
            .chain(others.filter(|it| !USUAL.contains(it)));
        for namespace in namespaces {
            let path = format!("{tasks}/{namespace}/{id}/config.json");
            if let Some(oci) = json::<Oci>(root, &path) {
                return Some(of_annotations(&oci.annotations));
            }
        }
        None
    })
}

/// containerd internal/cri/annotations, and nerdctl pkg/labels.
fn of_annotations(annotations: &HashMap<String, String>) -> ContainerNames {
    let of = |name: &str| annotations.get(name).and_then(|value| shown(value));
    let container = of("io.kubernetes.cri.container-name");
    ContainerNames {
        runtime: Some("containerd"),
        name: container.clone().or_else(|| of("nerdctl/name")),
        image: of("io.kubernetes.cri.image-name"),
        pod: Pod {
            namespace: of("io.kubernetes.cri.sandbox-namespace"),
            name: of("io.kubernetes.cri.sandbox-name"),
            container,
        },
        task: Task::default(),
    }
}
