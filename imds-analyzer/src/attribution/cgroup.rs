//! What the path of a process's cgroup tells: its container and its systemd unit.
//!
//! Runtimes put a container's id, 64 hexadecimal digits, into the last component
//! that is theirs: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`,
//! `libpod-ID.scope` with systemd, a bare `ID` below `docker`, `kubepods` or `ecs`
//! without it.

use crate::{capture::Program, record::Container, redact};

/// Prefixes of container scopes, and whose they are.
const SCOPES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
];

/// Length of a container's id.
const ID_LEN: usize = 64;

/// Where a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) container: Option<Container>,
    pub(super) systemd_unit: Option<String>,
}

impl Place {
    /// Where a process ran its program, as the kernel side told it. `None` if it did not
    /// tell, or if the process is in the root of the unified hierarchy: on a host with
    /// the old hierarchies all are.
    pub(super) fn told(program: &Program) -> Option<Self> {
        let path = program.cgroup.as_deref().filter(|path| *path != b"/")?;
        Some(Self::of(&format!("0::{}\n", String::from_utf8_lossy(path))))
    }

    /// Reads the lines of `/proc/PID/cgroup`: `ID:CONTROLLERS:PATH`. The unified
    /// hierarchy's line, or systemd's own in a hybrid one, says the unit.
    pub(super) fn of(cgroup: &str) -> Self {
        let mut place = Self::default();
        for line in cgroup.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if place.container.is_none() {
                place.container = container(path);
            }
            if place.systemd_unit.is_none() && matches!(controllers, "" | "name=systemd") {
                place.systemd_unit = unit(path);
            }
        }
        place
    }
}

/// The container whose id is deepest in the path.
fn container(path: &str) -> Option<Container> {
    let components: Vec<&str> = path.split('/').collect();
    for (depth, component) in components.iter().enumerate().rev() {
        let stem = component.strip_suffix(".scope").unwrap_or(component);
        for (prefix, runtime) in SCOPES {
            if let Some(id) = stem.strip_prefix(prefix).filter(|id| is_id(id)) {
                return Some(Container {
                    id: id.to_owned(),
                    runtime: Some((*runtime).to_owned()),
                });
            }
        }
        if is_id(component) {
            let parent = depth.checked_sub(1).map(|above| components[above]);
            return Some(Container {
                id: (*component).to_owned(),
                runtime: (parent == Some("docker")).then(|| "docker".to_owned()),
            });
        }
    }
    None
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The deepest unit in the path that is a service or a scope.
fn unit(path: &str) -> Option<String> {
    path.rsplit('/')
        .find(|component| component.ends_with(".service") || component.ends_with(".scope"))
        .map(|unit| redact::text(unit.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(cgroup: &str) -> (Option<String>, Option<String>, Option<String>) {
        let place = Place::of(cgroup);
        let (id, runtime) = place.container.map_or((None, None), |container| {
            (Some(container.id), container.runtime)
        });
        (id, runtime, place.systemd_unit)
    }

    #[test]
    fn service_is_named_on_v2() {
        let (id, _, unit) = found("0::/system.slice/cron.service\n");
        assert_eq!((id, unit.as_deref()), (None, Some("cron.service")));
    }

    #[test]
    fn service_is_named_on_a_hybrid_host() {
        let cgroup = "3:memory:/other.service\n1:name=systemd:/system.slice/cron.service\n0::/\n";
        assert_eq!(found(cgroup).2.as_deref(), Some("cron.service"));
    }

    #[test]
    fn docker_container_is_named_with_and_without_systemd() {
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/docker/{ID}"),
        ] {
            let (id, runtime, _) = found(&format!("0::{path}\n"));
            assert_eq!(
                (id.as_deref(), runtime.as_deref()),
                (Some(ID), Some("docker")),
                "{path}"
            );
        }
    }

    #[test]
    fn kubernetes_container_is_named() {
        let path = format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n");
        assert_eq!(found(&path).1.as_deref(), Some("containerd"));
    }

    #[test]
    fn directory_inside_a_container_does_not_hide_it() {
        let (id, _, _) = found(&format!("0::/docker/{ID}/init.scope\n"));
        assert_eq!(id.as_deref(), Some(ID));
    }

    #[test]
    fn nothing_is_made_of_other_paths() {
        for cgroup in [
            "",
            "0::/\n",
            "garbage",
            "0::/user.slice\n",
            &format!("0::/{ID}0\n"),
        ] {
            assert_eq!(found(cgroup), (None, None, None), "{cgroup}");
        }
    }
}
