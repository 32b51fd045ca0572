//! What an owner knows a caller by: its container, pod, task, session, package and
//! the software that made the request.

use serde::Serialize;

/// The container a process runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Id as its runtime gave it: 64 hexadecimal digits, or the name of a machine.
    pub id: String,
    /// docker, containerd, cri-o, podman, lxc, systemd-nspawn; absent if the path
    /// does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Name that people gave it, if the runtime's state directory tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Image it was made of, from the same place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Id of a container inside this one, in the words of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_id: Option<String>,
    /// The id stands below a unit that may belong to an ordinary user (rootless
    /// podman): it is that unit's word and nobody else's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delegated: bool,
}

/// The Kubernetes pod a process runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kubernetes {
    /// Uid of the pod; of a static pod the digest of its manifest.
    pub pod_uid: String,
    /// Quality of service: guaranteed, burstable or besteffort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Name of the container in the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// The Amazon ECS task a process runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ecs {
    /// Id of the task: the last part of its ARN.
    pub task_id: String,
    /// Name of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Task definition, `family:revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Name of the container in the task definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// What a session is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Somebody logged in.
    Login,
    /// A cron job.
    Cron,
    /// A job of at(1) or batch(1).
    At,
    /// A user's own systemd, which may outlive every login.
    UserManager,
}

/// The session or job that a process belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// What it is there for.
    pub kind: SessionKind,
    /// Its id, as `loginctl` and the audit log have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whose it is: the user who logged in, whoever the process runs as now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<super::User>,
}

/// The package that owns an executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whose database says so: dpkg or rpm.
    pub manager: String,
}

/// The software that made a request, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Name, as in `docs/clients.md`.
    pub name: String,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Which file an executable is, whatever its path says today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device of its file system, as stat(2) gives it.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}
