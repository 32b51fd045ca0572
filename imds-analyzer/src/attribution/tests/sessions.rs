//! Sessions and jobs.

use super::*;
use crate::record::{Session, SessionKind};

const IN_SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";

/// Session of a process with this cgroup whose audit files say these numbers, below
/// an ancestor that runs `above` as `uid`.
fn session(cgroup: &str, audit: Option<(&str, &str)>, above: &str, uid: u32) -> Option<Session> {
    let host = Host::new();
    let mut process = Fake::new(7, "curl");
    process.cgroup = cgroup.to_owned();
    process.parent = 5;
    host.run(&process);
    if let Some((loginuid, sessionid)) = audit {
        fs::write(host.directory(7).join("loginuid"), loginuid).unwrap();
        fs::write(host.directory(7).join("sessionid"), sessionid).unwrap();
    }
    let mut parent = Fake::new(5, "parent");
    parent.executable = above.to_owned();
    host.run(&parent);
    let mut attributor = host.attributor();
    let sender = task(7, "curl");
    let mut noted = ancestor(5, "parent");
    noted.uid = uid;
    attributor.note_ancestors(&sender, vec![noted], false);
    attributor.attribute(&sender, NOW).process.session
}

/// `kind id uid name`.
fn words(session: Option<Session>) -> String {
    let Some(session) = session else {
        return "-".to_owned();
    };
    let user = session.user.map_or("-".to_owned(), |user| {
        format!("{} {}", user.id, user.name.unwrap_or("-".to_owned()))
    });
    let id = session.id.unwrap_or("-".to_owned());
    format!("{:?} {id} {user}", session.kind)
}

#[test]
fn login_is_known_by_its_scope() {
    let found = session(IN_SESSION, None, "/usr/bin/bash", 1000);
    assert_eq!(words(found), "Login 3 1000 app");
}

#[test]
fn login_without_systemd_is_known_by_the_audit_system() {
    for cgroup in ["", "0::/\n"] {
        let found = session(cgroup, Some(("1000", "17\n")), "/usr/bin/bash", 0);
        assert_eq!(words(found), "Login 17 1000 app");
    }
}

#[test]
fn audit_system_that_was_told_nothing_says_nothing() {
    let unset = u32::MAX.to_string();
    let found = session(
        "0::/system.slice/web.service\n",
        Some((&unset, &unset)),
        "/sbin/init",
        0,
    );
    assert_eq!(words(found), "-");
}

#[test]
fn job_in_the_unit_of_its_daemon_is_a_job() {
    let cron = session(
        "0::/system.slice/cron.service\n",
        Some(("1000", "9")),
        "/bin/sh",
        1000,
    );
    assert_eq!(words(cron), "Cron 9 1000 app");
    let at = session("0::/system.slice/atd.service\n", None, "/bin/sh", 1000);
    assert_eq!(words(at), "At - -");
}

#[test]
fn job_in_a_session_of_its_own_is_known_by_its_daemon() {
    let cron = session(IN_SESSION, None, "/usr/sbin/crond", 0);
    assert_eq!(words(cron), "Cron 3 1000 app");
    let at = session(IN_SESSION, None, "/usr/sbin/atd", 0);
    assert_eq!(words(at), "At 3 1000 app");
}

#[test]
fn daemon_that_is_not_root_s_makes_no_job() {
    let found = session(IN_SESSION, None, "/usr/sbin/crond", 1000);
    assert_eq!(found.unwrap().kind, SessionKind::Login);
    let found = session(IN_SESSION, None, "/home/ada/usr/sbin/crond", 0);
    assert_eq!(found.unwrap().kind, SessionKind::Login);
}

#[test]
fn user_s_own_systemd_is_no_login() {
    let cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service\n";
    let found = session(
        cgroup,
        Some(("1000", "2")),
        "/usr/lib/systemd/systemd",
        1000,
    );
    assert_eq!(words(found), "UserManager 2 1000 app");
}

#[test]
fn container_has_no_part_in_sessions() {
    let cgroup = format!("0::/docker/{}\n", "a".repeat(64));
    assert_eq!(
        words(session(&cgroup, Some(("1000", "2")), "/usr/sbin/crond", 0)),
        "-"
    );
}

#[test]
fn session_is_remembered_once_the_process_is_gone() {
    let host = Host::new();
    let mut process = Fake::new(7, "curl");
    process.cgroup = IN_SESSION.to_owned();
    host.run(&process);
    let mut attributor = host.attributor();
    let sender = task(7, "curl");
    let before = attributor.attribute(&sender, NOW).process.session;
    host.reap(7);
    assert!(before.is_some());
    assert_eq!(attributor.attribute(&sender, LATER).process.session, before);
}
