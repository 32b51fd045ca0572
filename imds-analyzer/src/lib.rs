//! imds-analyzer finds the processes on an EC2 host that still call IMDSv1.
//!
//! The crate is a pipeline; `ARCHITECTURE.md` draws it. Data flows one way:
//! [`capture`] → [`stream`] → [`http`] → [`classify`] → [`attribution`] →
//! [`redact`] → [`record`] → [`exchange`] → [`sink`].

pub mod attribution;
pub mod blind;
pub mod capabilities;
pub mod capture;
pub mod cause;
pub mod check;
pub mod classify;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod diagnostics;
pub mod enrich;
pub mod exchange;
pub mod host;
pub mod http;
pub mod lookup;
pub mod netns;
pub mod pipeline;
mod program;
pub mod reboot_cycle;
pub mod record;
pub mod redact;
pub mod reload;
pub mod report;
pub mod run;
pub mod service;
pub mod sink;
pub mod stream;
pub mod systemd;
