//! Raw tracepoint `sched_process_exec`: a process runs another program from now on.
//!
//! Whoever calls IMDS later has such processes above it, and they may be gone when
//! the daemon asks `/proc` for their arguments. Attached only with `exec_cache`.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::process;

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn sched_process_exec(_context: RawTracePointContext) -> i32 {
    process::executed();
    0
}
