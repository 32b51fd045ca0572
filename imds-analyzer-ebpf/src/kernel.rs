//! Reading the kernel's memory by address and offset.

use core::{ffi::c_void, mem::MaybeUninit, ptr};

use aya_ebpf::{
    Global,
    helpers::{bpf_probe_read_kernel, generated},
};

use crate::globals::ABSENT;

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

/// Reads the `T` at `offset` in the kernel object at `address` into `to`, which
/// becomes zero if that memory is not mapped: the helper fills it in both cases,
/// and no branch makes the verifier look at two.
#[inline(always)]
pub fn read_into<T: Plain>(to: &mut T, address: u64, offset: &Global<u32>) {
    let from = address.wrapping_add(u64::from(offset.load())) as *const c_void;
    // SAFETY: `to` is valid for writes of its size and any bytes make a `T`; the
    // helper checks `from` and clears `to` if it cannot be read.
    unsafe {
        generated::bpf_probe_read_kernel(ptr::from_mut(to).cast(), size_of::<T>() as u32, from)
    };
}

/// The `T` at `offset` in the kernel object at `address`, zero if it cannot be read.
#[inline(always)]
pub fn read_or_zero<T: Plain>(address: u64, offset: &Global<u32>) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let from = address.wrapping_add(u64::from(offset.load())) as *const c_void;
    // SAFETY: as in `read_into`: all bytes are written, whatever comes of the read.
    unsafe {
        generated::bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from);
        value.assume_init()
    }
}

/// Loads the `T` at `offset` in the kernel object at `object`, without a helper.
///
/// # Safety
/// `object` must come from an argument whose type the verifier knows (fentry, fexit)
/// and have a `T` at `offset`.
#[inline(always)]
pub unsafe fn load<T: Plain>(object: *const u8, offset: &Global<u32>) -> T {
    // SAFETY: the caller vouches for it. Volatile, so that it stays one load.
    unsafe { ptr::read_volatile(object.add(offset.load() as usize).cast()) }
}

/// As [`read_or_zero`], and zero on a kernel that has no such member.
#[inline(always)]
pub fn read_known<T: Plain + Default>(address: u64, offset: &Global<u32>) -> T {
    if offset.load() == ABSENT {
        return T::default();
    }
    read_or_zero(address, offset)
}

/// The same number, of which the verifier knows nothing any more: it follows every
/// bound that it knows through every turn of a loop, and the ways in which
/// lengths can add up are too many.
#[inline(always)]
pub fn forget(number: u32) -> u32 {
    let mut forgotten = 0u32;
    // SAFETY: both are valid for four bytes. The helper may copy from anywhere.
    unsafe {
        generated::bpf_probe_read_kernel(
            ptr::from_mut(&mut forgotten).cast(),
            size_of::<u32>() as u32,
            ptr::from_ref(&number).cast(),
        );
    }
    forgotten
}

/// A number in a map that is read from there each time, not kept in a register: of what
/// lies in a map the verifier does not follow every value (see [`forget`]).
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Forgotten<T>(T);

impl<T: Plain> Forgotten<T> {
    /// What was set last.
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: a reference is valid for reads.
        unsafe { (&raw const self.0).read_volatile() }
    }

    /// Sets it.
    #[inline(always)]
    pub fn set(&mut self, value: T) {
        // SAFETY: a mutable reference is valid for writes.
        unsafe { (&raw mut self.0).write_volatile(value) }
    }
}

/// Types that any bytes make a value of.
///
/// # Safety
/// Every bit pattern must be valid.
pub unsafe trait Plain: Copy {}

// SAFETY: every bit pattern is a number.
unsafe impl Plain for u16 {}

// SAFETY: as above.
unsafe impl Plain for u32 {}

// SAFETY: as above.
unsafe impl Plain for u64 {}

// SAFETY: as above.
unsafe impl<const N: usize> Plain for [u8; N] {}

/// Now, on the boot-time clock, in nanoseconds.
#[inline(always)]
pub fn boottime_ns() -> u64 {
    // SAFETY: the helper takes no argument and reads a clock.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_boot_ns() }
}
