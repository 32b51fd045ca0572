//! Values that can't hold nonsense: each refuses what is out of range, so that
//! the error points at the place in the file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// Where the records go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Output {
    /// Standard output, `-`.
    #[default]
    Stdout,
    /// systemd's journal.
    Journal,
    /// Appended to this file.
    File(PathBuf),
}

impl TryFrom<String> for Output {
    type Error = EmptyOutput;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "" => Err(EmptyOutput),
            "-" => Ok(Self::Stdout),
            "journal" => Ok(Self::Journal),
            _ => Ok(Self::File(text.into())),
        }
    }
}

/// No name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an empty name is no file: name one, `-` for standard output, or `journal`")]
pub struct EmptyOutput;

impl From<Output> for String {
    fn from(output: Output) -> Self {
        output.to_string()
    }
}

impl FromStr for Output {
    type Err = EmptyOutput;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::Journal => f.write_str("journal"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Seconds between two heartbeats, 1 to 86,400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Integer", into = "u32")]
pub struct HeartbeatInterval(u32);

impl HeartbeatInterval {
    /// In seconds.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for HeartbeatInterval {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<Integer> for HeartbeatInterval {
    type Error = String;

    fn try_from(Integer(seconds): Integer) -> Result<Self, Self::Error> {
        in_range(seconds, 1, 86_400, "seconds").map(Self)
    }
}

impl From<HeartbeatInterval> for u32 {
    fn from(interval: HeartbeatInterval) -> Self {
        interval.0
    }
}

/// Milliseconds that a request waits for its response before its record says that there
/// was none, 100 to 60,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Integer", into = "u32")]
pub struct ResponseDeadline(u32);

impl ResponseDeadline {
    /// In milliseconds.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for ResponseDeadline {
    fn default() -> Self {
        Self(5_000)
    }
}

impl TryFrom<Integer> for ResponseDeadline {
    type Error = String;

    fn try_from(Integer(milliseconds): Integer) -> Result<Self, Self::Error> {
        in_range(milliseconds, 100, 60_000, "milliseconds").map(Self)
    }
}

impl From<ResponseDeadline> for u32 {
    fn from(deadline: ResponseDeadline) -> Self {
        deadline.0
    }
}

/// Size of the ring buffer: a power of two and whole pages, which is what
/// `BPF_MAP_TYPE_RINGBUF` takes (kernel/bpf/ringbuf.c, `ringbuf_map_alloc`).
/// It is resident twice over, because the kernel maps the data pages twice in
/// a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Integer", into = "u32")]
pub struct RingBufferBytes(u32);

impl RingBufferBytes {
    const MAX: u32 = 1 << 30;

    /// In bytes.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for RingBufferBytes {
    fn default() -> Self {
        Self(4 << 20)
    }
}

impl TryFrom<Integer> for RingBufferBytes {
    type Error = String;

    fn try_from(Integer(bytes): Integer) -> Result<Self, Self::Error> {
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(1 << 16);
        match in_range(bytes, page, Self::MAX, "bytes")? {
            bytes if bytes.is_power_of_two() => Ok(Self(bytes)),
            bytes => Err(format!(
                "{bytes} is not a power of two; the next one is {}",
                bytes.next_power_of_two()
            )),
        }
    }
}

impl From<RingBufferBytes> for u32 {
    fn from(size: RingBufferBytes) -> Self {
        size.0
    }
}

/// A whole number, of which errors say that and not how wide it is here.
#[derive(Clone, Copy)]
pub(super) struct Integer(pub(super) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
                Ok(Integer(number))
            }
        }

        deserializer.deserialize_i64(Whole)
    }
}

fn in_range(value: i64, min: u32, max: u32, unit: &str) -> Result<u32, String> {
    u32::try_from(value)
        .ok()
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| format!("{value} is out of range: {min} to {max} {unit}"))
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    min: u32,
    max: u32,
    unit: &str,
) -> Result<u32, D::Error> {
    let Integer(value) = Integer::deserialize(deserializer)?;
    in_range(value, min, max, unit).map_err(D::Error::custom)
}

/// `limits.max_head_bytes`
pub(super) fn head_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 16 << 10, 1 << 20, "bytes")
}

/// `limits.max_streams`
pub(super) fn streams<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 16, 65_536, "streams")
}

/// `limits.max_buffered_bytes`
pub(super) fn buffered_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 1 << 20, 1 << 30, "bytes")
}

/// `limits.idle_timeout_s`
pub(super) fn idle_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 1, 3_600, "seconds")
}

/// `log.rotate_bytes`
pub(super) fn rotate_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    or_never(deserializer, 64 << 10, 1 << 30, "bytes")
}

/// `log.rotate_after_s`
pub(super) fn rotate_after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    or_never(deserializer, 60, 31_536_000, "seconds")
}

/// `log.keep_bytes`
pub(super) fn keep_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    const RANGE: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 40);
    let Integer(value) = Integer::deserialize(deserializer)?;
    u64::try_from(value)
        .ok()
        .filter(|value| RANGE.contains(value))
        .ok_or_else(|| {
            let (min, max) = (RANGE.start(), RANGE.end());
            D::Error::custom(format!("{value} is out of range: {min} to {max} bytes"))
        })
}

/// In range, or 0.
fn or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
    min: u32,
    max: u32,
    unit: &str,
) -> Result<u32, D::Error> {
    match Integer::deserialize(deserializer)? {
        Integer(0) => Ok(0),
        Integer(value) => in_range(value, min, max, unit)
            .map_err(|message| D::Error::custom(format!("{message}, or 0 for never"))),
    }
}

/// `enrich.timeout_ms`
pub(super) fn enrich_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 10, 10_000, "milliseconds")
}

/// `enrich.max_concurrent`
pub(super) fn enrich_concurrent<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<u32, D::Error> {
    bounded(deserializer, 1, 16, "programs")
}

/// `enrich.cache_s`
pub(super) fn enrich_cache<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 0, 86_400, "seconds")
}

/// `enrich.command`: no shell and no search path decides what is run.
pub(super) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    match command.first() {
        Some(program) if !program.starts_with('/') => Err(D::Error::custom(format!(
            "`{program}` is no absolute path; name the program like /usr/local/bin/enrich"
        ))),
        _ if command.iter().any(|word| word.contains('\0')) => {
            Err(D::Error::custom("a word has a NUL in it"))
        }
        _ => Ok(command),
    }
}

/// `""` for a string that is not set.
pub(super) mod empty_is_none {
    use std::path::{Path, PathBuf};

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    /// What can be written as a string.
    pub(crate) trait Text: From<String> {
        fn text(&self) -> std::borrow::Cow<'_, str>;
    }

    impl Text for String {
        fn text(&self) -> std::borrow::Cow<'_, str> {
            self.as_str().into()
        }
    }

    impl Text for PathBuf {
        fn text(&self) -> std::borrow::Cow<'_, str> {
            Path::to_string_lossy(self)
        }
    }

    pub(crate) fn serialize<T: Text, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_ref().map(Text::text).as_deref().unwrap_or(""))
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}

/// Something that is done unless it is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlessOff(bool);

impl UnlessOff {
    /// Whether to do it.
    pub fn get(self) -> bool {
        self.0
    }
}

impl Default for UnlessOff {
    fn default() -> Self {
        Self(true)
    }
}
