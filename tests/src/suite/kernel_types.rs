//! Type information of the kernel that lacks something, or is none.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    Entry, cases,
    client::RunningSender,
    session::{Setup, defects_of_run},
};
use crate::{
    analyzer::{Analyzer, Launch},
    compare::{Expected, Sight, compare, settle},
    mock::Mock,
    netns::{IMDS_V4, Netns},
    record::Line,
};

/// The running kernel's own.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Alone:
        types_without_a_member_of_the_send_hooks_leave_the_wire,
        types_of_no_use_are_refused_with_what_is_wrong,
    ]
}

/// A file with the kernel's blob after a change.
fn changed(change: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<tempfile::NamedTempFile> {
    let mut blob = fs::read(KERNEL).with_context(|| format!("read {KERNEL}"))?;
    change(&mut blob)?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), blob)?;
    Ok(file)
}

/// Replaces a name among the strings of a blob.
fn rename(blob: &mut [u8], name: &str) -> Result<()> {
    let wanted = format!("\0{name}\0").into_bytes();
    let places: Vec<usize> = blob
        .windows(wanted.len())
        .enumerate()
        .filter_map(|(at, window)| (window == wanted).then_some(at))
        .collect();
    ensure!(!places.is_empty(), "this kernel's BTF has no `{name}`");
    for at in places {
        blob[at + 1] = b'~';
    }
    Ok(())
}

/// Starts with `auto`, whatever the suite was told: the choice is what is looked at.
fn start(setup: &Setup, netns: &Netns, types: &Path) -> Result<Analyzer> {
    Launch {
        program: &setup.analyzer,
        backend: "auto",
        format: "json",
        netns: netns.path(),
        output: None,
        settings: &format!("btf = {:?}", types.display().to_string()),
        verbose: false,
    }
    .start(|_| {})
}

fn types_without_a_member_of_the_send_hooks_leave_the_wire(
    setup: &Setup,
    name: &'static str,
) -> Result<()> {
    let types = changed(|blob| rename(blob, "iov_offset"))?;
    let netns = Netns::new()?;
    let mock = Mock::start(&netns)?;
    let analyzer = start(setup, &netns, types.path())?;
    ensure!(
        analyzer.backend() == "cgroup",
        "took {}",
        analyzer.backend()
    );
    let mut sender = RunningSender::start(&netns, "plain_v1", name, (IMDS_V4, 80).into())?;
    sender.await_line("done")?;
    let finished = analyzer.stop()?;

    let first: Value = serde_json::from_slice(finished.records.first().context("a record")?)?;
    let refusals = first["backends_not_taken"].as_array().context("refusals")?;
    let named: Vec<&str> = refusals
        .iter()
        .filter(|refusal| {
            let reason = refusal["reason"].as_str().unwrap_or_default();
            reason.contains("`iov_offset` in `struct iov_iter`")
        })
        .filter_map(|refusal| refusal["backend"].as_str())
        .collect();
    ensure!(
        named == ["fentry", "kprobe"] && refusals.len() == 2,
        "not both for the member: {refusals:?}"
    );
    let mut expected: Vec<Expected> = mock
        .log()
        .of_case(name)
        .iter()
        .map(|entry| Expected::from_entry(entry, sender.sender_of(1)))
        .collect();
    ensure!(expected.len() == 1, "the mock got {}", expected.len());
    settle(&mut expected, mock.log(), Sight::Arriving);
    let mut records = Vec::new();
    for line in &finished.records {
        let request = Line::new(line.clone()).request();
        records.extend(request.map_err(anyhow::Error::msg)?);
    }
    let mut problems = defects_of_run(&finished);
    problems.extend(compare(&expected, &records).iter().map(ToString::to_string));
    ensure!(problems.is_empty(), "{}", problems.join("\n    "));
    sender.finish()
}

/// A change of a blob.
type Change = fn(&mut Vec<u8>) -> Result<()>;

fn types_of_no_use_are_refused_with_what_is_wrong(
    setup: &Setup,
    _name: &'static str,
) -> Result<()> {
    let netns = Netns::new()?;
    let changes: [(Change, &[&str]); 6] = [
        (
            |blob| rename(blob, "skc_dport"),
            &["no member `skc_dport` in `struct sock_common`"],
        ),
        (
            |blob| rename(blob, "task_struct"),
            &["no `struct task_struct`"],
        ),
        (
            // The strings come last, so the name of some struct is among what is gone.
            |blob| {
                blob.truncate(blob.len() / 2);
                Ok(())
            },
            &["no `struct ", "truncated: its header announces"],
        ),
        (
            |blob| {
                blob.truncate(10);
                Ok(())
            },
            &["truncated: it has 10 bytes"],
        ),
        (
            |blob| {
                blob.swap(0, 1);
                Ok(())
            },
            &["another byte order"],
        ),
        (
            |blob| {
                blob[..4].copy_from_slice(b"\x7fELF");
                Ok(())
            },
            &["it is not BTF"],
        ),
    ];
    for (change, told) in changes {
        let types = changed(change)?;
        let said = match start(setup, &netns, types.path()) {
            Ok(analyzer) => bail!("{told:?}: it took {}", analyzer.backend()),
            Err(error) => error.to_string(),
        };
        let path = types.path().display().to_string();
        for part in told.iter().copied().chain([path.as_str()]) {
            ensure!(said.contains(part), "no {part:?} in: {said}");
        }
        let times = said.matches(told[0]).count();
        ensure!(times == 1, "said {times} times: {said}");
    }
    Ok(())
}
