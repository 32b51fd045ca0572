//! The capabilities that capture needs, and which of them this process lacks.

/// `CAP_NET_ADMIN` (include/uapi/linux/capability.h): programs on the wire.
const CAP_NET_ADMIN: u32 = 12;
/// `CAP_SYS_ADMIN`: stands in for the two that were split from it in 5.8.
const CAP_SYS_ADMIN: u32 = 21;
/// `CAP_PERFMON`: reading the kernel's memory from programs.
const CAP_PERFMON: u32 = 38;
/// `CAP_BPF`: loading programs.
const CAP_BPF: u32 = 39;
/// `CAP_SYS_PTRACE`: reading other users' `/proc/PID/exe`.
const CAP_SYS_PTRACE: u32 = 19;

/// Names of the capabilities that capture needs and that are not effective.
pub fn missing_for_capture() -> Vec<&'static str> {
    let effective = effective();
    let has = |capability: u32| effective & (1 << capability) != 0;
    let mut missing = Vec::new();
    if !has(CAP_SYS_ADMIN) {
        if !has(CAP_BPF) {
            missing.push("CAP_BPF");
        }
        if !has(CAP_PERFMON) {
            missing.push("CAP_PERFMON");
        }
    }
    if !has(CAP_NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    missing
}

/// Whether `/proc` of other users' processes can be read.
pub fn may_read_others() -> bool {
    effective() & (1 << CAP_SYS_PTRACE) != 0
}

/// The effective set, empty if it cannot be read: then everything is missing.
fn effective() -> u64 {
    procfs::process::Process::myself()
        .and_then(|process| process.status())
        .map_or(0, |status| status.capeff)
}

/// Lifts the limit on locked memory, which kernels before 5.11 charge BPF maps to.
///
/// A refusal is not an error here: newer kernels do not need it, and on older
/// ones the creation of a map fails with its own.
pub fn lift_memory_lock_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        tracing::debug!(%error, "RLIMIT_MEMLOCK stays as it is");
    }
}
