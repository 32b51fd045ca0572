//! Logs for tests: what a run of the analyzer writes, line by line.

use super::{
    Reader,
    model::Report,
    scope::Scope,
    summary::{Question, report},
    verdict::Thresholds,
};

/// Wall clock at the first boot, s since 1970: 2026-11-22T04:32:51Z.
const FIRST_BOOT_S: u64 = 1_795_321_971;

/// One run of the analyzer, as it writes it.
pub struct Run {
    /// Which boot, from 1.
    boot: u32,
    host: String,
    seq: u64,
    /// µs since the boot.
    pub at_us: u64,
    /// How far the wall clock is ahead, s.
    pub ahead_s: i64,
    /// What it has written.
    pub lines: Vec<String>,
}

impl Run {
    /// A run that starts so many seconds after its boot. Boots are a hundred days apart.
    pub fn start(boot: u32, at_s: u64) -> Self {
        Self::start_with(boot, at_s, r#","blind_spots":[]"#)
    }

    /// A run whose first record has more fields.
    pub fn start_with(boot: u32, at_s: u64, fields: &str) -> Self {
        Self::on("web-1", boot, at_s, fields)
    }

    /// A run on another host.
    pub fn on(host: &str, boot: u32, at_s: u64, fields: &str) -> Self {
        let mut run = Self {
            boot,
            host: host.to_owned(),
            seq: 0,
            at_us: at_s * 1_000_000,
            ahead_s: 0,
            lines: Vec::new(),
        };
        let started =
            format!(r#""version":"0.1.0","backend":"fentry","heartbeat_interval_s":60{fields}"#);
        run.write("analyzer_started", &started);
        run
    }

    /// Writes a record.
    pub fn write(&mut self, event: &str, fields: &str) {
        self.seq += 1;
        let boot_s = FIRST_BOOT_S + u64::from(self.boot) * 8_640_000;
        let wall_us = i64::try_from(boot_s * 1_000_000 + self.at_us).unwrap();
        let time = jiff::Timestamp::from_microsecond(wall_us + self.ahead_s * 1_000_000).unwrap();
        self.lines.push(format!(
            r#"{{"timestamp":"{time:.6}","schema_version":1,"event":"{event}","seq":{},"boottime_us":{},"boot_id":"{:08x}-0f6d-4f0e-9b57-2f5f6f2f7a11","host":{{"name":"{}"}},{fields}}}"#,
            self.seq, self.at_us, self.boot, self.host
        ));
    }

    /// Lets time pass without a record, s.
    pub fn pass(&mut self, seconds: u64) -> &mut Self {
        self.at_us += seconds * 1_000_000;
        self
    }

    /// Lets time pass with heartbeats, minutes.
    pub fn beat(&mut self, minutes: u64) -> &mut Self {
        for _ in 0..minutes {
            self.pass(60);
            self.write("heartbeat", r#""heartbeat_interval_s":60,"counters":{}"#);
        }
        self
    }

    /// Lets 80 hours pass, with as few heartbeats as make no gap.
    pub fn quiet(&mut self) -> &mut Self {
        for _ in 0..1_700 {
            self.pass(170);
            self.write("heartbeat", r#""heartbeat_interval_s":60,"counters":{}"#);
        }
        self
    }

    /// Loses the next records.
    pub fn lose(&mut self, records: u64) -> &mut Self {
        self.seq += records;
        self
    }

    /// A request of `/opt/NAME` with this version; `fields` are more of `imds` and `http`.
    pub fn request(&mut self, name: &str, version: &str, imds: &str, http: &str) -> &mut Self {
        let fields = format!(
            r#""imds":{{"version":"{version}","operation":"metadata"{imds}}},"http":{{"method":"GET","path":"/latest/meta-data/"{http}}},"lineage":"{name} < systemd","process":{{"pid":7,"tid":7,"name":"{name}","executable":"/opt/{name}","args":["{name}","-v"],"user":{{"id":0,"name":"root"}},"exited":false}},"destination":{{"ip":"169.254.169.254","port":80}},"capture":{{"backend":"fentry","netns":1,"bytes":9,"truncated":false}},"ancestors":[]"#
        );
        self.write("imds_request", &fields);
        self
    }

    /// Ends in good order.
    pub fn stop(mut self) -> Self {
        self.write("analyzer_stopped", r#""reason":"SIGTERM","counters":{}"#);
        self
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

/// Ten days on three boots without a call.
pub fn quiet() -> Vec<Run> {
    (1..=3)
        .map(|boot| {
            let mut run = Run::start(boot, 4);
            run.request("agent", "v2", "", r#","status":200"#);
            run.quiet();
            run.stop()
        })
        .collect()
}

/// What is asked by default: seven days, two boots, two minutes.
pub fn question() -> Question {
    Question {
        scope: Scope::default(),
        boot: None,
        thresholds: Thresholds {
            min_days: 7,
            min_boots: 2,
            max_gap_us: 120_000_000,
            from_options: true,
        },
        no_token: None,
        no_token_rejected: None,
        now: super::coverage::Now::default(),
        host_name: None,
        cloud: crate::record::Cloud::default(),
    }
}

/// The report on logs.
pub fn report_on<'t>(texts: impl IntoIterator<Item = &'t str>, question: &Question) -> Report {
    let mut reader = Reader::new(question.scope.clone(), true);
    for text in texts {
        reader.read(text.as_bytes()).unwrap();
    }
    report(reader.gathered, question)
}

/// The report on runs, by default.
pub fn report_on_runs(runs: &[Run]) -> Report {
    let texts: Vec<String> = runs.iter().map(Run::text).collect();
    report_on(texts.iter().map(String::as_str), &question())
}
