//! The page of `report --format html` in a browser, without a network.
//!
//! What its tests can't show: that its script runs under the page's own policy, that
//! nothing in it is an error to a browser, and that it asks for nothing.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::binaries::Binaries;
use crate::command::{find_program, privileged};

/// Names that distributions and vendors give it.
pub(crate) const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Seconds that the browser may take. Only a failure ever waits so long.
const PATIENCE_S: &str = "120";

/// Makes a page of a log with two callers and shows it to Chromium.
pub(super) fn shows(binaries: &Binaries) -> Result<()> {
    let browser = BROWSERS
        .iter()
        .find_map(|name| find_program(name))
        .context(
            "there is no Chromium: `cargo xtask setup` installs it where the distribution has a \
         package `chromium`; else install one of chromium, chromium-browser, google-chrome",
        )?;
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("records.jsonl");
    fs::write(&log, records())?;
    let page = directory.path().join("page.html");
    let report = Command::new(&binaries.analyzer)
        .args(["report", "--format", "html"])
        .arg(&log)
        .output()
        .context("cannot start the analyzer")?;
    ensure!(report.status.code() == Some(3), "report: {report:?}");
    fs::write(&page, &report.stdout)?;

    // A network namespace of its own has no network: what the page needed would be missing.
    let output = privileged("timeout")?
        .args([PATIENCE_S, "unshare", "--net"])
        .arg(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args([
            "--disable-sync",
            "--disable-extensions",
            "--enable-logging=stderr",
        ])
        .arg(format!(
            "--user-data-dir={}",
            directory.path().join("profile").display()
        ))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .context("cannot start Chromium")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Chromium ended with {}: {said}",
        output.status
    );
    // Every error of a script, of the policy or of a request goes to the console. One of
    // the browser's own is about a slow network, which is none here.
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("CONSOLE") && !line.contains("Slow network"))
        .collect();
    ensure!(errors.is_empty(), "the page has errors: {errors:#?}");
    let dom = String::from_utf8_lossy(&output.stdout);
    for (what, why) in [
        ("<strong>Not safe</strong>", "the verdict"),
        ("script /opt/old.sh", "a caller"),
        ("program /opt/new", "another caller"),
        ("<rect class=\"bar-v1\"", "the timeline"),
        // Only the script sets it.
        ("aria-sort=\"descending\"", "what its script does"),
    ] {
        if !dom.contains(what) {
            bail!("the page lacks {why} ({what}): {dom}");
        }
    }
    let at = |caller: &str| dom.find(&format!("<td>{caller}</td>"));
    ensure!(
        at("script /opt/old.sh") < at("program /opt/new"),
        "the callers are not sorted by their v1 calls"
    );
    Ok(())
}

/// One run: a script that calls v1 and a program that does not.
fn records() -> String {
    let record = |seq: u32, event: &str, fields: &str| {
        format!(
            "{{\"timestamp\":\"2026-11-22T04:3{seq}:51.949123Z\",\"schema_version\":1,\"event\":\"{event}\",\
             \"seq\":{seq},\"boottime_us\":{},\"boot_id\":\"8b4a3c1e-0f6d-4f0e-9b57-2f5f6f2f7a11\",{fields}}}\n",
            u64::from(seq) * 60_000_000
        )
    };
    let request = |version: &str, process: &str| {
        format!(
            "\"imds\":{{\"version\":\"{version}\",\"operation\":\"metadata\"}},\"http\":{{\"path\":\"/<b>&\"}},\
             \"process\":{{{process}}}"
        )
    };
    let new = request("v2", "\"executable\":\"/opt/new\"");
    let old = request(
        "v1",
        "\"executable\":\"/usr/bin/bash\",\"args\":[\"bash\",\"/opt/old.sh\"]",
    );
    let started = "\"version\":\"0.1.0\",\"backend\":\"fentry\",\"heartbeat_interval_s\":60";
    [
        record(1, "analyzer_started", started),
        record(2, "imds_request", &new),
        record(3, "imds_request", &old),
        record(4, "analyzer_stopped", "\"counters\":{}"),
    ]
    .concat()
}
