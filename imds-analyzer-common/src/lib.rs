//! What the eBPF programs and the daemon must agree on: the record that crosses
//! the ring buffer ([`record`]), the keys of the maps that the daemon fills
//! ([`destination`]) and the causes of loss that the kernel side counts
//! ([`loss`]).
//!
//! Nothing here depends on a kernel version: kernel offsets travel the other
//! way, as globals (see `capture/layout.rs` of the daemon).

#![no_std]

pub mod destination;
pub mod loss;
pub mod record;
