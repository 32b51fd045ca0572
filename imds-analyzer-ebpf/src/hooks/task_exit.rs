//! Raw tracepoint `sched_process_exit`: a task that is gone sends nothing any more.
//!
//! Its entry is usually gone as well. If the end of its last send was never
//! reported, it must not stay: the next task at the same address is another.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{send, task};

#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn sched_process_exit(_context: RawTracePointContext) -> i32 {
    send::abandon(task::current());
    0
}
