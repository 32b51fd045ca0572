//! Counting what was lost, by cause.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use imds_analyzer_common::loss::LossCause;

use crate::globals;

#[map]
static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LossCause::ALL.len() as u32, 0);

/// Counts one loss.
#[inline(always)]
pub fn count(cause: LossCause) {
    if let Some(counter) = LOSSES.get_ptr_mut(cause as u32) {
        // SAFETY: the pointer is this CPU's slot. There is no atomic addition in
        // Rust for BPF: a program that is preempted between the read and the write
        // hides what others on its CPU count meanwhile. None is ever invented.
        unsafe { *counter += 1 };
    }
}

/// Counts what a hook on the send could not see, unless a program on the wire is
/// attached: that one sees the bytes when they leave, and then nothing is lost.
#[inline(always)]
pub fn count_unless_on_wire(cause: LossCause) {
    if globals::WIRE_HOOKED.load() == 0 {
        count(cause);
    }
}
