//! Reading the kernel's memory by address and offset.

use aya_ebpf::{Global, helpers::bpf_probe_read_kernel};

/// Reads the `T` at `offset` in the kernel object at `address`.
///
/// Fails with the helper's error if that memory is not mapped.
#[inline(always)]
pub fn read<T>(address: u64, offset: &Global<u32>) -> Result<T, i32> {
    read_at(address.wrapping_add(u64::from(offset.load())))
}

/// Reads the `T` at `address` in the kernel.
#[inline(always)]
pub fn read_at<T>(address: u64) -> Result<T, i32> {
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_kernel(address as *const T) }
}

/// Now, on the boot-time clock, in nanoseconds.
#[inline(always)]
pub fn boottime_ns() -> u64 {
    // SAFETY: the helper takes no argument and reads a clock.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_boot_ns() }
}
