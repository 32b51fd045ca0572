//! Integration tests of imds-analyzer.
//!
//! Shares no code with the analyzer, so that one misreading of HTTP or IMDS
//! can't hide in both.

pub mod canary;
pub mod compare;
pub mod mock;
pub mod netns;
pub mod record;
