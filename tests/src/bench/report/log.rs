//! A long log of realistic variety, the same at each run.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;

/// Hosts that write by turns, as in an account-wide place.
const HOSTS: u64 = 5;

/// Programs that call again and again.
const CALLERS: u64 = 400;

/// Records between two heartbeats of a host.
const HEARTBEAT_EVERY: u64 = 200;

/// 2026-11-22T00:00:00Z in days since 1970 is of no interest: only the time of day and
/// the day of the month change.
const FIRST_DAY: u64 = 1;

/// Numbers that look random and are the same at each run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Writes about `records` records; how many of them are of v1, v2 and unknown requests.
pub(super) fn write(path: &Path, records: u64) -> Result<[u64; 3]> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut numbers = Numbers(1);
    let mut versions = [0; 3];
    for number in 0..records {
        let host = number % HOSTS;
        let seq = number / HOSTS + 1;
        // A record each five seconds on each host, so that nothing is a gap.
        let at_s = 4 + seq * 5;
        let (day, hour) = (FIRST_DAY + at_s / 86_400, at_s / 3_600 % 24);
        let (minute, second) = (at_s / 60 % 60, at_s % 60);
        write!(
            out,
            "{{\"timestamp\":\"2026-12-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z\",\
             \"schema_version\":1,\"event\":\"{}\",\"seq\":{seq},\"boottime_us\":{},\
             \"boot_id\":\"{host:08x}-0f6d-4f0e-9b57-2f5f6f2f7a11\",\
             \"host\":{{\"name\":\"ip-10-0-0-{host}\"}},\
             \"cloud\":{{\"instance_id\":\"i-0123456789abcde{host:02x}\",\"region\":\"eu-central-1\"}},",
            event(seq),
            at_s * 1_000_000,
        )?;
        match event(seq) {
            "analyzer_started" => write!(
                out,
                "\"version\":\"0.1.0\",\"backend\":\"fentry\",\"heartbeat_interval_s\":60,\"blind_spots\":[]"
            )?,
            "heartbeat" => write!(
                out,
                "\"heartbeat_interval_s\":60,\"counters\":{{\"requests\":{{\"v1\":0,\"v2\":0,\
                 \"unknown\":0,\"not_applicable\":0}},\"chunks\":{seq},\"bytes\":{},\
                 \"reassembly\":{{\"duplicate_chunks\":0,\"skipped_bytes\":0,\"forgotten_streams\":0,\
                 \"dropped_buffers\":0}},\"suppressed\":0,\"lost\":{{}}}}",
                seq * 96
            )?,
            _ => {
                let version = match numbers.next(1_000) {
                    0 => 2,
                    1..300 => 0,
                    _ => 1,
                };
                versions[version] += 1;
                request(
                    &mut out,
                    ["v1", "v2", "unknown"][version],
                    &mut numbers,
                    number,
                )?;
            }
        }
        out.write_all(b"}\n")?;
    }
    out.flush()?;
    Ok(versions)
}

fn event(seq: u64) -> &'static str {
    match seq {
        1 => "analyzer_started",
        seq if seq.is_multiple_of(HEARTBEAT_EVERY) => "heartbeat",
        _ => "imds_request",
    }
}

/// The fields of a request: most callers come again, one in a hundred never does.
fn request(
    out: &mut impl std::io::Write,
    version: &str,
    numbers: &mut Numbers,
    number: u64,
) -> Result<()> {
    let caller = match numbers.next(100) {
        0 => number + CALLERS,
        _ => numbers.next(CALLERS),
    };
    let client = ["botocore", "aws-sdk-go", "curl", "aws-sdk-java"][(caller % 4) as usize];
    let owner = match caller % 5 {
        0 => format!(
            "\"package\":{{\"name\":\"agent-{caller}\",\"version\":\"1.{caller}-1\",\"manager\":\"dpkg\"}},"
        ),
        1 => {
            format!("\"systemd_unit\":\"job-{caller}.service\",\"systemd_slice\":\"system.slice\",")
        }
        2 => format!(
            "\"container\":{{\"id\":\"{caller:064x}\",\"runtime\":\"docker\",\"image\":\"shop/web:{caller}\"}},"
        ),
        _ => String::new(),
    };
    let (pid, cause) = (
        2_000 + number % 30_000,
        match version {
            "v1" => "\"cause\":\"never_asked_for_token\",",
            "unknown" => "\"reason\":\"bytes_missing\",",
            _ => "",
        },
    );
    write!(
        out,
        "\"imds\":{{\"version\":\"{version}\",\"operation\":\"metadata\",{cause}\"credentials\":true,\"service\":\"imds\"}},\
         \"http\":{{\"method\":\"GET\",\"path\":\"/latest/meta-data/iam/security-credentials/web-{}\",\
         \"host\":\"169.254.169.254\",\"user_agent\":\"{client}/1.{}.0 Python/3.11.2 Linux/6.1.0\",\
         \"client\":{{\"name\":\"{client}\",\"version\":\"1.{}.0\"}},\"status\":200,\"latency_us\":{}}},\
         \"lineage\":\"worker-{caller} < bash < cron < systemd\",\
         \"process\":{{\"pid\":{pid},\"tid\":{pid},\"start_time\":\"2026-11-22T04:32:51.900000Z\",\"name\":\"worker-{caller}\",\
         \"executable\":\"/opt/app-{caller}/bin/worker-{caller}\",{owner}\
         \"args\":[\"/opt/app-{caller}/bin/worker-{caller}\",\"--config\",\"/etc/app/{caller}.toml\",\"--job\",\"nightly \\\"{number}\\\"\"],\
         \"user\":{{\"id\":{},\"name\":\"app\"}},\"exited\":false}},\
         \"destination\":{{\"ip\":\"169.254.169.254\",\"port\":80}},\
         \"capture\":{{\"backend\":\"fentry\",\"netns\":4026531840,\"bytes\":171,\"truncated\":false}},\
         \"ancestors\":[{{\"pid\":1200,\"name\":\"bash\",\"user\":{{\"id\":0}},\"executable\":\"/usr/bin/bash\",\
         \"command_line\":\"bash /opt/app-{caller}/run.sh\"}},\
         {{\"pid\":1,\"name\":\"systemd\",\"user\":{{\"id\":0}},\"executable\":\"/usr/lib/systemd/systemd\",\"command_line\":\"/sbin/init\"}}]",
        caller % 7,
        caller % 40,
        caller % 40,
        200 + number % 900,
        1_000 + caller % 50,
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_sound_record() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let written = write(file.path(), 3_000).expect("it can be written");
        let text = std::fs::read_to_string(file.path()).expect("it can be read");
        assert_eq!(text.lines().count(), 3_000);
        let mut found = [0; 3];
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("is JSON");
            match value["imds"]["version"].as_str() {
                Some("v1") => found[0] += 1,
                Some("v2") => found[1] += 1,
                Some("unknown") => found[2] += 1,
                _ => {}
            }
        }
        assert_eq!(found, written);
    }
}
