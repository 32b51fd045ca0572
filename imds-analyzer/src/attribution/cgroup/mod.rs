//! Where a process runs, from the path of its cgroup: container, pod, task, systemd
//! unit and slice, login session.
//!
//! A process that was given a part of the tree can make directories of any name in
//! it. So a path is read from its root down, as systemd reads it
//! (`cg_path_get_unit`, src/basic/cgroup-util.c), and only as far as root's managers
//! have named it: to the first unit, or to the directory of a container. What a user's own
//! systemd, a service or a container made below that says nothing about the host, with
//! three exceptions, each for what is named: containers that root's runtimes keep
//! below their own unit, the units of `user@UID.service`, and Podman's containers
//! below a unit, which are marked as `delegated`.

mod path;
mod shapes;
mod units;

use crate::{
    attribution::recent::Weight,
    capture::Program,
    record::{Container, Ecs, Kubernetes},
};

/// Where a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) container: Option<Container>,
    pub(super) kubernetes: Option<Kubernetes>,
    pub(super) ecs: Option<Ecs>,
    pub(super) systemd_unit: Option<String>,
    pub(super) systemd_user_unit: Option<String>,
    pub(super) systemd_slice: Option<String>,
    pub(super) session: Option<LogindSession>,
}

/// A session of systemd-logind: `user-UID.slice/session-ID.scope`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogindSession {
    /// Absent for the user's own systemd, `user@UID.service`.
    pub(super) id: Option<String>,
    /// The user it is of.
    pub(super) uid: u32,
}

impl Place {
    /// Where a process ran its program, as the kernel side told it. `None` if it did not
    /// tell, or if the process is in the root of the unified hierarchy: on a host with
    /// the old hierarchies all are.
    pub(super) fn told(program: &Program) -> Option<Self> {
        let path = program.cgroup.as_deref().filter(|path| *path != b"/")?;
        Some(Self::of_path(&String::from_utf8_lossy(path)))
    }

    /// This place, and what another account of it has more.
    pub(super) fn completed_by(mut self, other: Self) -> Self {
        self.add(other, true);
        self
    }

    /// Reads the lines of `/proc/PID/cgroup`: `ID:CONTROLLERS:PATH` (cgroups(7)). In
    /// v1 there is one for each hierarchy, of which systemd's own names the units; in
    /// v2 there is one for all; in a hybrid there are both.
    pub(super) fn of(cgroup: &str) -> Self {
        let mut lines: Vec<(&str, &str)> = cgroup.lines().filter_map(fields).collect();
        // A runtime without systemd's help may use some hierarchies and not others.
        lines.sort_by_key(|(controllers, _)| match *controllers {
            "name=systemd" => 0,
            "" => 1,
            _ => 2,
        });
        let mut place = Self::default();
        for (controllers, path) in lines {
            let is_systemd = matches!(controllers, "name=systemd" | "");
            if place.container.is_some() && !is_systemd {
                break;
            }
            place.add(Self::of_path(path), is_systemd);
        }
        place
    }

    /// Reads one path, beginning at the root of its hierarchy.
    pub(super) fn of_path(path: &str) -> Self {
        path::read(path)
    }

    /// Takes over what this place lacks. Only systemd's hierarchies say units.
    fn add(&mut self, other: Self, says_units: bool) {
        if self.container.is_none() && self.kubernetes.is_none() && self.ecs.is_none() {
            self.container = other.container;
            self.kubernetes = other.kubernetes;
            self.ecs = other.ecs;
        }
        if says_units && self.systemd_unit.is_none() {
            self.systemd_unit = other.systemd_unit;
            self.systemd_user_unit = other.systemd_user_unit;
            self.session = other.session;
            if other.systemd_slice.is_some() {
                self.systemd_slice = other.systemd_slice;
            }
        }
    }
}

fn fields(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    Some((fields.next()?, fields.next()?))
}

impl Weight for Place {
    fn heap_bytes(&self) -> usize {
        self.container.heap_bytes()
            + self.kubernetes.heap_bytes()
            + self.ecs.heap_bytes()
            + self.systemd_unit.heap_bytes()
            + self.systemd_user_unit.heap_bytes()
            + self.systemd_slice.heap_bytes()
            + self.session.as_ref().map_or(0, |it| it.id.heap_bytes())
    }
}

impl Weight for Container {
    fn heap_bytes(&self) -> usize {
        self.id.heap_bytes()
            + self.runtime.heap_bytes()
            + self.name.heap_bytes()
            + self.image.heap_bytes()
            + self.inner_id.heap_bytes()
    }
}

impl Weight for Kubernetes {
    fn heap_bytes(&self) -> usize {
        self.pod_uid.heap_bytes()
            + self.qos.heap_bytes()
            + self.namespace.heap_bytes()
            + self.pod_name.heap_bytes()
            + self.container_name.heap_bytes()
    }
}

impl Weight for Ecs {
    fn heap_bytes(&self) -> usize {
        self.task_id.heap_bytes()
            + self.cluster.heap_bytes()
            + self.task_definition.heap_bytes()
            + self.container_name.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
