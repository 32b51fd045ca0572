//! Containers made by real programs: bubblewrap and crun.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{ID, World};
use crate::{
    lines::Lines,
    netns::IMDS_V4,
    suite::{
        Entry, cases, find_program,
        session::{PATIENCE, Setup, own_program},
    },
};

/// Where the containers find this program.
const CLIENT: &str = "/client";

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        bubblewrap_shows_both_process_ids,
        crun_container_is_named,
    ]
}

fn bubblewrap_shows_both_process_ids(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::start(setup, "")?;
    let bwrap = find_program("bwrap").context("there is no bwrap: run `cargo xtask setup`")?;
    let mut command = world.netns.command(bwrap);
    command
        .args(["--unshare-pid", "--as-pid-1"])
        .args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"])
        // On standard error it tells what it has made.
        .args(["--info-fd", "2", "--"])
        .arg(own_program()?)
        .args(sender(name));
    let contained = Contained::start(command)?;
    let said = contained.stderr.since(0).concat();
    let told: Value = serde_json::from_slice(&said).context("bwrap tells JSON")?;
    let record = contained.record(world, name)?;
    let process = &record["process"];
    ensure!(process["pid"] == told["child-pid"], "{told}: {record}");
    ensure!(process["namespaced_pid"] == 1, "{record}");
    let made = &told;
    for (told, shown) in [("pid-namespace", "pid"), ("mnt-namespace", "mount")] {
        ensure!(
            process["namespaces"][shown] == made[told],
            "{made}: {record}"
        );
    }
    ensure!(
        process["executable"] == own_program()?.to_string_lossy().as_ref(),
        "{record}"
    );
    ensure!(
        process.get("container").is_none(),
        "bubblewrap names none: {record}"
    );
    Ok(())
}

/// The names are Docker's, which has crun or runc make its containers like this.
fn crun_container_is_named(setup: &Setup, name: &'static str) -> Result<()> {
    let world = World::start(setup, "")?;
    let bundle = tempfile::tempdir()?;
    let root = bundle.path().join("rootfs");
    for directory in ["dev", "proc"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::copy(own_program()?, root.join(&CLIENT[1..]))?;
    let configuration = configuration(&world, name);
    fs::write(
        bundle.path().join("config.json"),
        serde_json::to_vec(&configuration)?,
    )?;
    let pid_file = bundle.path().join("pid");
    let mut command =
        Command::new(find_program("crun").context("there is no crun: run `cargo xtask setup`")?);
    command
        .arg("--root")
        .arg(bundle.path().join("state"))
        .args(["--cgroup-manager=cgroupfs", "run", "--bundle"])
        .arg(bundle.path())
        .arg("--pid-file")
        .arg(&pid_file)
        .arg(name);
    let contained = Contained::start(command)?;
    let pid: u64 = fs::read_to_string(&pid_file)?.trim().parse()?;
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid"))?.ino();
    let record = contained.record(world, name)?;
    let process = &record["process"];
    ensure!(process["pid"] == pid, "{record}");
    ensure!(process["namespaced_pid"] == 1, "{record}");
    ensure!(process["namespaces"]["pid"] == namespace, "{record}");
    ensure!(process["executable"] == CLIENT, "{record}");
    ensure!(process["container"]["id"] == ID, "{record}");
    ensure!(process["container"]["runtime"] == "docker", "{record}");
    Ok(())
}

/// A bundle's `config.json` (OCI Runtime Specification, "Configuration").
fn configuration(world: &World, case: &str) -> Value {
    let mut args = vec![CLIENT.to_owned()];
    args.extend(sender(case));
    let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({"type": kind}));
    let network = json!({"type": "network", "path": world.netns.path()});
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": format!("/docker/{ID}"),
            "namespaces": namespaces.into_iter().chain([network]).collect::<Vec<_>>(),
        },
    })
}

/// Arguments of this program that make it send one request, and stay.
fn sender(case: &str) -> [String; 4] {
    [
        "send".to_owned(),
        "--scenario=plain_v1".to_owned(),
        format!("--case={case}"),
        format!("--addr={IMDS_V4}:80"),
    ]
}

/// A container whose process has sent, and stays until this is dropped.
struct Contained {
    child: Child,
    stderr: Lines,
}

impl Contained {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", Path::new(command.get_program()).display()))?;
        let stdout = Lines::read(child.stdout.take().context("is piped")?, |_| {});
        let stderr = Lines::read(child.stderr.take().context("is piped")?, |_| {});
        let contained = Self { child, stderr };
        let sent = stdout.wait(0, PATIENCE * 3, |lines| {
            lines.iter().any(|line| line == b"done")
        });
        let said = contained.stderr.since(0).concat();
        ensure!(sent, "nothing was sent: {}", String::from_utf8_lossy(&said));
        Ok(contained)
    }

    /// The record of what was sent.
    fn record(&self, world: World, case: &str) -> Result<Value> {
        world.await_records(1)?;
        let mut records = world.records(case)?;
        ensure!(records.len() == 1, "{} records", records.len());
        Ok(records.remove(0))
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The process ends with its input, and the container with it.
        drop(self.child.wait());
    }
}
