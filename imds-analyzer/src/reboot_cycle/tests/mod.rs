//! Cycles on a host that is a directory, with a systemctl that is a script.

mod steps;
mod watching;

use std::{fs, os::unix::fs::symlink, path::Path};

use super::*;

const BEFORE: &str = "11111111-0000-4000-8000-000000000001";
const AFTER: &str = "22222222-0000-4000-8000-000000000002";

/// A host with the unit installed, switched off.
struct Fake {
    dir: tempfile::TempDir,
    host: Host,
}

impl Fake {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        fs::create_dir_all(root.join("proc/sys/kernel/random")).unwrap();
        // Not written here: a program that is being written can't be started.
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reboot_cycle/tests/systemctl");
        symlink(program, dir.path().join("systemctl")).unwrap();
        let host = Host {
            root,
            systemctl: dir.path().join("systemctl"),
            state: dir.path().join("state/reboot-cycle.json"),
            log: dir.path().join("log"),
            privileged: true,
        };
        let fake = Self { dir, host };
        fake.boots(BEFORE);
        fake.unit("loaded", "disabled", "inactive");
        fake
    }

    fn boots(&self, id: &str) {
        let file = self.host.root.join("proc/sys/kernel/random/boot_id");
        fs::write(file, format!("{id}\n")).unwrap();
    }

    fn unit(&self, load: &str, file: &str, active: &str) {
        for (name, value) in [("load", load), ("file", file), ("active", active)] {
            fs::write(self.dir.path().join(name), format!("{value}\n")).unwrap();
        }
    }

    /// What the unit is like: enabled?, running?
    fn is(&self) -> (String, String) {
        let read = |name: &str| {
            let text = fs::read_to_string(self.dir.path().join(name)).unwrap();
            text.trim().to_owned()
        };
        (read("file"), read("active"))
    }

    /// What systemctl was asked to change.
    fn changes(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        let changes = calls.lines().filter(|line| !line.starts_with("show"));
        changes
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn start(&self) -> Result<String, String> {
        let mut out = Vec::new();
        let done = start(&self.host, &mut out);
        told(done, out)
    }

    fn status(&self) -> Result<String, String> {
        let mut out = Vec::new();
        let done = status(&self.host, &mut out);
        told(done, out)
    }

    fn finish(&self) -> Result<String, String> {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let done = finish(&self.host, ReportFormat::Table, &mut out, &mut notes).map(drop);
        told(done, [out, notes].concat())
    }

    fn abort(&self) -> Result<String, String> {
        let mut notes = Vec::new();
        let done = abort(&self.host, &mut notes);
        told(done, notes)
    }

    /// Appends records to the log: boot, number in its run, seconds since the kernel
    /// started, event, v1 or v2.
    fn log(&self, records: &[(&str, u64, u64, &str, &str)]) {
        let mut text = fs::read_to_string(&self.host.log).unwrap_or_default();
        for (boot, seq, second, event, version) in records {
            let at = jiff::Timestamp::now();
            let mut record = serde_json::json!({
                "timestamp": at.to_string(), "schema_version": 1, "event": event, "seq": seq,
                "boottime_us": second * 1_000_000, "boot_id": boot, "heartbeat_interval_s": 60,
            });
            if !version.is_empty() {
                record["imds"] = serde_json::json!({"version": version, "operation": "metadata"});
                record["process"] = serde_json::json!({"name": "curl", "pid": 7,
                    "systemd_unit": format!("{version}-caller.service")});
                record["lineage"] = "curl < sh".into();
            }
            text.push_str(&format!("{record}\n"));
        }
        fs::write(&self.host.log, text).unwrap();
    }
}

fn told(done: anyhow::Result<()>, said: Vec<u8>) -> Result<String, String> {
    match done {
        Ok(()) => Ok(String::from_utf8(said).unwrap()),
        Err(error) => Err(format!("{error:#}")),
    }
}
