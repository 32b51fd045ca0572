//! The steps in every order, and what they leave.

use super::*;

const OFF: (&str, &str) = ("disabled", "inactive");
const ON: (&str, &str) = ("enabled", "active");

fn is(fake: &Fake) -> (String, String) {
    fake.is()
}

fn pair(words: (&str, &str)) -> (String, String) {
    (words.0.to_owned(), words.1.to_owned())
}

#[test]
fn cycle_switches_the_service_on_and_leaves_it_as_it_was() {
    for (file, active, changes) in [
        (
            "disabled",
            "inactive",
            vec!["enable", "start", "disable", "stop"],
        ),
        ("enabled", "active", vec![]),
        ("enabled", "inactive", vec!["start", "stop"]),
        ("disabled", "active", vec!["enable", "disable"]),
    ] {
        let fake = Fake::new();
        fake.unit("loaded", file, active);
        fake.start().unwrap();
        assert_eq!(is(&fake), pair(ON));
        fake.boots(AFTER);
        fake.log(&[(AFTER, 1, 3, "analyzer_started", "")]);
        let told = fake.finish().unwrap();
        assert!(told.contains("as it was"), "{told}");
        assert_eq!(is(&fake), (file.to_owned(), active.to_owned()));
        assert_eq!(fake.changes(), changes);
        assert!(!fake.host.state.exists());
    }
}

#[test]
fn start_may_be_repeated_and_still_knows_how_it_was() {
    let fake = Fake::new();
    fake.start().unwrap();
    let told = fake.start().unwrap();
    assert!(told.contains("already"), "{told}");
    fake.boots(AFTER);
    // Somebody has switched it off meanwhile.
    fake.unit("loaded", "disabled", "failed");
    let told = fake.start().unwrap();
    assert!(told.contains("reboot-cycle finish"), "{told}");
    assert_eq!(is(&fake), pair(ON));
    fake.abort().unwrap();
    assert_eq!(is(&fake), pair(OFF));
}

#[test]
fn wrong_order_is_refused_with_what_to_do() {
    let fake = Fake::new();
    for refused in [fake.finish(), fake.abort()] {
        assert!(refused.unwrap_err().contains("reboot-cycle start"));
    }
    assert!(fake.status().unwrap().contains("reboot-cycle start"));
    fake.start().unwrap();
    let refused = fake.finish().unwrap_err();
    assert!(refused.contains("has not been rebooted"), "{refused}");
    assert!(refused.contains("--abort"), "{refused}");
    assert_eq!(is(&fake), pair(ON));
    assert!(fake.host.state.exists());
}

#[test]
fn every_change_needs_root() {
    let mut fake = Fake::new();
    fake.host.privileged = false;
    for refused in [fake.start(), fake.finish(), fake.abort()] {
        let refused = refused.unwrap_err();
        assert!(refused.contains("sudo imds-analyzer"), "{refused}");
    }
    assert!(fake.changes().is_empty());
}

#[test]
fn host_without_systemd_is_told_what_to_do_instead() {
    let fake = Fake::new();
    fs::remove_dir(fake.host.root.join("run/systemd/system")).unwrap();
    let refused = fake.start().unwrap_err();
    assert!(refused.contains("imds-analyzer run"), "{refused}");
}

#[test]
fn unit_that_is_missing_or_masked_is_named_with_the_way_out() {
    for (load, way_out) in [
        ("not-found", "install"),
        ("masked", "systemctl unmask"),
        ("bad-setting", "install"),
    ] {
        let fake = Fake::new();
        fake.unit(load, "", "inactive");
        let refused = fake.start().unwrap_err();
        assert!(refused.contains(way_out), "{refused}");
        assert!(!fake.host.state.exists());
    }
}

#[test]
fn service_that_does_not_start_is_switched_off_again() {
    let fake = Fake::new();
    fs::write(fake.dir.path().join("broken"), "").unwrap();
    let refused = fake.start().unwrap_err();
    assert!(
        refused.contains("Job for imds-analyzer.service failed."),
        "{refused}"
    );
    assert_eq!(is(&fake), pair(OFF));
    assert!(!fake.host.state.exists());
}

#[test]
fn systemctl_that_is_missing_is_named() {
    let mut fake = Fake::new();
    fake.host.systemctl = fake.dir.path().join("none");
    assert!(fake.start().unwrap_err().contains("none"));
}

#[test]
fn report_that_fails_changes_nothing() {
    let fake = Fake::new();
    fake.start().unwrap();
    fake.boots(AFTER);
    let refused = fake.finish().unwrap_err();
    assert!(refused.contains("no log at"), "{refused}");
    assert_eq!(is(&fake), pair(ON));
    // Once there is one, it can be finished.
    fake.log(&[(AFTER, 1, 3, "analyzer_started", "")]);
    fake.finish().unwrap();
}

#[test]
fn unit_that_was_removed_meanwhile_does_not_keep_a_cycle_open() {
    let fake = Fake::new();
    fake.start().unwrap();
    fake.unit("not-found", "", "inactive");
    fake.abort().unwrap();
    assert!(!fake.host.state.exists());
}

#[test]
fn state_that_is_damaged_or_of_another_version_is_not_guessed_at() {
    let fake = Fake::new();
    fake.start().unwrap();
    let whole = fs::read_to_string(&fake.host.state).unwrap();
    for other in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"version\":1", "\"version\":2"),
        whole.replace("\"began\":\"2", "\"began\":\"x"),
    ] {
        assert_ne!(other, whole);
        fs::write(&fake.host.state, other).unwrap();
        for refused in [fake.start(), fake.finish(), fake.abort()] {
            let refused = refused.unwrap_err();
            assert!(refused.contains("systemctl disable --now"), "{refused}");
        }
    }
    assert_eq!(is(&fake), pair(ON));
}

#[test]
fn state_is_not_written_through_a_link_or_where_others_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let fake = Fake::new();
    let place = fake.host.state.parent().unwrap();
    let elsewhere = fake.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place).unwrap();
    assert!(fake.start().unwrap_err().contains("link"));
    fs::remove_file(place).unwrap();
    fs::create_dir(place).unwrap();
    fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(fake.start().unwrap_err().contains("root"));
    assert!(fake.changes().is_empty());
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}
