//! What a case is excused from, by its name: everything else must pass everywhere,
//! and a record that says `unknown` is a request that was missed.
//!
//! Nothing here is taken on trust. A reason for `unknown` is compared with the
//! record's, and a case that is absent on a kernel must really be impossible there.

use std::{fs, os::unix::fs::MetadataExt as _};

use anyhow::{Result, bail};

use super::features;
use crate::analyzer::ALONE;

/// Cases with records that say `unknown`, and the reasons that those may give.
const UNKNOWN: &[(&str, &[&str])] = &[
    ("garbage_is_unknown_not_http", &["not_http"]),
    ("tls_is_unknown_not_http", &["not_http"]),
    ("head_cut_off_by_close_is_unknown", &["incomplete_head"]),
    (
        "head_beyond_the_limit_is_unknown_never_v1",
        &["head_too_large"],
    ),
    // A NUL in the target, and one in a field's value: what a server reads there is
    // a matter of the server.
    (
        "odd_bytes_never_turn_the_version",
        &["not_http", "malformed_head"],
    ),
    ("no_bytes_forge_a_record", &["malformed_head"]),
    // Bytes that were sent before anybody watched.
    (
        "connection_older_than_the_analyzer_starts_unknown",
        &["started_mid_stream"],
    ),
    (
        "head_begun_before_the_analyzer_is_unknown",
        &["started_mid_stream"],
    ),
    ("garbage_behind_a_request_is_unknown", &["not_http"]),
    ("head_of_a_killed_process_is_unknown", &["incomplete_head"]),
    // Each connection ends in the middle of a head.
    ("port_reused_at_once_starts_afresh", &["incomplete_head"]),
    // Something that is no request is among what they send.
    ("no_secret_in_json_at_trace", &["not_http"]),
];

/// As [`UNKNOWN`], for a hook without a witness on the wire.
const UNKNOWN_ALONE: &[(&str, &[&str])] = &[
    (
        "memory_gone_without_a_witness_is_counted",
        &["bytes_missing"],
    ),
    ("pages_without_a_witness_are_counted", &["bytes_missing"]),
];

/// Cases that a hook on `tcp_sendmsg` cannot pass by itself, because the bytes never
/// pass there, or not as memory that a program can read; and one that is slow and
/// shows nothing more then.
const NOT_ALONE: &[&str] = &[
    "sendfile_is_captured",
    "splice_is_captured",
    "io_uring_registered_buffers_are_captured",
    "thousand_segments_are_one_request",
    "memory_gone_when_the_send_returns_is_seen_on_the_wire",
    "ends_that_a_kretprobe_missed_are_seen_on_the_wire",
    "multipath_tcp_is_captured",
    "thousand_curl_calls_half_v1",
];

/// Cases that exist only with these backends.
const ONLY_WITH: &[(&str, &[&str])] = &[
    (
        "memory_gone_without_a_witness_is_counted",
        &["fentry-alone", "kprobe-alone"],
    ),
    (
        "pages_without_a_witness_are_counted",
        &["fentry-alone", "kprobe-alone"],
    ),
    (
        "ends_that_a_kretprobe_missed_are_counted",
        &["kprobe-alone"],
    ),
];

/// Cases that need what not every kernel has, and where it is known to be missing.
const NEEDS: &[Need] = &[
    Need {
        case: "multipath_tcp_is_captured",
        what: "MPTCP",
        exists: features::multipath_tcp,
        absent: &[Absence {
            before: (5, 15),
            why: "Debian's 5.10 is built without",
        }],
        vm_only: false,
    },
    Need {
        case: "io_uring_zero_copy_sends_are_captured",
        what: "io_uring operation SEND_ZC",
        exists: crate::send::ring_has_zero_copy,
        absent: &[Absence {
            before: (6, 0),
            why: "it came with 6.0",
        }],
        vm_only: false,
    },
    // crun can do without the old hierarchies' controllers, not with half of them.
    Need {
        case: "crun_container_is_named",
        what: "the unified cgroup hierarchy alone",
        exists: features::unified_hierarchy,
        absent: &[],
        vm_only: true,
    },
    Need {
        case: "retransmitted_requests_are_recorded_once",
        what: "netem on a veth pair",
        exists: features::netem,
        absent: &[],
        vm_only: true,
    },
];

/// What a case needs of the kernel.
struct Need {
    case: &'static str,
    what: &'static str,
    /// Asks the kernel by trying.
    exists: fn() -> bool,
    absent: &'static [Absence],
    /// Kernels of developers' machines may lack it. Those of our VMs don't.
    vm_only: bool,
}

/// Kernels that are known to lack something.
struct Absence {
    /// All before this version.
    before: (u32, u32),
    why: &'static str,
}

/// Whether a case is to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is.
    Runs,
    /// It is impossible here, which was tried, and that is as it must be.
    Absent(String),
}

/// Decides on a case.
///
/// # Errors
///
/// If the kernel lacks what the case needs and should have it, or has what it is
/// said to lack.
pub(super) fn fate(case: &str) -> Result<Fate> {
    let Some(need) = NEEDS.iter().find(|need| need.case == case) else {
        return Ok(Fate::Runs);
    };
    judge(need, (need.exists)(), features::kernel_version()?, in_vm())
}

fn judge(need: &Need, exists: bool, kernel: (u32, u32), in_vm: bool) -> Result<Fate> {
    let (major, minor) = kernel;
    let what = need.what;
    match need.absent.iter().find(|absence| kernel < absence.before) {
        Some(_) if exists => bail!(
            "this kernel has {what}, but the suite says that {major}.{minor} has not: \
             correct the table in tests/src/suite/exceptions.rs"
        ),
        None if exists => Ok(Fate::Runs),
        Some(absence) => Ok(Fate::Absent(format!(
            "no {what} in {major}.{minor}: {}",
            absence.why
        ))),
        None if need.vm_only && !in_vm => Ok(Fate::Absent(format!(
            "only in VMs: this machine's kernel has no {what}"
        ))),
        None => bail!("this kernel has no {what}"),
    }
}

/// Whether this is one of our VMs: its init is this program.
pub(super) fn in_vm() -> bool {
    let file = |path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    file("/proc/1/exe").is_some_and(|init| Some(init) == file("/proc/self/exe"))
}

/// Whether a case is left out with `backend`, because it shows nothing there.
pub(super) fn is_left_out(case: &str, backend: &str) -> bool {
    let elsewhere = ONLY_WITH
        .iter()
        .any(|(name, backends)| *name == case && !backends.contains(&backend));
    elsewhere || (backend.ends_with(ALONE) && NOT_ALONE.contains(&case))
}

/// Whether a record of `case` may say `unknown` for that reason.
pub(super) fn may_be_unknown(case: &str, backend: &str, reason: &str) -> bool {
    let alone = if backend.ends_with(ALONE) {
        UNKNOWN_ALONE
    } else {
        &[]
    };
    UNKNOWN
        .iter()
        .chain(alone)
        .any(|(name, reasons)| *name == case && reasons.contains(&reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Group, entries};

    #[test]
    fn every_exception_is_of_a_case_that_exists() {
        let cases: Vec<&str> = entries(Group::All).iter().map(|case| case.name).collect();
        let excused = UNKNOWN
            .iter()
            .chain(UNKNOWN_ALONE)
            .map(|(name, _)| *name)
            .chain(NEEDS.iter().map(|need| need.case))
            .chain(ONLY_WITH.iter().map(|(name, _)| *name))
            .chain(NOT_ALONE.iter().copied());
        for name in excused {
            assert!(cases.contains(&name), "there is no case {name}");
        }
    }

    const NEED: Need = Need {
        case: "a_case",
        what: "a feature",
        exists: || true,
        absent: &[Absence {
            before: (5, 15),
            why: "it is new",
        }],
        vm_only: false,
    };

    #[test]
    fn absence_is_believed_only_if_listed_and_real() {
        let old = judge(&NEED, false, (5, 10), true).expect("is listed");
        assert_eq!(old, Fate::Absent("no a feature in 5.10: it is new".into()));
        assert_eq!(
            judge(&NEED, true, (5, 15), true).expect("has it"),
            Fate::Runs
        );
        assert!(judge(&NEED, true, (5, 10), true).is_err());
        assert!(judge(&NEED, false, (6, 1), true).is_err());
    }

    #[test]
    fn what_only_vms_must_have_is_named_elsewhere() {
        let need = Need {
            vm_only: true,
            ..NEED
        };
        assert!(
            matches!(judge(&need, false, (6, 1), false), Ok(Fate::Absent(why)) if why.starts_with("only in VMs"))
        );
        assert!(judge(&need, false, (6, 1), true).is_err());
    }

    #[test]
    fn unknown_needs_the_name_and_the_reason() {
        assert!(may_be_unknown(
            "tls_is_unknown_not_http",
            "fentry",
            "not_http"
        ));
        assert!(!may_be_unknown(
            "tls_is_unknown_not_http",
            "fentry",
            "bytes_missing"
        ));
        assert!(!may_be_unknown(
            "sendfile_is_captured",
            "fentry",
            "not_http"
        ));
    }

    #[test]
    fn machine_of_the_unit_tests_is_no_vm_of_ours() {
        assert!(!in_vm());
    }
}
