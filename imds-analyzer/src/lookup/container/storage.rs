//! The state of Podman and CRI-O, which share containers/storage: a list of all
//! containers, `overlay-containers/containers.json`, and the OCI configuration of each,
//! `overlay-containers/ID/userdata/config.json`.

use std::collections::HashMap;

use serde::Deserialize;

use super::{ContainerNames, Pod, Root, Task, containerd::Oci, json, shown};

/// Directories of state: lost at boot, and kept (containers-storage.conf(5)).
const DIRECTORIES: [&str; 2] = [
    "/run/containers/storage/overlay-containers",
    "/var/lib/containers/storage/overlay-containers",
];

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in a string.
    #[serde(default)]
    metadata: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// Name of the image.
    #[serde(rename = "image-name")]
    image: String,
    /// Of Podman: name of the container.
    name: String,
}

pub(super) fn names(root: &Root, id: &str) -> Option<ContainerNames> {
    let oci = DIRECTORIES
        .iter()
        .find_map(|directory| json::<Oci>(root, &format!("{directory}/{id}/userdata/config.json")));
    let annotations = oci.map(|oci| oci.annotations).unwrap_or_default();
    // Only CRI-O writes these (cri-o pkg/annotations).
    if annotations.contains_key("io.kubernetes.cri-o.ContainerType") {
        return Some(of_cri_o(&annotations));
    }
    let list = format!("{}/containers.json", DIRECTORIES[1]);
    let stored: Vec<Stored> = json(root, &list)?;
    let stored = stored.into_iter().find(|stored| stored.id == id)?;
    let metadata: Metadata = serde_json::from_str(&stored.metadata).unwrap_or_default();
    let name = stored.names.first().unwrap_or(&metadata.name);
    Some(ContainerNames {
        runtime: Some("podman"),
        name: shown(name),
        image: shown(&metadata.image),
        pod: Pod::default(),
        task: Task::default(),
    })
}

fn of_cri_o(annotations: &HashMap<String, String>) -> ContainerNames {
    let of = |name: &str| annotations.get(name).and_then(|value| shown(value));
    let container = of("io.kubernetes.container.name");
    ContainerNames {
        runtime: Some("cri-o"),
        name: container.clone(),
        image: of("io.kubernetes.cri-o.ImageName"),
        pod: Pod {
            namespace: of("io.kubernetes.pod.namespace"),
            name: of("io.kubernetes.pod.name"),
            container,
        },
        task: Task::default(),
    }
}
