//! The command line.
//!
//! Flags win over the configuration file. Exit codes: [`exit`].

mod reboot_cycle;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

pub use self::reboot_cycle::{CycleLog, CycleStep, FinishArgs, RebootCycleArgs};
use crate::config::{Backend, Config, ConfigError, Format, Output};
use crate::diagnostics::LogLevel;
use crate::report::{self, BootChoice, ReportFormat, Since, Verdict};

/// Exit codes of imds-analyzer.
pub mod exit {
    /// It did what it was asked.
    pub const DONE: u8 = 0;
    /// It could not.
    pub const FAILED: u8 = 1;
    /// It was asked wrongly; `clap` exits with it by itself.
    pub const USAGE: u8 = 2;
    /// `report`: v1 can't be turned off, something still uses it.
    pub const NOT_SAFE: u8 = 3;
    /// `report`: nobody can tell.
    pub const CANNOT_TELL: u8 = 4;
}

const EXAMPLES: &str = "\
Examples:
  imds-analyzer check
      Can this host be watched, and how?
  imds-analyzer run
      Show every call to IMDS until Ctrl-C.
  imds-analyzer run --output /var/log/imds-analyzer/imds-analyzer.log
      Log them as JSON lines, as the systemd unit does.
  imds-analyzer report
      Read the log: who still uses v1, why, and may it be turned off?
  imds-analyzer reboot-cycle start
      Watch one shutdown and boot with the service, and leave everything as it was.

Exit codes: 0 done, 1 failed, 2 wrong usage; of report and\nreboot-cycle finish also 3 and 4.";

const RUN_EXAMPLES: &str = "\
Examples:
  imds-analyzer run
      On a terminal: one readable line a call.
  imds-analyzer run | jq 'select(.imds.version == \"v1\") | .lineage'
      JSON lines, only callers of IMDSv1, only who they are.
  imds-analyzer run --format aws --output imds-trace.log
      Lines that scripts written for the AWS tool can read.
  imds-analyzer run --netns /run/netns/blue --backend cgroup
      One network namespace, one way of capturing.

Ready once it prints `ready` on standard error (and tells systemd READY=1).
SIGTERM and SIGINT end it; SIGHUP makes it open its log again and re-read what
can change of its configuration. Exit codes: 0 done, 1 failed, 2 wrong usage.";

const CHECK_EXAMPLES: &str = "\
Examples:
  imds-analyzer check
      One line for each thing that capturing needs.
  imds-analyzer check && systemctl enable --now imds-analyzer
      Watch this host if it can be watched.

Exit codes: 0 it can be watched, 1 it can't, 2 wrong usage.";

const REPORT_EXAMPLES: &str = "\
Examples:
  imds-analyzer report
      The log that the configuration names, with what was rotated away from it.
  imds-analyzer report --since 7d --format markdown
      The last seven days, for a ticket.
  imds-analyzer report --boot current --min-days 0 --min-boots 1
      What this boot alone says.
  imds-analyzer report --format html /srv/logs/host-a /srv/logs/host-b.log.gz
      Logs of several hosts, as a page with a timeline.
  imds-analyzer report --expect-no-token 0 - < records.jsonl
      Whether CloudWatch's MetadataNoToken agrees that there was no v1 call.

Exit codes: 0 safe, 1 failed, 2 wrong usage, 3 not safe: something uses v1,
4 cannot tell: loss, gaps, blind spots, or not watched for long enough.";

/// Finds the processes on an EC2 host that still call IMDSv1.
#[derive(Clone, Debug, Parser)]
#[command(name = "imds-analyzer", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How much the analyzer says about itself on standard error [default: info,
    /// or what the environment variable IMDS_ANALYZER_LOG says].
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Capture calls to IMDS and write a record of each until SIGTERM or SIGINT.
    Run(RunArgs),
    /// Say whether and how this host can be watched.
    Check(CheckArgs),
    /// Read logs: who still uses v1, why, and may it be turned off?
    Report(ReportArgs),
    /// Watch one shutdown and the boot after it, then leave the host as it was.
    RebootCycle(RebootCycleArgs),
}

/// Flags of `run`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// How to hook into the kernel [default: auto].
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,

    /// Format of the records [default: json; on a terminal text].
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// File to append the records to, `-` for standard output, `journal` for
    /// systemd's journal [default: -].
    #[arg(long, value_name = "PATH|-|journal")]
    pub output: Option<Output>,

    /// Capture only this network namespace.
    #[arg(long, value_name = "PATH")]
    pub netns: Option<PathBuf>,

    /// Configuration [default: /etc/imds-analyzer/imds-analyzer.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Type information (raw BTF) of the running kernel, if it does not carry its own.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,

    /// Show what the programs in the kernel log about themselves.
    #[arg(long)]
    pub debug_ebpf: bool,
}

/// Flags of `check`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Configuration [default: /etc/imds-analyzer/imds-analyzer.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Type information (raw BTF) of the running kernel, if it does not carry its own.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// Flags of `report`.
#[derive(Clone, Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    /// Logs, plain or gzip; directories of them; `-` for standard input [default: the log
    /// that the configuration names, with what was rotated away from it].
    #[arg(value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,

    /// Only what is as new as this: a time (2026-11-22T04:00:00Z) or a duration (7d, 36h).
    #[arg(long, value_name = "TIME|DURATION")]
    pub since: Option<Since>,

    /// Only one boot: the last one in the log, one before it (-1, -2, …), or the one with
    /// this id.
    #[arg(long, value_name = "current|-N|ID", allow_hyphen_values = true)]
    pub boot: Option<BootChoice>,

    /// How to write the report.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,

    /// Days that a host has to be watched for `safe`: a week has every weekly job in it.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub min_days: u32,

    /// Boots that a host has to be watched from their beginning for `safe`: most v1 calls
    /// come at launch, and the first boot of an image differs from later ones.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub min_boots: u32,

    /// Longest gap that is forgiven, so that restarting the service for an upgrade is;
    /// all gaps together may not be more than a hundredth of the time.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = gap)]
    pub max_gap: Duration,

    /// Sum of CloudWatch's MetadataNoToken for the period, to compare with.
    #[arg(long, value_name = "N")]
    pub expect_no_token: Option<u64>,

    /// Sum of CloudWatch's MetadataNoTokenRejected for the period, to compare with.
    #[arg(long, value_name = "N")]
    pub expect_no_token_rejected: Option<u64>,

    /// Configuration [default: /etc/imds-analyzer/imds-analyzer.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

fn gap(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration (0s, 2m, 1h)");
    let span = text.parse::<jiff::SignedDuration>().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

impl ReportArgs {
    /// Makes the report: the file of the configuration names the log.
    ///
    /// # Errors
    /// As [`Config::load`] and [`report::report`].
    pub fn report(&self) -> anyhow::Result<Verdict> {
        let config = Config::load(self.config.as_deref())?;
        report::report(&report::Options {
            files: &self.files,
            config: &config,
            since: self.since,
            boot: self.boot.clone(),
            format: self.format,
            min_days: self.min_days,
            min_boots: self.min_boots,
            max_gap: self.max_gap,
            no_token: self.expect_no_token,
            no_token_rejected: self.expect_no_token_rejected,
        })
    }
}

impl CheckArgs {
    /// The configuration in force: the file, then the flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn settings(&self) -> Result<Config, ConfigError> {
        let file = Config::load(self.config.as_deref())?;
        Ok(Config {
            btf: self.btf.clone().or(file.btf),
            ..file
        })
    }
}

impl RunArgs {
    /// The configuration in force: the file, then the flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn settings(&self) -> Result<Config, ConfigError> {
        Ok(self.over(Config::load(self.config.as_deref())?))
    }

    fn over(&self, file: Config) -> Config {
        Config {
            backend: self.backend.unwrap_or(file.backend),
            format: self.format.unwrap_or(file.format),
            output: self.output.clone().unwrap_or(file.output),
            netns: self.netns.clone().or(file.netns),
            btf: self.btf.clone().or(file.btf),
            ..file
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn run(line: &str) -> RunArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Run(args) => args,
            _ => panic!("run was asked for"),
        }
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_examples() {
        let mut command = Cli::command();
        command.build();
        let mut pages = vec![command.render_long_help().to_string()];
        for sub in command
            .get_subcommands_mut()
            .filter(|sub| sub.get_name() != "help")
        {
            pages.push(sub.render_long_help().to_string());
        }
        assert_eq!(pages.len(), 5);
        for page in pages {
            assert!(page.contains("Examples:\n  imds-analyzer "), "{page}");
        }
    }

    #[test]
    fn every_example_is_understood() {
        let pages = [
            EXAMPLES,
            RUN_EXAMPLES,
            CHECK_EXAMPLES,
            REPORT_EXAMPLES,
            reboot_cycle::EXAMPLES,
        ]
        .join("\n");
        let commands: Vec<&str> = pages
            .lines()
            .filter_map(|line| line.strip_prefix("  imds-analyzer "))
            .map(|line| line.split(['|', '&', '<']).next().unwrap_or(line).trim())
            .collect();
        assert_eq!(commands.len(), 19);
        for command in commands {
            let words = std::iter::once("imds-analyzer").chain(command.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{command}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = Config::parse(
            Path::new("a.toml"),
            "backend = 'kprobe'\nformat = 'aws'\noutput = '/a'\nnetns = '/n'\nbtf = '/b'\n",
        )
        .unwrap();
        assert_eq!(run("imds-analyzer run").over(file.clone()), file);
        let line =
            "imds-analyzer run --backend cgroup --format text --output - --netns /m --btf /c";
        let settings = run(line).over(file);
        assert_eq!(settings.backend, Backend::Cgroup);
        assert_eq!(settings.format, Format::Text);
        assert_eq!(settings.output, Output::Stdout);
        assert_eq!(settings.netns.as_deref(), Some(Path::new("/m")));
        assert_eq!(settings.btf.as_deref(), Some(Path::new("/c")));
    }

    #[test]
    fn check_reads_the_same_configuration_as_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "btf = '/a'\n").unwrap();
        let path = file.path().display();
        let btf = |line: &str| {
            let line = format!("imds-analyzer check --config {path}{line}");
            match Cli::try_parse_from(line.split(' ')).unwrap().command {
                Command::Check(args) => args.settings().unwrap().btf,
                _ => panic!("check was asked for"),
            }
        };
        assert_eq!(btf("").as_deref(), Some(Path::new("/a")));
        assert_eq!(btf(" --btf /b").as_deref(), Some(Path::new("/b")));
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for line in [
            "imds-analyzer",
            "imds-analyzer run --backend magic",
            "imds-analyzer run --format auto",
            "imds-analyzer run --output=",
            "imds-analyzer run --frobnicate",
            "imds-analyzer report --since yesterday",
            "imds-analyzer report --boot last",
            "imds-analyzer report --max-gap -2m",
            "imds-analyzer report --expect-no-token=-1",
            "imds-analyzer look",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(exit::USAGE), "{line}");
        }
    }

    #[test]
    fn version_and_help_exit_with_0() {
        let version = Cli::try_parse_from(["imds-analyzer", "--version"]).unwrap_err();
        assert_eq!(version.kind(), ErrorKind::DisplayVersion);
        assert_eq!(version.exit_code(), i32::from(exit::DONE));
        assert_eq!(
            version.to_string(),
            format!("imds-analyzer {}\n", env!("CARGO_PKG_VERSION"))
        );
        let help = Cli::try_parse_from(["imds-analyzer", "run", "--help"]).unwrap_err();
        assert_eq!(help.exit_code(), i32::from(exit::DONE));
    }

    #[test]
    fn log_level_goes_before_or_after_the_subcommand() {
        for line in [
            "imds-analyzer --log-level debug check",
            "imds-analyzer check --log-level debug",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.log_level, Some(LogLevel::Debug));
        }
    }
}
