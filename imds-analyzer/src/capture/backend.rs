//! Choosing a way to capture, by trying: fentry, then kprobe, then the wire.
//!
//! A kernel's version says little about what it lets a program do
//! (distributions backport, configurations differ, a sandbox may refuse), so
//! each backend is really attached, and what refused the others is kept for the
//! owner to read.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use imds_analyzer_common::destination::DestinationKey;

use super::{
    Destination,
    btf::BtfError,
    cgroup2::Cgroup2Root,
    kernel_types::{self, KernelTypesError},
    layout::Layout,
    loss::LossCounters,
    privilege,
    programs::{Beside, Hooks, Programs, ProgramsError, Settings},
};

/// A way to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `fentry` and `fexit` on `tcp_sendmsg`.
    Fentry,
    /// `kprobe` and `kretprobe` on `tcp_sendmsg`.
    Kprobe,
    /// `cgroup_skb/egress` alone.
    Cgroup,
}

impl Backend {
    /// In the order that `auto` tries them.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Kprobe, Self::Cgroup];

    /// Name on the command line and in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Cgroup => "cgroup",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.as_str() == name)
            .ok_or_else(|| format!("no backend is called {name:?}"))
    }
}

/// What to capture, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The backend to use; `None` to try them in order.
    pub backend: Option<Backend>,
    /// Destinations to watch.
    pub destinations: Vec<Destination>,
    /// Inode of the one network namespace to watch; `None` for all.
    pub netns: Option<u32>,
    /// Whether to watch the wire beside a send hook.
    pub witness: bool,
    /// Size of the ring buffer in bytes.
    pub ring_bytes: u32,
    /// Whether programs explain themselves through aya-log.
    pub debug: bool,
    /// The running kernel's type information, if not where the kernel gives it.
    pub btf: Option<PathBuf>,
}

/// Why capture could not begin.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel's type information is not there or of no use.
    #[error(transparent)]
    KernelTypes(#[from] KernelTypesError),
    /// The process may not load programs.
    #[error(
        "this process lacks {}: run it as root, or give the binary those capabilities",
        .0.join(", ")
    )]
    Unprivileged(Vec<&'static str>),
    /// Each of them was refused.
    #[error("no backend can capture on this kernel:{}", list(.0))]
    AllRefused(Vec<Refusal>),
    /// The one backend that was asked for was refused.
    #[error(
        "the {} backend cannot capture on this kernel: {}; `imds-analyzer check` says which can, and --backend auto takes it",
        .0.backend, .0.reason
    )]
    Refused(Refusal),
}

/// Why one backend was not taken.
#[derive(Debug)]
pub struct Refusal {
    /// The backend.
    pub backend: Backend,
    /// What the kernel said.
    pub reason: String,
}

/// One line for each reason, which several backends may share.
fn list(refusals: &[Refusal]) -> String {
    refusals
        .chunk_by(|one, next| one.reason == next.reason)
        .map(|alike| {
            let backends: Vec<&str> = alike.iter().map(|one| one.backend.as_str()).collect();
            format!("\n  {}: {}", backends.join(", "), alike[0].reason)
        })
        .collect()
}

/// Programs at work.
pub struct Capture {
    /// The programs; they are detached when this is dropped.
    pub programs: Programs,
    /// What they lost.
    pub losses: LossCounters,
    /// The backend that was taken.
    pub backend: Backend,
    /// Those that were tried before it.
    pub refusals: Vec<Refusal>,
    /// Why there is no witness on the wire beside a send hook, if so.
    pub witness_refused: Option<String>,
    /// How responses are seen.
    pub responses: Responses,
}

/// How responses are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Responses {
    /// As they arrive.
    Arriving,
    /// As callers take them from their sockets; what nobody takes is not seen.
    Taken {
        /// Why they are not seen as they arrive.
        reason: String,
    },
    /// Not at all.
    Unseen {
        /// Why.
        reason: String,
    },
}

/// Starts capturing.
///
/// # Errors
/// If the kernel has no usable type information, the process lacks privilege, or
/// every backend that was to be tried was refused.
pub fn start(options: &Options) -> Result<Capture, CaptureError> {
    let layout = kernel_types::layout(options.btf.as_deref())?;
    let missing = privilege::missing_for_capture();
    if !missing.is_empty() {
        return Err(CaptureError::Unprivileged(missing));
    }
    privilege::lift_memory_lock_limit();
    let settings = settings(options);
    let mut refusals = Vec::new();
    for backend in Backend::ALL {
        if options.backend.is_some_and(|wanted| wanted != backend) {
            continue;
        }
        match attach(backend, &settings, &layout) {
            Ok(attached) => {
                return Ok(Capture {
                    programs: attached.programs,
                    losses: attached.losses,
                    backend,
                    refusals,
                    witness_refused: attached.witness_refused,
                    responses: attached.responses,
                });
            }
            Err(error) => {
                let reason = error.to_string();
                let refusal = Refusal { backend, reason };
                if options.backend.is_some() {
                    return Err(CaptureError::Refused(refusal));
                }
                refusals.push(refusal);
            }
        }
    }
    Err(CaptureError::AllRefused(refusals))
}

/// Makes the maps that every backend needs, the ring buffer among them, and drops
/// them again.
///
/// # Errors
/// If the kernel refuses one of them.
pub fn try_maps(options: &Options) -> Result<(), String> {
    privilege::lift_memory_lock_limit();
    let layout = kernel_types::layout(options.btf.as_deref()).map_err(|error| error.to_string())?;
    match Programs::load(&settings(options), &layout, ON_THE_WIRE) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn settings(options: &Options) -> Settings {
    Settings {
        destinations: options.destinations.iter().map(key).collect(),
        netns: options.netns,
        witness: options.witness,
        ring_bytes: options.ring_bytes,
        debug: options.debug,
    }
}

/// Why a backend is not taken.
#[derive(Debug, thiserror::Error)]
enum AttachError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error("in the kernel's type information {0}")]
    Layout(BtfError),
    #[error(transparent)]
    Cgroup2(#[from] super::cgroup2::Cgroup2Error),
}

/// What programs are told where some see packets leave.
const ON_THE_WIRE: Beside = Beside {
    wire: true,
    takes: false,
};

/// See [`Capture`].
struct Attached {
    programs: Programs,
    losses: LossCounters,
    witness_refused: Option<String>,
    responses: Responses,
}

fn attach(backend: Backend, settings: &Settings, layout: &Layout) -> Result<Attached, AttachError> {
    match backend {
        Backend::Fentry => attach_hooks(Hooks::Fentry, settings, layout),
        Backend::Kprobe => attach_hooks(Hooks::Kprobe, settings, layout),
        Backend::Cgroup => {
            let mut programs = Programs::load(settings, layout, ON_THE_WIRE)?;
            programs.attach_lifecycle()?;
            let root = attach_wire(&mut programs, layout)?;
            let responses = match programs.attach_responses(&root) {
                Ok(()) => Responses::Arriving,
                Err(error) => Responses::Unseen {
                    reason: error.to_string(),
                },
            };
            Ok(Attached {
                losses: programs.take_losses(true)?,
                programs,
                witness_refused: None,
                responses,
            })
        }
    }
}

/// Attaches hooks, and programs on the wire beside them as far as the kernel lets them be
/// there.
fn attach_hooks(
    hooks: Hooks,
    settings: &Settings,
    layout: &Layout,
) -> Result<Attached, AttachError> {
    require(layout.send.as_ref())?;
    if !settings.witness {
        return attach_alone(hooks, settings, layout, "switched off".to_owned());
    }
    let mut programs = Programs::load(settings, layout, ON_THE_WIRE)?;
    programs.load_hooks(hooks)?;
    programs.attach_lifecycle()?;
    // Programs must know at load time what is beside them, so one that is refused means
    // to begin again without it.
    let root = match attach_wire(&mut programs, layout) {
        Ok(root) => root,
        Err(error) => {
            drop(programs);
            return attach_alone(hooks, settings, layout, error.to_string());
        }
    };
    if let Err(error) = programs.attach_responses(&root) {
        drop(programs);
        return attach_with_takes(hooks, settings, layout, true, error.to_string());
    }
    programs.attach_hooks(hooks)?;
    Ok(Attached {
        losses: programs.take_losses(true)?,
        programs,
        witness_refused: None,
        responses: Responses::Arriving,
    })
}

/// Attaches hooks without a witness, for the reason given.
fn attach_alone(
    hooks: Hooks,
    settings: &Settings,
    layout: &Layout,
    reason: String,
) -> Result<Attached, AttachError> {
    let no_program = format!("no program on the wire: {reason}");
    Ok(Attached {
        witness_refused: Some(reason),
        ..attach_with_takes(hooks, settings, layout, false, no_program)?
    })
}

/// Attaches hooks, those on what receives among them, since responses are not seen as they
/// arrive, for the reason given; and beside them the program that sees packets leave, if
/// there is to be one on the `wire`. What is answered is not worth less capture: if the
/// hooks on what receives are refused, too, the others do without.
fn attach_with_takes(
    hooks: Hooks,
    settings: &Settings,
    layout: &Layout,
    wire: bool,
    reason: String,
) -> Result<Attached, AttachError> {
    let attach = |takes| {
        let mut programs = Programs::load(settings, layout, Beside { wire, takes })?;
        programs.load_hooks(hooks)?;
        programs.attach_lifecycle()?;
        if wire {
            attach_wire(&mut programs, layout)?;
        }
        if takes {
            programs.attach_takes(hooks, layout.copied)?;
        }
        programs.attach_hooks(hooks)?;
        Ok::<_, AttachError>(programs)
    };
    let with_takes = require(layout.take.as_ref()).and_then(|()| attach(true));
    let (mut programs, responses) = match with_takes {
        Ok(programs) => (programs, Responses::Taken { reason }),
        Err(error) => {
            let reason = format!("{reason}; {error}");
            (attach(false)?, Responses::Unseen { reason })
        }
    };
    Ok(Attached {
        losses: programs.take_losses(wire)?,
        programs,
        responses,
        witness_refused: None,
    })
}

/// Attaches the program that sees packets leave. Gives the root that it is attached to.
fn attach_wire(programs: &mut Programs, layout: &Layout) -> Result<Cgroup2Root, AttachError> {
    require(layout.wire.as_ref())?;
    let root = Cgroup2Root::open()?;
    programs.attach_wire(&root)?;
    Ok(root)
}

fn require(missing: Option<&BtfError>) -> Result<(), AttachError> {
    match missing {
        // BtfError holds no resource: its text says all there is to say.
        Some(error) => Err(AttachError::Layout(error.clone())),
        None => Ok(()),
    }
}

fn key(destination: &Destination) -> DestinationKey {
    match destination.ip {
        IpAddr::V4(ip) => DestinationKey::v4(ip.octets(), destination.port),
        IpAddr::V6(ip) => DestinationKey::v6(ip.octets(), destination.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_that_backends_share_is_said_once() {
        let refusal = |backend, reason: &str| Refusal {
            backend,
            reason: reason.to_owned(),
        };
        let error = CaptureError::AllRefused(vec![
            refusal(Backend::Fentry, "no ring buffer"),
            refusal(Backend::Kprobe, "no ring buffer"),
            refusal(Backend::Cgroup, "no cgroup2"),
        ]);
        assert_eq!(
            error.to_string(),
            "no backend can capture on this kernel:\n  fentry, kprobe: no ring buffer\n  cgroup: no cgroup2"
        );
    }
}
