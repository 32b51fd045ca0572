//! What every record has, whatever its event.

use serde::Serialize;
use serde::ser::Serializer;

use super::Event;

/// Version of the record format, in every record. It changes only when a
/// reader of the old format could misread the new one.
pub const SCHEMA_VERSION: u32 = 1;

/// The host's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Node name, as `uname -n` gives it.
    pub name: String,
}

/// Where in the cloud the host is, as far as its own disk tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cloud {
    /// EC2 instance id, `i-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Region, `eu-central-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Where records come from: the same for every record of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The kernel's random id of this boot.
    pub boot_id: Option<String>,
    /// The host.
    pub host: Option<Host>,
    /// The instance.
    pub cloud: Option<Cloud>,
}

/// One line of the log, complete. The sink makes it: the other stages hand it
/// an [`Event`] and the boot-time clock.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// When the kernel saw what the record tells.
    pub timestamp: jiff::Timestamp,
    /// Number of the record in this run of the analyzer, from 1, without holes.
    pub seq: u64,
    /// The same moment on the boot-time clock (`CLOCK_BOOTTIME`), µs.
    pub boottime_us: u64,
    /// Where it comes from.
    pub origin: &'a Origin,
    /// What happened.
    pub event: &'a Event,
}

/// The order of the fields on the line.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    schema_version: u32,
    event: &'static str,
    seq: u64,
    boottime_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a Host>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<&'a Cloud>,
    #[serde(flatten)]
    body: &'a Event,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = |cloud: &&Cloud| **cloud != Cloud::default();
        Line {
            timestamp: crate::clock::rfc3339(self.timestamp),
            schema_version: SCHEMA_VERSION,
            event: self.event.name(),
            seq: self.seq,
            boottime_us: self.boottime_us,
            boot_id: self.origin.boot_id.as_deref(),
            host: self.origin.host.as_ref(),
            cloud: self.origin.cloud.as_ref().filter(known),
            body: self.event,
        }
        .serialize(serializer)
    }
}
