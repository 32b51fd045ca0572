//! Raw tracepoint `sched_process_exit`: a task that is gone sends nothing any more.
//!
//! Its entry is usually gone as well. If the end of its last send was never
//! reported, it must not stay: the next task at the same address is another. Nor must
//! that of its last receive.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{globals, send, taken, task};

#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn sched_process_exit(_context: RawTracePointContext) -> i32 {
    let task = task::current();
    send::abandon(task);
    if globals::TAKES_HOOKED.load() != 0 {
        taken::abandon(task);
    }
    0
}
