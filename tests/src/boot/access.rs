//! A line of the guest's access log: a request, in which boot, and who waits for the
//! answer.

use std::{fs, net::SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{ACCESS_LOG, holders::Holder};
use crate::mock::access_log::{Entry, id_in_target};

/// A request that reached IMDS.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The kernel's id of the boot.
    pub(super) boot_id: String,
    /// What was asked.
    pub(super) entry: Entry,
    /// Every process that held the client's end of the connection.
    pub(super) holders: Vec<Holder>,
}

impl Access {
    pub(super) fn new(boot_id: &str, entry: &Entry, holders: Vec<Holder>) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            entry: entry.clone(),
            holders,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let holders: Vec<Value> = self
            .holders
            .iter()
            .map(|holder| json!({"pid": holder.pid, "name": holder.name, "uid": holder.uid}))
            .collect();
        json!({
            "boot_id": self.boot_id,
            "method": self.entry.method,
            "target": String::from_utf8_lossy(&self.entry.target),
            "had_token": self.entry.had_token,
            "empty_token": self.entry.empty_token,
            "status": self.entry.status,
            "peer": self.entry.peer.to_string(),
            "local": self.entry.local.to_string(),
            "holders": holders,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str();
        let target = text("target")?.as_bytes().to_vec();
        let holder = |holder: &Value| {
            Some(Holder {
                pid: holder["pid"].as_u64()?.try_into().ok()?,
                name: holder["name"].as_str()?.to_owned(),
                uid: holder["uid"].as_u64()?.try_into().ok()?,
            })
        };
        Some(Self {
            boot_id: text("boot_id")?.to_owned(),
            entry: Entry {
                seq: 0,
                connection: 0,
                peer: text("peer")?.parse::<SocketAddr>().ok()?,
                local: text("local")?.parse().ok()?,
                method: text("method")?.to_owned(),
                had_token: value["had_token"].as_bool()?,
                empty_token: value["empty_token"].as_bool()?,
                head_bytes: 0,
                status: value["status"].as_u64().and_then(|it| it.try_into().ok()),
                id: id_in_target(&target),
                target,
            },
            holders: value["holders"]
                .as_array()?
                .iter()
                .map(holder)
                .collect::<Option<_>>()?,
        })
    }

    /// The only process that can have sent it.
    ///
    /// # Errors
    ///
    /// If there is none, or more than one.
    pub(super) fn sender(&self) -> Result<&Holder> {
        match self.holders.as_slice() {
            [one] => Ok(one),
            several => anyhow::bail!(
                "{} processes held the connection of {}: {several:?}",
                several.len(),
                self.entry.target.escape_ascii()
            ),
        }
    }
}

/// All of the log.
pub(super) fn read() -> Result<Vec<Access>> {
    let text = fs::read_to_string(ACCESS_LOG).with_context(|| format!("read {ACCESS_LOG}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Access>> {
    text.lines()
        .map(|line| {
            let value = serde_json::from_str(line).context("a line of the access log")?;
            Access::from_json(&value).with_context(|| format!("not of the access log: {line}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_read_back_as_it_was_written() {
        let line = json!({
            "boot_id": "a", "method": "GET", "target": "/latest/?case=c&n=1", "had_token": true,
            "empty_token": false, "status": 200, "peer": "127.0.0.1:40000", "local": "169.254.169.254",
            "holders": [{"pid": 7, "name": "curl", "uid": 0}],
        });
        let read = parse(&format!("{line}\n")).unwrap();
        assert_eq!(read[0].to_json(), line);
        assert_eq!(read[0].sender().unwrap().name, "curl");
        assert!(parse("{\"boot_id\":\"a\"}\n").is_err());
    }

    #[test]
    fn request_that_two_processes_may_have_sent_has_no_sender() {
        let line = json!({
            "boot_id": "a", "method": "GET", "target": "/", "had_token": false,
            "empty_token": false, "peer": "[::1]:1", "local": "fd00:ec2::254",
            "holders": [{"pid": 7, "name": "a", "uid": 0}, {"pid": 8, "name": "a", "uid": 0}],
        });
        assert!(parse(&line.to_string()).unwrap()[0].sender().is_err());
    }
}
