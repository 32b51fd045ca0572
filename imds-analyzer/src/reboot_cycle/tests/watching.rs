//! What `status` and `finish` say of the log.

use super::*;

/// A cycle with a record before it, some at the shutdown and some of the boot after.
fn rebooted() -> Fake {
    let fake = Fake::new();
    let uptime = clock::boottime_ns() / 1_000_000_000;
    // On this machine's clock, which has no second boot.
    let (before, later) = (uptime.saturating_sub(100), uptime + 100);
    fake.log(&[
        (
            "33333333-0000-4000-8000-000000000003",
            1,
            5,
            "imds_request",
            "v1",
        ),
        (BEFORE, 1, before, "analyzer_started", ""),
        (BEFORE, 2, before, "imds_request", "v1"),
        (BEFORE, 3, before, "imds_request", "v1"),
    ]);
    fake.start().unwrap();
    fake.log(&[
        (BEFORE, 4, later, "imds_request", "v1"),
        (BEFORE, 5, later + 1, "analyzer_stopped", ""),
    ]);
    fake.boots(AFTER);
    fake.log(&[
        (AFTER, 1, 3, "analyzer_started", ""),
        (AFTER, 2, 4, "imds_request", "v2"),
        (AFTER, 3, 5, "imds_request", "v2"),
        (AFTER, 4, 6, "imds_request", "v1"),
        (AFTER, 5, 7, "imds_request", "unknown"),
    ]);
    fake
}

#[test]
fn status_tells_the_shutdown_and_the_boot_after_it() {
    let told = rebooted().status().unwrap();
    assert!(told.contains("enabled and running"), "{told}");
    let of = |words: &str| {
        let line = told.lines().find(|line| line.trim().starts_with(words));
        line.unwrap_or_else(|| panic!("no {words} in {told}"))
            .to_owned()
    };
    assert!(of("the boot before, with its shutdown:").ends_with("to its end: 1 v1, 0 v2"));
    let this = of("this boot:");
    assert!(this.ends_with("watched from 3.0 s after the kernel started: 1 v1, 2 v2, 1 unknown"));
    assert!(told.ends_with("that is to be watched.\n"), "{told}");
}

#[test]
fn status_says_so_if_nothing_is_recorded_or_the_service_is_off() {
    let fake = Fake::new();
    fake.log(&[(BEFORE, 1, 1, "analyzer_started", "")]);
    fake.start().unwrap();
    fake.boots(AFTER);
    fake.unit("loaded", "disabled", "inactive");
    let told = fake.status().unwrap();
    assert!(told.contains("disabled, inactive"), "{told}");
    assert!(told.contains("this boot: nothing is recorded"), "{told}");
}

#[test]
fn report_is_of_the_cycle_and_of_nothing_before() {
    let fake = rebooted();
    let told = fake.finish().unwrap();
    // Of the boot before one, and one of the boot after: not the three before the cycle.
    assert!(told.contains("2 calls without a token"), "{told}");
    assert!(told.contains("v1-caller.service"), "{told}");
}
