//! What is done and checked in each boot of the guest.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    MEMORY, UNIT, access, checks::Checks, cycle, imds::boot_id, journal, records, removal,
    requests, stage_number, systemd,
};
use crate::vm_init;

/// The service that asks IMDS first.
const CLOUD_INIT: &str = "cloud-init-local.service";

/// What the boots before have left.
#[derive(Debug, Default)]
struct Memory {
    /// Checks that passed.
    passed: u64,
    /// Lines of the access log that were written before the service was there.
    unwatched: usize,
    /// Ids of the boots.
    boots: Vec<String>,
}

/// Does what belongs into this boot, and reboots or ends the VM with a verdict.
///
/// # Errors
///
/// Anywhere but in the boot test's VM.
pub fn run() -> Result<()> {
    let number = stage_number()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("IMDS-KERNEL release={}", release.trim());
    let done = stage(number);
    let passed = match &done {
        Ok(checks) => checks.failed == 0,
        Err(error) => {
            println!("FAIL boot {number}: {error:#}");
            false
        }
    };
    if !passed {
        println!("{}", journal::tail(&[UNIT, CLOUD_INIT, "boot-test-imds"]));
    }
    let counts = done.unwrap_or_default();
    if number < 3 && passed {
        println!("IMDS-BOOT stage={number} ok");
        systemd::run("systemctl", &["--no-block", "reboot"])?;
        return Ok(());
    }
    println!(
        "IMDS-SUITE backend=auto passed={} failed={}",
        counts.passed,
        counts.failed + u64::from(!passed && counts.failed == 0)
    );
    println!("IMDS-VM-VERDICT {}", if passed { "pass" } else { "fail" });
    vm_init::end(passed)
}

fn stage(number: u32) -> Result<Checks> {
    boot_is_over()?;
    let mut memory = Memory::read(number)?;
    memory.boots.push(boot_id()?);
    let mut checks = Checks {
        passed: memory.passed,
        failed: 0,
    };
    match number {
        1 => first(&mut checks, &mut memory)?,
        2 => second(&mut checks),
        _ => third(&mut checks, &memory)?,
    }
    memory.passed = checks.passed;
    memory.write()?;
    Ok(checks)
}

/// cloud-init has done its part, and nothing is being started any more.
fn boot_is_over() -> Result<()> {
    let state = systemd::output("systemctl", &["is-system-running", "--wait"])?;
    let failed = systemd::run("systemctl", &["--failed", "--no-legend", "--plain"])?;
    println!("boot: {} {}", systemd::said(&state), failed.trim());
    ensure!(failed.trim().is_empty(), "units have failed: {failed}");
    Ok(())
}

fn first(checks: &mut Checks, memory: &mut Memory) -> Result<()> {
    checks.check("package_installs_and_the_service_starts", removal::install);
    checks.check("no_ordering_cycle_without_the_service", || {
        journal::no_ordering_cycle()
    });
    memory.unwatched = access::read()?.len();
    Ok(())
}

fn second(checks: &mut Checks) {
    checks.check("service_is_ready_before_cloud_init_begins", ready_first);
    checks.check("no_ordering_cycle", journal::no_ordering_cycle);
    checks.check(
        "reboot_cycle_needs_root_and_a_beginning",
        cycle::needs_root_and_a_beginning,
    );
    checks.check("reboot_cycle_begins_once", cycle::begin);
}

fn third(checks: &mut Checks, memory: &Memory) -> Result<()> {
    checks.check("service_is_ready_before_cloud_init_begins", ready_first);
    checks.check("no_ordering_cycle", journal::no_ordering_cycle);
    checks.check("reboot_cycle_tells_what_was_watched", cycle::tell);
    checks.check("reboot_cycle_names_the_callers_of_the_cycle", cycle::finish);
    // The service has stopped: whatever was asked has been written down.
    systemd::run("systemctl", &["stop", UNIT])?;
    let asked = access::read()?.split_off(memory.unwatched);
    let runs = records::read()?;
    println!("runs of each boot: {:?}", records::runs_of_boots(&runs));
    let [one, two, three] = memory.boots.as_slice() else {
        anyhow::bail!("three boots are not {:?}", memory.boots);
    };
    checks.check("every_run_ended_in_order_and_lost_nothing", || {
        records::all_have_ended(&runs)
    });
    checks.check("every_line_is_valid_and_in_sequence", || {
        requests::lines_are_sound(&runs)
    });
    checks.check("every_request_has_its_record_and_its_process", || {
        let count = requests::all_are_recorded(&asked, &runs)?;
        println!("all of {count} requests are recorded");
        Ok(())
    });
    checks.check("cloud_init_was_the_first_to_ask", || {
        requests::begin_with_cloud_init(&asked, &[two, three])
    });
    checks.check(
        "v1_calls_of_boot_and_shutdown_scripts_have_their_units",
        || requests::scripts_are_named(&runs, &[two, three], &[one, two]),
    );
    checks.check("removing_leaves_configuration_and_logs", removal::remove);
    checks.check("purging_leaves_nothing", removal::purge);
    Ok(())
}

/// The service captured before cloud-init's first stage was started.
fn ready_first() -> Result<()> {
    let ready = systemd::moment(UNIT, "ActiveEnterTimestampMonotonic")?;
    let begun = systemd::moment(CLOUD_INIT, "InactiveExitTimestampMonotonic")?;
    println!("ready at {ready} us, cloud-init begun at {begun} us");
    ensure!(
        ready < begun,
        "ready at {ready} us, but cloud-init had begun at {begun} us"
    );
    Ok(())
}

impl Memory {
    fn read(stage: u32) -> Result<Self> {
        if stage == 1 {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(MEMORY).with_context(|| format!("read {MEMORY}"))?;
        let value: Value = serde_json::from_str(&text)?;
        let boots = value["boots"].as_array().context("no boots")?;
        let memory = Self {
            passed: value["passed"].as_u64().context("no number of checks")?,
            unwatched: value["unwatched"]
                .as_u64()
                .and_then(|number| number.try_into().ok())
                .context("no number of lines")?,
            boots: boots
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
        };
        ensure!(
            memory.boots.len() + 1 == stage as usize,
            "boot {stage} comes after {:?}",
            memory.boots
        );
        Ok(memory)
    }

    fn write(&self) -> Result<()> {
        let value = json!({
            "passed": self.passed,
            "unwatched": self.unwatched,
            "boots": self.boots,
        });
        fs::write(MEMORY, value.to_string()).with_context(|| format!("write {MEMORY}"))
    }
}
