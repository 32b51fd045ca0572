//! The analyzer's lines, read back by the contract in `docs/record-schema.md`.

use std::fmt;

use serde_json::Value;

/// One line of the analyzer's JSON output.
#[derive(Clone, Debug)]
pub struct Line {
    /// As written, without the line feed.
    pub raw: Vec<u8>,
    /// What it says, or why it is not JSON.
    pub value: Result<Value, String>,
}

impl Line {
    /// Reads a line.
    pub fn new(raw: Vec<u8>) -> Self {
        let value = serde_json::from_slice(&raw).map_err(|error| error.to_string());
        Self { raw, value }
    }

    /// Its event, empty if it has none.
    pub fn event(&self) -> &str {
        self.value
            .as_ref()
            .ok()
            .and_then(|value| value["event"].as_str())
            .unwrap_or_default()
    }

    /// The request it records, if its event is `imds_request`.
    ///
    /// # Errors
    ///
    /// Names the field that the contract asks for and that is missing.
    pub fn request(&self) -> Result<Option<Request>, String> {
        match &self.value {
            Ok(value) if self.event() == "imds_request" => Request::read(value).map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(error.clone()),
        }
    }
}

/// A process above the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub name: String,
    /// Arguments, joined.
    pub command_line: Option<String>,
}

/// An `imds_request` record, as far as the tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of the record.
    pub seq: u64,
    /// `v1`, `v2`, `unknown`, or `not_applicable` of another service.
    pub version: String,
    /// Service at the destination.
    pub service: Option<String>,
    /// Whether it was for credentials.
    pub credentials: Option<bool>,
    /// `metadata` or `token`.
    pub operation: Option<String>,
    /// Why the version is unknown, or what is odd.
    pub reason: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// Request target.
    pub path: Option<String>,
    /// Status code of the response.
    pub status: Option<u16>,
    /// Its `Server` header.
    pub server: Option<String>,
    /// Microseconds to its first byte.
    pub latency_us: Option<u64>,
    /// Why there was none.
    pub no_response: Option<String>,
    /// Why it came without a token.
    pub cause: Option<String>,
    /// Status of the refusal.
    pub cause_status: Option<u16>,
    /// It was v1 and answered 401.
    pub rejected: bool,
    /// Sender.
    pub pid: u32,
    /// Sending thread.
    pub tid: u32,
    /// Name of the process.
    pub name: String,
    /// Path of its executable.
    pub executable: Option<String>,
    /// What is special about the executable.
    pub executable_state: Option<String>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
    /// User it ran as.
    pub uid: u32,
    /// Whether `/proc` was too late for it.
    pub exited: bool,
    /// Names up to PID 1.
    pub lineage: String,
    /// Processes above, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// There were more.
    pub ancestors_truncated: bool,
    /// Destination address.
    pub ip: String,
    /// Destination port.
    pub port: u64,
    /// How it was captured.
    pub backend: String,
    /// In which network namespace.
    pub netns: u64,
}

impl Request {
    fn read(value: &Value) -> Result<Self, String> {
        let process = &value["process"];
        let ancestors = value["ancestors"]
            .as_array()
            .ok_or("no array `ancestors`")?
            .iter()
            .map(|ancestor| {
                Ok(Ancestor {
                    pid: number(ancestor, "/pid")?,
                    name: text(ancestor, "/name")?,
                    command_line: optional_text(ancestor, "/command_line"),
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            seq: number(value, "/seq")?,
            version: text(value, "/imds/version")?,
            service: optional_text(value, "/imds/service"),
            credentials: value["imds"]["credentials"].as_bool(),
            operation: optional_text(value, "/imds/operation"),
            reason: optional_text(value, "/imds/reason"),
            method: optional_text(value, "/http/method"),
            path: optional_text(value, "/http/path"),
            status: value["http"]["status"]
                .as_u64()
                .and_then(|status| u16::try_from(status).ok()),
            server: optional_text(value, "/http/server"),
            latency_us: value["http"]["latency_us"].as_u64(),
            no_response: optional_text(value, "/http/no_response"),
            cause: optional_text(value, "/imds/cause"),
            cause_status: value["imds"]["cause_status"]
                .as_u64()
                .and_then(|status| status.try_into().ok()),
            rejected: value["imds"]["rejected"] == true,
            pid: number(value, "/process/pid")?,
            tid: number(value, "/process/tid")?,
            name: text(value, "/process/name")?,
            executable: optional_text(process, "/executable"),
            executable_state: optional_text(process, "/executable_state"),
            args: process["args"].as_array().map(|args| {
                args.iter()
                    .map(|arg| arg.as_str().unwrap_or_default().to_owned())
                    .collect()
            }),
            uid: number(value, "/process/user/id")?,
            exited: process["exited"]
                .as_bool()
                .ok_or("no boolean `process.exited`")?,
            lineage: text(value, "/lineage")?,
            ancestors,
            ancestors_truncated: value["ancestors_truncated"] == true,
            ip: text(value, "/destination/ip")?,
            port: number(value, "/destination/port")?,
            backend: text(value, "/capture/backend")?,
            netns: number(value, "/capture/netns")?,
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absent = String::from("-");
        write!(
            f,
            "record {}: {} {} {} reason={} status={:?} no_response={} by {}({})",
            self.seq,
            self.version,
            self.method.as_ref().unwrap_or(&absent),
            self.path.as_ref().unwrap_or(&absent),
            self.reason.as_ref().unwrap_or(&absent),
            self.status,
            self.no_response.as_ref().unwrap_or(&absent),
            self.name,
            self.pid,
        )
    }
}

fn number<N: TryFrom<u64>>(value: &Value, pointer: &str) -> Result<N, String> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| format!("no number at {pointer}"))
}

fn text(value: &Value, pointer: &str) -> Result<String, String> {
    optional_text(value, pointer).ok_or_else(|| format!("no text at {pointer}"))
}

fn optional_text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

/// What is wrong with the lines of one run of the analyzer, each by itself and as
/// a sequence. `schema` may say more about a line.
pub fn defects(lines: &[Line], schema: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let mut defects = Vec::new();
    let mut last_seq = None;
    for (index, line) in lines.iter().enumerate() {
        let mut defect = |what: &str| {
            defects.push(format!(
                "line {}: {what}: {}",
                index + 1,
                String::from_utf8_lossy(&line.raw).escape_debug()
            ));
        };
        if line.raw.iter().any(u8::is_ascii_control) {
            defect("holds a control character");
        }
        let value = match &line.value {
            Ok(value) => value,
            Err(error) => {
                defect(error);
                continue;
            }
        };
        if value["schema_version"].as_u64() != Some(1) {
            defect("schema_version is not 1");
        }
        if line.event().is_empty() {
            defect("has no event");
        }
        let seq = value["seq"].as_u64();
        match (last_seq, seq) {
            (_, None) => defect("has no seq"),
            (Some(last), Some(seq)) if seq != last + 1 => {
                defect(&format!("seq follows {last}"));
            }
            _ => {}
        }
        last_seq = seq.or(last_seq);
        if let Err(error) = line.request() {
            defect(&error);
        }
        for violation in schema(value) {
            defect(&violation);
        }
    }
    defects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::new(text.as_bytes().to_vec())
    }

    fn heartbeat(seq: u64) -> Line {
        line(&format!(
            r#"{{"schema_version":1,"event":"heartbeat","seq":{seq}}}"#
        ))
    }

    #[test]
    fn sound_lines_have_no_defects() {
        let lines = [heartbeat(1), heartbeat(2)];
        assert_eq!(defects(&lines, |_| Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_defect_is_told() {
        for (lines, expected) in [
            (vec![line("{\"a\":")], "EOF"),
            (vec![heartbeat(1), heartbeat(3)], "seq follows 1"),
            (vec![heartbeat(2), heartbeat(2)], "seq follows 2"),
            (vec![line("{\"schema_version\":2}")], "schema_version"),
            (vec![line("{\"schema_version\":1}")], "no event"),
            (vec![line("\u{1b}[0m")], "control character"),
            (
                vec![line(
                    r#"{"schema_version":1,"event":"imds_request","seq":1}"#,
                )],
                "ancestors",
            ),
        ] {
            let found = defects(&lines, |_| Vec::new());
            assert!(
                found.iter().any(|defect| defect.contains(expected)),
                "{expected}: {found:?}"
            );
        }
    }

    #[test]
    fn schema_violations_are_defects() {
        let found = defects(&[heartbeat(1)], |_| vec!["no such field".to_owned()]);
        assert_eq!(found.len(), 1);
    }
}
