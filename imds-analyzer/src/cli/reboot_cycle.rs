//! Flags of `reboot-cycle`.

use std::{
    io::{stderr, stdout},
    path::PathBuf,
};

use clap::{Args, Subcommand};

use crate::{
    reboot_cycle::{self, Host, LOG},
    report::{ReportFormat, Verdict},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  imds-analyzer reboot-cycle start
      Then reboot. Calls at shutdown and from the next boot's first moment are recorded.
  imds-analyzer reboot-cycle status
      What has been watched so far?
  imds-analyzer reboot-cycle finish
      After the reboot: who called, and everything is as it was before.

Exit codes: 0 done, 1 failed, 2 wrong usage; of finish also 3 and 4.";

const START_EXAMPLES: &str = "\
Examples:
  imds-analyzer reboot-cycle start
      Switches the service on, and remembers how it was.

Exit codes: 0 done, or a cycle is going on already; 1 failed, and nothing has changed;
2 wrong usage.";

const STATUS_EXAMPLES: &str = "\
Examples:
  imds-analyzer reboot-cycle status
      What is recorded of this boot, and of the one before with its shutdown.

Exit codes: 0 done, 1 failed, 2 wrong usage.";

const FINISH_EXAMPLES: &str = "\
Examples:
  imds-analyzer reboot-cycle finish
      Reports on the cycle, and switches the service off unless it was on before.
  imds-analyzer reboot-cycle finish --format markdown
      The same for a ticket.
  imds-analyzer reboot-cycle finish --abort
      No report, at any time: only puts everything back.

Exit codes: 0 nothing needs v1 in the cycle, 1 failed, and nothing has changed, 2 wrong
usage, 3 something uses v1, 4 cannot tell: loss, gaps or blind spots.";

/// Flags of `reboot-cycle`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct RebootCycleArgs {
    /// What to do.
    #[command(subcommand)]
    pub step: CycleStep,
}

/// A step of a cycle.
#[derive(Clone, Debug, Subcommand)]
pub enum CycleStep {
    /// Record from now on and through the next boot.
    #[command(after_help = START_EXAMPLES)]
    Start(CycleLog),
    /// Say what has been watched so far.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(CycleLog),
    /// After the reboot: report on it, and put everything back.
    #[command(after_help = FINISH_EXAMPLES)]
    Finish(FinishArgs),
}

/// Where the service writes.
#[derive(Clone, Debug, Args)]
pub struct CycleLog {
    /// Log of the service, if its unit was changed to write another.
    #[arg(long, value_name = "FILE", default_value = LOG)]
    pub log: PathBuf,
}

/// Flags of `reboot-cycle finish`.
#[derive(Clone, Debug, Args)]
pub struct FinishArgs {
    /// Log of the service.
    #[command(flatten)]
    pub log: CycleLog,

    /// How to write the report.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,

    /// Give the cycle up: no report, but everything as it was.
    #[arg(long, conflicts_with = "format")]
    pub abort: bool,
}

impl RebootCycleArgs {
    /// Takes the step; what a report says, if it makes one.
    ///
    /// # Errors
    /// As the functions of [`reboot_cycle`].
    pub fn take_step(&self) -> anyhow::Result<Option<Verdict>> {
        let host = |log: &CycleLog| Host::this(log.log.clone());
        let mut out = stdout().lock();
        match &self.step {
            CycleStep::Start(log) => reboot_cycle::start(&host(log), &mut out)?,
            CycleStep::Status(log) => reboot_cycle::status(&host(log), &mut out)?,
            CycleStep::Finish(args) if args.abort => {
                reboot_cycle::abort(&host(&args.log), &mut stderr())?;
            }
            CycleStep::Finish(args) => {
                let (host, format) = (host(&args.log), args.format);
                return reboot_cycle::finish(&host, format, &mut out, &mut stderr()).map(Some);
            }
        }
        Ok(None)
    }
}
