//! The kernel side of imds-analyzer.
//!
//! [`hooks`] holds one thin file per place where the kernel is watched; they all
//! lead to [`send`] (what a task hands to TCP) or [`wire`] (what TCP puts on the
//! wire), which emit the same [`chunk`]s. Of what comes back ([`arriving`], or [`taken`] by
//! a task), [`received`] tells the status of each [`response`] and no more. A send that
//! does not go to a watched destination leaves at [`socket::Port::may_be_watched`].
//! Who the sender is, is told by [`process`].
//!
//! Nothing here knows a kernel version: offsets and enum values are
//! [`globals`], set by the daemon from the running kernel's BTF.

#![no_std]
#![no_main]

mod arriving;
mod chunk;
mod draft;
mod globals;
mod grammar;
mod hooks;
mod kernel;
mod loss;
mod packet;
mod process;
mod program;
mod received;
mod response;
mod segments;
mod send;
mod socket;
mod stream;
mod taken;
mod task;
mod wire;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lets only programs under a GPL-compatible licence read memory.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
