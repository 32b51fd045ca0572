//! Integration tests of imds-analyzer.
//!
//! Shares no code with the analyzer, so that one misreading of HTTP or IMDS
//! can't hide in both.
//!
//! - [`netns`]: a network namespace in which 169.254.169.254 is this machine;
//! - [`mock`]: IMDS in it, whose access log is the truth;
//! - [`send`]: clients that send precisely what a test wants;
//! - [`analyzer`], [`record`], [`compare`]: the analyzer's records against the truth;
//! - [`suite`]: the cases, each named after a behaviour;
//! - [`vm_init`]: the same as PID 1 of a VM; [`demo`]: something to look at;
//! - [`boot`]: whole boots of a Debian guest; [`bench`]: what it costs.

pub mod analyzer;
pub mod bench;
pub mod boot;
pub mod canary;
pub mod cgroup;
pub mod compare;
pub mod demo;
pub mod lines;
pub mod mock;
pub mod netns;
pub mod record;
pub mod ring_memory;
pub mod send;
pub mod suite;
pub mod vm_init;
