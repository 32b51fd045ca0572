//! `imds-tests`: the suite, its parts by hand, the demo, and a VM's init.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use imds_analyzer_tests::{
    bench::{self, Subject},
    boot, demo,
    mock::Mock,
    netns::require_private,
    send::{self, Wire},
    suite::{self, Group, session::Setup},
    vm_init,
};

/// Tests of imds-analyzer that need root and a kernel. They never go near the
/// machine's own network: everything happens in a network namespace that they make.
#[derive(Debug, Parser)]
#[command(name = "imds-tests", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the integration suite.
    Suite {
        /// The analyzer to test.
        #[arg(long, value_name = "PATH")]
        analyzer: PathBuf,
        /// The backend to ask it for.
        #[arg(long, value_enum, default_value = "auto")]
        backend: Backend,
        /// Where `cargo xtask setup` has put what real clients need.
        #[arg(long, value_name = "DIR", default_value = "target/clients")]
        clients: PathBuf,
        /// Which cases.
        #[arg(long, value_enum, default_value_t)]
        group: Group,
        /// Only the cases whose names contain this.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// List the cases instead.
        #[arg(long)]
        list: bool,
    },
    /// Be the mock IMDS of the network namespace that this runs in, which must be a
    /// private one: `unshare -n`, then give lo the address.
    Mock {
        /// Refuse requests without a token.
        #[arg(long)]
        v2_only: bool,
    },
    /// Send what one scenario sends; what the suite runs again as a process of its own.
    Send {
        /// Which; an unknown one lists all.
        #[arg(long)]
        scenario: String,
        /// Name of the test, for the requests' ids.
        #[arg(long, default_value = "by_hand")]
        case: String,
        /// Destination.
        #[arg(long, value_name = "IP:PORT", default_value = "169.254.169.254:80")]
        addr: SocketAddr,
        /// A network namespace that this one is joined to, by veth pairs between those
        /// named here and nothing else.
        #[arg(long, value_name = "PATH")]
        joined_to: Vec<PathBuf>,
    },
    /// Measure what the analyzer costs.
    Bench {
        /// The analyzer to measure.
        #[arg(long, value_name = "PATH")]
        analyzer: PathBuf,
        /// What to measure.
        #[arg(value_enum)]
        subject: Subject,
    },
    /// Be the IMDS of the boot test's VM.
    BootImds,
    /// Do and check what belongs into this boot of the boot test's VM.
    BootStage,
    /// Show the analyzer catching real clients, in a namespace of its own.
    Demo {
        /// The analyzer to show.
        #[arg(long, value_name = "PATH")]
        analyzer: PathBuf,
        /// What it writes.
        #[arg(long, value_enum, default_value_t)]
        format: demo::Format,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    Auto,
    Fentry,
    FentryAlone,
    Kprobe,
    KprobeAlone,
    Cgroup,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fentry => "fentry",
            Self::FentryAlone => "fentry-alone",
            Self::Kprobe => "kprobe",
            Self::KprobeAlone => "kprobe-alone",
            Self::Cgroup => "cgroup",
        }
    }
}

fn main() -> ExitCode {
    send::crowd::run_if_caller();
    // In a container it may be PID 1 as well, but is told what to do.
    if std::process::id() == 1 && std::env::args_os().len() == 1 {
        vm_init::run();
    }
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imds-tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Suite {
            list: true, group, ..
        } => {
            for name in suite::list(group) {
                println!("{name}");
            }
            Ok(())
        }
        Command::Suite {
            analyzer,
            backend,
            clients,
            group,
            filter,
            ..
        } => {
            let setup = Setup {
                analyzer,
                backend: backend.name().to_owned(),
                clients,
            };
            let summary = suite::run(&setup, group, filter.as_deref())?;
            if summary.failed > 0 {
                bail!("{} cases failed", summary.failed);
            }
            Ok(())
        }
        Command::Mock { v2_only } => {
            require_private()?;
            let mock = Mock::start_here()?;
            mock.imds().require_tokens(v2_only);
            println!("listening; end with Ctrl-C");
            loop {
                std::thread::park();
            }
        }
        Command::Send {
            scenario,
            case,
            addr,
            joined_to,
        } => send::run(
            &scenario,
            &Wire {
                case,
                destination: addr,
            },
            &joined_to,
        ),
        Command::Bench { analyzer, subject } => bench::run(subject, &analyzer),
        Command::BootImds => boot::imds::serve(),
        Command::BootStage => boot::stage::run(),
        Command::Demo { analyzer, format } => demo::run(&analyzer, format),
    }
}
