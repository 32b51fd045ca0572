//! The login session, cron job or at job that a process belongs to.

use super::{cgroup::Place, proc::Login, users::Users};
use crate::record::{Session, SessionKind, User};

/// Executables of cron daemons: Debian and SUSE, Red Hat and Amazon Linux (before and
/// after the merge of `/sbin` and `/bin`), fcron, bcron.
const CRON: [&str; 6] = [
    "/usr/sbin/cron",
    "/usr/sbin/crond",
    "/usr/bin/crond",
    "/usr/bin/cron",
    "/usr/sbin/anacron",
    "/usr/sbin/fcron",
];

/// Executables of at daemons.
const AT: [&str; 2] = ["/usr/sbin/atd", "/usr/bin/atd"];

/// A daemon that runs jobs at their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheduler {
    Cron,
    At,
}

impl Scheduler {
    /// The daemon that an executable is. A name alone would say nothing: anybody can
    /// call a program `crond`. So only root's processes on the host are asked for.
    pub(super) fn of(executable: &str) -> Option<Self> {
        match executable {
            it if CRON.contains(&it) => Some(Self::Cron),
            it if AT.contains(&it) => Some(Self::At),
            _ => None,
        }
    }

    /// The daemon that a unit of the host runs (Debian, Red Hat, SUSE, Arch).
    fn of_unit(unit: &str) -> Option<Self> {
        match unit {
            "cron.service" | "crond.service" | "cronie.service" | "anacron.service"
            | "fcron.service" => Some(Self::Cron),
            "atd.service" => Some(Self::At),
            _ => None,
        }
    }
}

/// The session of a process at `place`, whose ancestors include `scheduler`.
///
/// Where cron's PAM stack has pam_systemd (Red Hat), a job has a login session of its
/// own; where it does not (Debian), it stays in the unit of cron. In both, the user is
/// whom the job is of. A container has no part in sessions of the host.
pub(super) fn of(
    place: Option<&Place>,
    login: Option<Login>,
    scheduler: Option<Scheduler>,
    users: &mut Users,
) -> Option<Session> {
    if place.is_some_and(|place| place.container.is_some()) {
        return None;
    }
    let logind = place.and_then(|place| place.session.as_ref());
    let scheduler = place
        .and_then(|place| Scheduler::of_unit(place.systemd_unit.as_deref()?))
        .or(scheduler);
    let kind = match (scheduler, logind, login) {
        (Some(Scheduler::Cron), ..) => SessionKind::Cron,
        (Some(Scheduler::At), ..) => SessionKind::At,
        (None, Some(logind), _) if logind.id.is_none() => SessionKind::UserManager,
        (None, Some(_), _) | (None, None, Some(_)) => SessionKind::Login,
        (None, None, None) => return None,
    };
    let uid = logind
        .map(|session| session.uid)
        .or(login.map(|login| login.uid));
    let audit_id = || login?.session.map(|id| id.to_string());
    Some(Session {
        kind,
        id: logind
            .and_then(|session| session.id.clone())
            .or_else(audit_id),
        user: uid.map(|id| User {
            id,
            name: users.name(id),
        }),
    })
}
