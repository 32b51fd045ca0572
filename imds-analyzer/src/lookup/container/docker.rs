//! Docker's state: `/var/lib/docker/containers/ID/config.v2.json` (moby
//! daemon/container, `Container` as `toDisk` writes it).

use std::collections::HashMap;

use serde::Deserialize;

use super::{ContainerNames, Pod, Root, Task, json, shown};

#[derive(Deserialize)]
struct State {
    #[serde(rename = "ID")]
    id: String,
    /// With a slash before it.
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Config", default)]
    config: Config,
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "Labels", default)]
    labels: Option<HashMap<String, String>>,
}

pub(super) fn names(root: &Root, id: &str) -> Option<ContainerNames> {
    let path = format!("/var/lib/docker/containers/{id}/config.v2.json");
    let state: State = json(root, &path).filter(|state: &State| state.id == id)?;
    let labels = state.config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).and_then(|value| shown(value));
    Some(ContainerNames {
        runtime: Some("docker"),
        name: shown(state.name.trim_start_matches('/')),
        image: shown(&state.config.image),
        // Labels of the kubelet (cri-dockerd libdocker/labels).
        pod: Pod {
            namespace: label("io.kubernetes.pod.namespace"),
            name: label("io.kubernetes.pod.name"),
            container: label("io.kubernetes.container.name"),
        },
        // Labels of the ECS agent (Amazon ECS Developer Guide, "Amazon ECS-optimized
        // container labels"; amazon-ecs-agent engine/docker_task_engine.go).
        task: Task {
            id: labels
                .get("com.amazonaws.ecs.task-arn")
                .and_then(|arn| shown(arn.rsplit('/').next()?)),
            cluster: labels.get("com.amazonaws.ecs.cluster").and_then(|cluster| {
                // Its name or its ARN.
                shown(cluster.rsplit('/').next()?)
            }),
            definition: label("com.amazonaws.ecs.task-definition-family").map(
                |family| match label("com.amazonaws.ecs.task-definition-version") {
                    Some(revision) => format!("{family}:{revision}"),
                    None => family,
                },
            ),
            container: label("com.amazonaws.ecs.container-name"),
        },
    })
}
