//! What is in the guest besides Debian's packages: its IMDS, the scripts that call v1, and
//! settings that keep an emulated boot short.

/// A file: its path below the root, its text, whether it can be run.
pub(super) struct File {
    pub(super) place: &'static str,
    pub(super) text: &'static str,
    pub(super) executable: bool,
}

const fn text(place: &'static str, text: &'static str) -> File {
    File {
        place,
        text,
        executable: false,
    }
}

const fn script(place: &'static str, text: &'static str) -> File {
    File {
        place,
        text,
        executable: true,
    }
}

/// A unit in `guest/`, by its name.
macro_rules! unit {
    ($name:literal) => {
        text(
            concat!("etc/systemd/system/", $name),
            include_str!(concat!("guest/", $name)),
        )
    };
}

/// A script in `guest/`, by its name.
macro_rules! sbin {
    ($name:literal) => {
        script(
            concat!("usr/local/sbin/", $name),
            include_str!(concat!("guest/", $name)),
        )
    };
}

pub(super) const FILES: &[File] = &[
    unit!("boot-test-imds.service"),
    unit!("boot-test.service"),
    unit!("register-host.service"),
    unit!("warm-cache.service"),
    unit!("deregister-host.service"),
    sbin!("register-host"),
    sbin!("warm-cache"),
    sbin!("deregister-host"),
    text("etc/fstab", include_str!("guest/fstab")),
    text("etc/hostname", "boot-test\n"),
    text("etc/network/interfaces", include_str!("guest/interfaces")),
    text(
        "etc/cloud/cloud.cfg.d/99-boot-test.cfg",
        include_str!("guest/cloud.cfg"),
    ),
    text(
        "etc/systemd/journald.conf.d/boot-test.conf",
        include_str!("guest/journald.conf"),
    ),
];

/// Units that are started, and the target that wants each.
pub(super) const WANTED: &[(&str, &str)] = &[
    ("sysinit.target", "boot-test-imds.service"),
    ("multi-user.target", "register-host.service"),
    ("multi-user.target", "warm-cache.service"),
    ("multi-user.target", "deregister-host.service"),
    ("multi-user.target", "boot-test.service"),
];

/// Units that only take time here, or need modules that are not there.
pub(super) const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "systemd-binfmt.service",
    "systemd-timesyncd.service",
    "systemd-update-utmp-runlevel.service",
];
