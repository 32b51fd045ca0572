//! One path, from its root down to where root's managers stop.

use super::{LogindSession, Place, shapes, units};
use crate::record::Ecs;

/// Directory below which pam_cgfs (LXC) gives each user a part of the tree.
const USERS_OWN: &str = "user";

pub(super) fn read(path: &str) -> Place {
    // `..` leads above the root of our own cgroup namespace (cgroup_namespaces(7)).
    let components: Vec<&str> = path
        .split('/')
        .filter(|component| !matches!(*component, "" | ".."))
        .collect();
    let mut reader = Reader {
        components: &components,
        place: Place::default(),
    };
    reader.read();
    reader.place
}

struct Reader<'a> {
    components: &'a [&'a str],
    place: Place,
}

impl Reader<'_> {
    fn read(&mut self) {
        for (at, directory) in self.components.iter().enumerate() {
            if self.is_container(at) || self.ends_at_unit(at) {
                return;
            }
            if let Some(slice) = units::slice(directory) {
                self.enter_slice(at, slice);
            } else if *directory == USERS_OWN {
                return;
            } else {
                self.enter_directory(at);
            }
        }
    }

    fn is_container(&mut self, at: usize) -> bool {
        let directory = self.components[at];
        let above = (at > 0).then(|| self.components[0]);
        let below = self.components.get(at + 1).copied();
        let lxc = (at == 0).then(|| shapes::lxc(directory, below)).flatten();
        let Some(mut container) = lxc.or_else(|| shapes::container(directory, above)) else {
            return false;
        };
        self.note_pod(at);
        // The rest is the container's own.
        container.inner_id = self.components[at + 1..]
            .iter()
            .rev()
            .find_map(|directory| shapes::container(directory, None))
            .map(|inner| inner.id);
        self.place.container = Some(container);
        if let Some(unit) = units::unit(directory) {
            self.place.systemd_unit = Some(units::shown(unit));
        }
        true
    }

    /// A unit is the last that root's systemd has named.
    fn ends_at_unit(&mut self, at: usize) -> bool {
        let Some(unit) = units::unit(self.components[at]) else {
            return false;
        };
        let below = &self.components[at + 1..];
        self.place.systemd_unit = Some(units::shown(unit));
        if let Some(uid) = units::user_manager(unit) {
            self.place.session = Some(LogindSession { id: None, uid });
            self.enter_user_manager(below);
            return true;
        }
        let owner = at
            .checked_sub(1)
            .and_then(|above| units::slice(self.components[above]))
            .and_then(units::user_slice);
        if let (Some(uid), Some(id)) = (owner, units::session_scope(unit)) {
            self.place.session = Some(LogindSession {
                id: Some(id.to_owned()),
                uid,
            });
        }
        if shapes::is_runtime_service(unit) {
            // What root's runtime made below its unit is as good as at the root.
            return false;
        }
        self.place.container =
            shapes::machine(unit, below.first().copied()).or_else(|| delegated(below.first()));
        true
    }

    /// The user's own systemd names units in the same way, but a user can name
    /// directories as well; only what concerns nobody else is believed.
    fn enter_user_manager(&mut self, below: &[&str]) {
        let mut below = below
            .iter()
            .skip_while(|directory| units::slice(directory).is_some());
        let Some(unit) = below.next() else { return };
        self.place.systemd_user_unit = units::unit(unit).map(units::shown);
        self.place.container = delegated(Some(unit)).or_else(|| delegated(below.next()));
    }

    fn enter_slice(&mut self, at: usize, slice: &str) {
        self.place.systemd_slice = Some(units::shown(slice));
        self.note_pod(at);
        if let Some(task_id) = shapes::task_of_slice(slice) {
            self.place.ecs = Some(Ecs {
                task_id: task_id.to_owned(),
                ..Ecs::default()
            });
        }
    }

    fn enter_directory(&mut self, at: usize) {
        self.note_pod(at);
        // `/ecs/TASK/CONTAINER`, or `/ecs/CLUSTER/TASK/CONTAINER`.
        let is_task = self.components[0] == "ecs"
            && (1..=2).contains(&at)
            && shapes::is_task(self.components[at]);
        if is_task && self.place.ecs.is_none() {
            self.place.ecs = Some(Ecs {
                task_id: self.components[at].to_owned(),
                cluster: (at == 2).then(|| crate::redact::text(self.components[1].as_bytes())),
                ..Ecs::default()
            });
        }
    }

    fn note_pod(&mut self, at: usize) {
        let parent = at.checked_sub(1).map(|above| self.components[above]);
        if let Some(pod) = shapes::pod(self.components[at], parent) {
            self.place.kubernetes = Some(pod);
        }
    }
}

/// A container of Podman below somebody's unit: rootless, or of a service that keeps
/// its container in its own cgroup (`--cgroups=split`, Quadlet's default).
fn delegated(directory: Option<&&str>) -> Option<crate::record::Container> {
    let mut container = shapes::podman(directory?)?;
    container.delegated = true;
    Some(container)
}
