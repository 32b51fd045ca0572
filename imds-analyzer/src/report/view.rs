//! What the report looks at in a line of a log, borrowed from the line.
//!
//! Fields that nobody asks for are skipped without building anything. Strings are
//! copied only if JSON had to escape something in them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

use crate::record::{Event, SCHEMA_VERSION};

/// What every line of our own begins with, whatever its event.
const BEGINNING: &[u8] = b"{\"timestamp\"";

/// A string of the line. (`Option<Cow<str>>` would copy every one of them.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The string itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

/// A record, as far as the report looks at it. `docs/record-schema.md` documents the
/// fields; those that an event does not have are absent.
#[derive(Debug, Deserialize)]
pub struct View<'a> {
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    pub schema_version: u64,
    #[serde(borrow)]
    pub event: Text<'a>,
    pub seq: u64,
    pub boottime_us: u64,
    #[serde(borrow)]
    pub boot_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub host: Option<HostView<'a>>,
    #[serde(borrow)]
    pub cloud: Option<CloudView<'a>>,
    // imds_request
    #[serde(borrow)]
    pub imds: Option<ImdsView<'a>>,
    #[serde(borrow)]
    pub http: Option<HttpView<'a>>,
    #[serde(borrow)]
    pub lineage: Option<Text<'a>>,
    #[serde(borrow)]
    pub process: Option<ProcessView<'a>>,
    /// Looked into only where the caller itself says too little.
    #[serde(borrow)]
    pub ancestors: Option<&'a RawValue>,
    // analyzer_started, heartbeat, analyzer_stopped
    pub heartbeat_interval_s: Option<u32>,
    #[serde(borrow)]
    pub blind_spots: Option<Vec<SpotView<'a>>>,
    pub netns: Option<u32>,
    #[serde(borrow)]
    pub counters: Option<CountersView<'a>>,
    // capture_loss
    #[serde(borrow)]
    pub cause: Option<Text<'a>>,
    pub total: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct HostView<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct CloudView<'a> {
    #[serde(borrow)]
    pub instance_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub region: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct ImdsView<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub operation: Option<Text<'a>>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    #[serde(default)]
    pub credentials: Option<bool>,
    #[serde(borrow)]
    pub cause: Option<Text<'a>>,
    pub cause_status: Option<u16>,
    #[serde(default)]
    pub rejected: bool,
}

#[derive(Debug, Deserialize)]
pub struct HttpView<'a> {
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    #[serde(borrow)]
    pub client: Option<ClientView<'a>>,
    pub status: Option<u16>,
    #[serde(borrow)]
    pub no_response: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct ClientView<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct ProcessView<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub executable: Option<Text<'a>>,
    #[serde(borrow)]
    pub package: Option<PackageView<'a>>,
    #[serde(borrow)]
    pub args: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub user: Option<UserView<'a>>,
    #[serde(borrow)]
    pub container: Option<ContainerView<'a>>,
    #[serde(borrow)]
    pub kubernetes: Option<KubernetesView<'a>>,
    #[serde(borrow)]
    pub ecs: Option<EcsView<'a>>,
    #[serde(borrow)]
    pub systemd_unit: Option<Text<'a>>,
    #[serde(borrow)]
    pub systemd_user_unit: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct PackageView<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct UserView<'a> {
    pub id: Option<u32>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct ContainerView<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub image: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct KubernetesView<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub container_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct EcsView<'a> {
    #[serde(borrow)]
    pub task_definition: Option<Text<'a>>,
    #[serde(borrow)]
    pub container_name: Option<Text<'a>>,
}

/// A process above the caller.
#[derive(Debug, Deserialize)]
pub struct AncestorView<'a> {
    #[serde(borrow)]
    pub executable: Option<Text<'a>>,
    #[serde(borrow)]
    pub command_line: Option<Text<'a>>,
}

/// A blind spot of the host, as `analyzer_started` tells it.
#[derive(Debug, Deserialize)]
pub struct SpotView<'a> {
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub detail: Option<Text<'a>>,
}

/// Totals of a run.
#[derive(Debug, Deserialize)]
pub struct CountersView<'a> {
    pub requests: Option<RequestCountersView>,
    #[serde(default)]
    pub suppressed: u64,
    #[serde(borrow, default)]
    pub lost: Lost<'a>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct RequestCountersView {
    #[serde(default)]
    pub v1: u64,
}

/// Losses by cause.
#[derive(Debug, Default)]
pub struct Lost<'a>(pub Vec<(Text<'a>, u64)>);

impl<'de: 'a, 'a> Deserialize<'de> for Lost<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Lost<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("losses by cause")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Lost<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Lost(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// What a line is.
#[derive(Debug)]
pub enum Line<'a> {
    /// A record of this version of the format.
    Record(Box<View<'a>>),
    /// A record of an event that this program does not know.
    UnknownEvent(Box<View<'a>>),
    /// A record of another version of the format.
    OtherSchema,
    /// The beginning of a record.
    Torn,
    /// Nothing but blanks.
    Blank,
    /// Something else.
    Foreign,
}

/// What only tells a version from another.
#[derive(Deserialize)]
struct Versioned<'a> {
    schema_version: u64,
    #[serde(borrow, rename = "event")]
    _event: Text<'a>,
}

impl<'a> Line<'a> {
    /// Reads a line, without its line feed.
    pub fn read(line: &'a [u8]) -> Self {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Self::Blank;
        }
        match serde_json::from_slice::<View<'_>>(line) {
            Ok(view) if view.schema_version != u64::from(SCHEMA_VERSION) => Self::OtherSchema,
            Ok(view) if Event::NAMES.contains(&view.event.as_str()) => Self::Record(Box::new(view)),
            Ok(view) => Self::UnknownEvent(Box::new(view)),
            Err(error) => match serde_json::from_slice::<Versioned<'_>>(line) {
                Ok(other) if other.schema_version != u64::from(SCHEMA_VERSION) => Self::OtherSchema,
                // What a name has lost at its end may still be ours.
                _ if error.is_eof() && line.starts_with(BEGINNING) => Self::Torn,
                _ => Self::Foreign,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture;

    fn kind(line: &str) -> &'static str {
        match Line::read(line.as_bytes()) {
            Line::Record(_) => "record",
            Line::UnknownEvent(_) => "unknown event",
            Line::OtherSchema => "other schema",
            Line::Torn => "torn",
            Line::Blank => "blank",
            Line::Foreign => "foreign",
        }
    }

    fn heartbeat(fields: &str) -> String {
        format!(r#"{{"timestamp":"2026-11-22T04:32:51.949123Z",{fields},"seq":1,"boottime_us":2}}"#)
    }

    #[test]
    fn every_record_that_is_written_is_understood() {
        let origin = fixture::origin();
        for event in fixture::full().iter().chain(&fixture::bare()) {
            let json = serde_json::to_string(&fixture::record(&origin, event)).unwrap();
            let Line::Record(view) = Line::read(json.as_bytes()) else {
                panic!("not understood: {json}");
            };
            assert_eq!((view.event.as_str(), view.seq), (event.name(), 17));
        }
    }

    #[test]
    fn lines_are_told_apart() {
        let sound = heartbeat(r#""schema_version":1,"event":"heartbeat""#);
        assert_eq!(kind(&sound), "record");
        assert_eq!(kind(&format!("{sound}\r")), "record");
        assert_eq!(kind(&sound[..sound.len() - 4]), "torn");
        assert_eq!(kind(&sound[10..]), "foreign");
        assert_eq!(kind(""), "blank");
        for foreign in [
            "Nov 22 boot",
            "{}",
            "[1]",
            "{\"a\":",
            "\u{0}",
            r#"{"event":"x"}"#,
        ] {
            assert_eq!(kind(foreign), "foreign", "{foreign}");
        }
        let newer = heartbeat(r#""schema_version":2,"event":"heartbeat""#);
        assert_eq!(kind(&newer), "other schema");
        // A version that has renamed what every line has today.
        assert_eq!(kind(r#"{"schema_version":2,"event":"x"}"#), "other schema");
        let unknown = heartbeat(r#""schema_version":1,"event":"analyzer_moved""#);
        assert_eq!(kind(&unknown), "unknown event");
    }

    #[test]
    fn strings_are_borrowed_unless_they_are_escaped() {
        let line =
            heartbeat(r#""schema_version":1,"event":"heartbeat","lineage":"a\\b","boot_id":"c""#);
        let Line::Record(view) = Line::read(line.as_bytes()) else {
            panic!("not understood");
        };
        assert!(matches!(view.boot_id, Some(Text(Cow::Borrowed("c")))));
        assert!(matches!(view.lineage, Some(Text(Cow::Owned(text))) if text == "a\\b"));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_foreign() {
        let mut line =
            heartbeat(r#""schema_version":1,"event":"heartbeat","boot_id":"x""#).into_bytes();
        let at = line.iter().rposition(|byte| *byte == b'x').unwrap();
        line[at] = 0xff;
        assert!(matches!(Line::read(&line), Line::Foreign));
    }
}
