//! Names of a container, from the state directories of the host's runtimes.
//!
//! They belong to root, so what stands there is the runtime's word. Nobody is asked
//! over a socket, and of a configuration, which holds the container's environment, only what
//! is needed is taken.

mod containerd;
mod docker;
mod storage;

use serde::de::DeserializeOwned;

use super::root::Root;
use crate::{record::Process, redact};

/// Most of a state file that is read, bytes. Larger ones are cut, and no JSON then.
const MAX_FILE: u64 = 1 << 20;

/// What a runtime's state tells of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerNames {
    pub(super) runtime: Option<&'static str>,
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
    pub(super) pod: Pod,
    pub(super) task: Task,
}

/// What it tells of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) container: Option<String>,
}

/// What it tells of the ECS task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) definition: Option<String>,
    pub(super) container: Option<String>,
}

/// The names of the container `id`, 64 hexadecimal digits. Where its cgroup does not
/// tell the runtime, all are looked at.
pub(super) fn names(root: &Root, runtime: Option<&str>, id: &str) -> Option<ContainerNames> {
    let is = |name: &str| runtime.is_none_or(|runtime| runtime == name);
    let docker = || is("docker").then(|| docker::names(root, id)).flatten();
    let containerd = || {
        is("containerd")
            .then(|| containerd::names(root, id))
            .flatten()
    };
    let storage = || {
        (is("cri-o") || is("podman"))
            .then(|| storage::names(root, id))
            .flatten()
    };
    docker().or_else(containerd).or_else(storage)
}

impl ContainerNames {
    /// Adds them to a record, where they are of what it knows already.
    pub(super) fn describe(&self, process: &mut Process) {
        if let Some(container) = &mut process.container {
            container.name.clone_from(&self.name);
            container.image.clone_from(&self.image);
            if container.runtime.is_none() {
                container.runtime = self.runtime.map(str::to_owned);
            }
        }
        if let Some(pod) = &mut process.kubernetes {
            pod.namespace.clone_from(&self.pod.namespace);
            pod.pod_name.clone_from(&self.pod.name);
            pod.container_name.clone_from(&self.pod.container);
        }
        // A task without limits of its own has no cgroup of its own.
        if process.ecs.is_none()
            && let Some(task_id) = &self.task.id
        {
            process.ecs = Some(crate::record::Ecs {
                task_id: task_id.clone(),
                ..Default::default()
            });
        }
        if let Some(task) = &mut process.ecs
            && self.task.id.as_ref() == Some(&task.task_id)
        {
            task.cluster.clone_from(&self.task.cluster);
            task.task_definition.clone_from(&self.task.definition);
            task.container_name.clone_from(&self.task.container);
        }
    }

    /// Memory on the heap, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        [
            &self.name,
            &self.image,
            &self.pod.namespace,
            &self.pod.name,
            &self.pod.container,
            &self.task.id,
            &self.task.cluster,
            &self.task.definition,
            &self.task.container,
        ]
        .into_iter()
        .flatten()
        .map(String::capacity)
        .sum()
    }
}

/// The JSON of a state file.
fn json<T: DeserializeOwned>(root: &Root, path: &str) -> Option<T> {
    serde_json::from_slice(&root.read(path, MAX_FILE)?).ok()
}

/// Text for a record. Empty is unknown.
fn shown(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| redact::text(text.as_bytes()))
}

#[cfg(test)]
mod tests;
