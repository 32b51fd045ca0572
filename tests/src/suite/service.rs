//! What the service manager and the journal see of the daemon.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::TcpStream,
    os::unix::{fs::OpenOptionsExt as _, net::UnixDatagram},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    Entry, cases,
    client::RunningSender,
    features,
    private_mounts::{mount_tmpfs, with_private_mounts},
    session::{PATIENCE, Setup},
};
use crate::{
    analyzer::{Analyzer, Launch},
    mock::Mock,
    netns::{IMDS_V4, Netns},
};

/// `include/uapi/linux/capability.h`
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_BPF: u64 = 1 << 39;

/// From this kernel on an open map is read without CAP_BPF.
const READS_MAPS_FREELY: (u32, u32) = (5, 19);

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        capabilities_are_given_up_once_capture_runs,
        configuration_is_read_again_at_sighup,
        hung_output_misses_the_watchdog,
        journal_gets_fields_to_filter_by,
    ]
}

fn launch<'a>(setup: &'a Setup, netns: &'a Netns, output: Option<&'a Path>) -> Launch<'a> {
    Launch {
        program: &setup.analyzer,
        backend: &setup.backend,
        format: "json",
        netns: netns.path(),
        output,
        settings: "",
        verbose: false,
    }
}

/// A hexadecimal field of proc_pid_status(5).
fn mask(status: &str, field: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let digits = line.with_context(|| format!("no {field}"))?.trim();
    Ok(u64::from_str_radix(digits, 16)?)
}

fn capabilities_are_given_up_once_capture_runs(setup: &Setup, _: &'static str) -> Result<()> {
    let netns = Netns::new()?;
    let settings = "[enrich]\ncommand = ['/proc/self/exe']\n";
    let analyzer = Launch {
        settings,
        ..launch(setup, &netns, None)
    }
    .start(|_| {})?;
    let tasks = format!("/proc/{}/task", analyzer.pid());
    let mut seen = BTreeMap::new();
    for task in fs::read_dir(tasks)? {
        let task = task?.path();
        let is_main = task.ends_with(analyzer.pid().to_string());
        let status = fs::read_to_string(task.join("status"))?;
        let name = fs::read_to_string(task.join("comm"))?.trim().to_owned();
        let allowed = match name.as_str() {
            _ if is_main && features::kernel_version()? < READS_MAPS_FREELY => {
                CAP_SYS_PTRACE | CAP_BPF
            }
            _ if is_main => CAP_SYS_PTRACE,
            "lookup" => CAP_SYS_PTRACE,
            "records" | "writer" | "enrich" => 0,
            other => bail!("a thread that nobody knows: {other}"),
        };
        for field in ["CapEff:", "CapPrm:", "CapBnd:", "CapInh:", "CapAmb:"] {
            let has = mask(&status, field)?;
            ensure!(
                has & !allowed == 0,
                "{name} has {field} {has:#x}, not {allowed:#x}"
            );
        }
        ensure!(
            mask(&status, "NoNewPrivs:")? == 1,
            "{name} may get new privileges"
        );
        seen.insert(name, mask(&status, "CapEff:")?);
    }
    ensure!(seen.len() == 5, "threads: {seen:?}");
    ensure!(
        seen["lookup"] == CAP_SYS_PTRACE,
        "lookup can't look at other users' processes"
    );
    analyzer.terminate()?;
    Ok(())
}

/// Waits for a heartbeat of so many seconds.
fn await_heartbeat(analyzer: &Analyzer, seconds: u32) -> Result<()> {
    let came = analyzer.stdout().wait(0, PATIENCE, |lines| {
        lines.iter().any(|line| {
            serde_json::from_slice::<Value>(line).is_ok_and(|record| {
                record["event"] == "heartbeat" && record["heartbeat_interval_s"] == seconds
            })
        })
    });
    ensure!(
        came,
        "no heartbeat of {seconds} s:\n{}",
        analyzer.last_words()
    );
    Ok(())
}

fn configuration_is_read_again_at_sighup(setup: &Setup, name: &'static str) -> Result<()> {
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let analyzer = launch(setup, &netns, None).start(|_| {})?;
    let witness = fs::read_to_string(analyzer.configuration())?;
    let reread = |text: &str| -> Result<()> {
        // Keys before tables, and what the suite itself has set.
        fs::write(analyzer.configuration(), format!("{witness}{text}"))?;
        analyzer.signal(libc::SIGHUP)
    };
    reread("heartbeat_intervall_s = 1\n")?;
    analyzer.await_word("the configuration stays as it was")?;
    analyzer.await_word("did you mean `heartbeat_interval_s`?")?;
    reread("heartbeat_interval_s = 2\n[host]\nname = 'renamed'\n")?;
    await_heartbeat(&analyzer, 2)?;
    reread("heartbeat_interval_s = 1\nring_buffer_bytes = 65536\n[host]\nname = 'renamed'\n")?;
    await_heartbeat(&analyzer, 1)?;
    analyzer.await_word("to change ring_buffer_bytes, restart")?;
    let mut sender = RunningSender::start(&netns, "plain_v1", name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    sender.finish()?;
    let finished = analyzer.stop()?;
    let mut requests = Vec::new();
    for line in &finished.records {
        let record: Value = serde_json::from_slice(line)?;
        if record["event"] == "imds_request" {
            requests.push(record);
        }
    }
    ensure!(
        mock.log().of_case(name).len() == 1,
        "the mock served another number"
    );
    ensure!(
        requests.len() == 1,
        "{} records of one request",
        requests.len()
    );
    ensure!(
        requests[0]["host"]["name"] == "renamed",
        "host in {}",
        requests[0]
    );
    Ok(())
}

/// The next datagram as text; `None` if none comes in time.
fn receive(socket: &UnixDatagram, within: Duration) -> Result<Option<String>> {
    let mut buffer = vec![0; 1 << 17];
    socket.set_read_timeout(Some(within))?;
    match socket.recv(&mut buffer) {
        Ok(length) => Ok(Some(String::from_utf8(buffer[..length].to_vec())?)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn await_notice(socket: &UnixDatagram, wanted: &str) -> Result<()> {
    for _ in 0..10_000 {
        let notice = receive(socket, PATIENCE)?;
        let notice = notice.with_context(|| format!("systemd never hears {wanted}"))?;
        if notice.lines().any(|line| line == wanted) {
            return Ok(());
        }
    }
    bail!("systemd hears much, but never {wanted}")
}

fn hung_output_misses_the_watchdog(setup: &Setup, _: &'static str) -> Result<()> {
    const WATCHDOG: Duration = Duration::from_millis(400);
    let netns = Netns::new()?;
    let directory = tempfile::tempdir()?;
    let socket_path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&socket_path)?;
    let fifo = directory.path().join("fifo");
    let path = std::ffi::CString::new(fifo.as_os_str().as_encoded_bytes())?;
    // SAFETY: a string that ends with a NUL.
    ensure!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) } == 0, "mkfifo");
    // Both ends, so that neither opening nor closing is seen by anybody.
    let mut ends = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)?;
    let analyzer = launch(setup, &netns, Some(&fifo)).start_prepared(
        |_| {},
        |command| {
            command
                .env("NOTIFY_SOCKET", &socket_path)
                .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        },
    )?;
    await_notice(&socket, "READY=1")?;
    await_notice(&socket, "WATCHDOG=1")?;
    // No room for another record, and the next heartbeat comes at once.
    while std::io::Write::write(&mut ends, &[b'\n'; 4096]).is_ok() {}
    while std::io::Write::write(&mut ends, b"\n").is_ok() {}
    fs::write(analyzer.configuration(), "heartbeat_interval_s = 1\n")?;
    analyzer.signal(libc::SIGHUP)?;
    await_notice(&socket, "STATUS=The output hangs")?;
    if let Some(notice) = receive(&socket, WATCHDOG * 3)? {
        bail!("a sign of life while the output hangs: {notice}");
    }
    let mut drained = vec![0; 1 << 20];
    while ends.read(&mut drained).is_ok() {}
    await_notice(&socket, "WATCHDOG=1")?;
    analyzer.kill()
}

fn journal_gets_fields_to_filter_by(setup: &Setup, name: &'static str) -> Result<()> {
    with_private_mounts(|| {
        mount_tmpfs(Path::new("/run"), "mode=0755")?;
        fs::create_dir_all("/run/systemd/journal")?;
        let socket = UnixDatagram::bind("/run/systemd/journal/socket")?;
        let netns = Netns::new()?;
        let mock = Mock::start(&netns)?;
        let analyzer = Launch {
            format: "text",
            ..launch(setup, &netns, Some(Path::new("journal")))
        }
        .start(|_| {})?;
        netns.enter(|| {
            for number in 1..=5 {
                let mut stream = TcpStream::connect((IMDS_V4, 80))?;
                let token = match number {
                    5 => "X-aws-ec2-metadata-token: AQ==\r\n",
                    _ => "",
                };
                let head = format!(
                    "GET /latest/meta-data/?case={name}&n={number} HTTP/1.1\r\n{token}\
                     Connection: close\r\n\r\n"
                );
                std::io::Write::write_all(&mut stream, head.as_bytes())?;
                stream.read_to_end(&mut Vec::new())?;
            }
            Ok(())
        })?;
        analyzer.terminate()?;
        let mut found = BTreeMap::<String, Vec<u64>>::new();
        let mut events = Vec::new();
        while let Some(entry) = receive(&socket, Duration::from_millis(1))? {
            let fields: BTreeMap<&str, &str> = entry
                .lines()
                .filter_map(|line| line.split_once('='))
                .collect();
            ensure!(
                fields.len() == entry.lines().count(),
                "odd lines in {entry}"
            );
            ensure!(fields.contains_key("MESSAGE"), "no message in {entry}");
            events.push(fields["IMDS_EVENT"].to_owned());
            if let Some(version) = fields.get("IMDS_VERSION") {
                let (_, number) = fields["IMDS_PATH"].rsplit_once('=').context("a number")?;
                let own = std::process::id().to_string();
                ensure!(fields["IMDS_PID"] == own, "sent by {}", fields["IMDS_PID"]);
                found
                    .entry((*version).to_owned())
                    .or_default()
                    .push(number.parse()?);
            }
        }
        let served = mock.log().of_case(name);
        let mut expected = BTreeMap::<String, Vec<u64>>::new();
        for entry in &served {
            let version = if entry.had_token { "v2" } else { "v1" };
            let number = entry.id.as_ref().map_or(0, |id| id.number);
            expected.entry(version.to_owned()).or_default().push(number);
        }
        ensure!(
            served.len() == 5 && found == expected,
            "{found:?}, not {expected:?}"
        );
        ensure!(
            events
                .first()
                .is_some_and(|event| event == "analyzer_started"),
            "{events:?}"
        );
        ensure!(
            events
                .last()
                .is_some_and(|event| event == "analyzer_stopped"),
            "{events:?}"
        );
        Ok(())
    })
}
