//! Loading the eBPF programs and attaching them.

use std::path::Path;

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel, include_bytes_aligned,
    maps::{HashMap, MapData, MapError, ProgramArray},
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, FEntry, FExit, KProbe, Program,
        ProgramError, RawTracePoint,
    },
};
use imds_analyzer_common::destination::{DestinationKey, other_port_bits};

use crate::diagnostics::chain;

use super::{cgroup2::Cgroup2Root, layout::Layout, loss::LossCounters};

/// Where a kernel with kprobes offers them to perf_event_open(2), through which
/// programs are attached to them.
const KPROBE_EVENTS: &str = "/sys/bus/event_source/devices/kprobe";

/// The function that the send hooks are on.
const HOOKED_FUNCTION: &str = "tcp_sendmsg";

/// `AYA_LOG_LEVEL` that lets the verifier drop every message.
const LOG_NOTHING: u8 = 0;
/// `AYA_LOG_LEVEL` at which programs say everything (`aya_log_common::Level::Trace`).
const LOG_EVERYTHING: u8 = 5;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/imds-analyzer-ebpf"));

/// Why the programs could not be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The object, its maps or its globals were refused.
    #[error("the eBPF object was refused: {}", chain(.0))]
    Object(#[from] aya::EbpfError),
    /// A program was refused by the kernel.
    #[error("{program}: {}", program_error(.source))]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// A map was refused.
    #[error("map {map}: {}", chain(.source))]
    Map {
        /// Its name.
        map: &'static str,
        /// What the kernel said.
        source: MapError,
    },
    /// The kernel's BTF is not there for the programs that need it.
    #[error("the kernel's BTF was refused: {0}")]
    Btf(#[from] aya::BtfError),
    /// The kernel was built without kprobes.
    #[error("{KPROBE_EVENTS} does not exist: this kernel has no kprobes (CONFIG_KPROBE_EVENTS)")]
    NoKprobes,
    /// The object lacks something: it was not built from this source.
    #[error("the eBPF object has no {0}")]
    Absent(&'static str),
}

/// What the kernel said of a program, without the verifier's log: that goes to
/// the diagnostics at debug level, because it has hundreds of lines.
fn program_error(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            tracing::debug!(%verifier_log, "the verifier's log");
            format!("loading was refused: {io_error}")
        }
        other => chain(other),
    }
}

/// The hooks on `tcp_sendmsg`, and on what receives if nothing on the wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// `fentry` and `fexit`.
    Fentry,
    /// `kprobe` and `kretprobe`.
    Kprobe,
}

/// The programs on what receives, for each of the [`Hooks`].
const TAKING: [&str; 4] = [
    "tcp_recvmsg_fentry",
    "tcp_cleanup_rbuf_fentry",
    "tcp_recvmsg_kprobe",
    "tcp_cleanup_rbuf_kprobe",
];

/// Which places programs are told that others of them are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Packets that leave are seen: [`Programs::attach_wire`] will be called.
    pub wire: bool,
    /// What tasks receive is seen: [`Programs::attach_takes`] will be called.
    pub takes: bool,
}

/// What the programs are told beside the layout of the kernel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Destinations to watch.
    pub destinations: Vec<DestinationKey>,
    /// Inode of the one network namespace to watch; `None` for all.
    pub netns: Option<u32>,
    /// Whether to watch the wire beside a send hook.
    pub witness: bool,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Whether programs explain themselves through aya-log.
    pub debug: bool,
}

/// Loaded programs. Dropping them detaches them.
pub struct Programs {
    ebpf: Ebpf,
}

impl Programs {
    /// Loads the object: maps are created and filled, nothing is attached.
    ///
    /// # Errors
    /// If the kernel refuses the object or a map.
    pub fn load(
        settings: &Settings,
        layout: &Layout,
        beside: Beside,
    ) -> Result<Self, ProgramsError> {
        let mut globals = layout.globals.clone();
        let ports = settings.destinations.iter().map(|key| key.port as u16);
        globals.push(("OTHER_PORT_BITS", other_port_bits(ports)));
        globals.push(("WATCHED_NETNS", settings.netns.unwrap_or(0)));
        globals.push(("WIRE_HOOKED", u32::from(beside.wire)));
        globals.push(("TAKES_HOOKED", u32::from(beside.takes)));
        let log_level = if settings.debug {
            LOG_EVERYTHING
        } else {
            LOG_NOTHING
        };

        let mut loader = EbpfLoader::new();
        // There is nothing to relocate: offsets come as globals.
        loader.btf(None);
        // The verifier's log comes only with --debug-ebpf: it grows to megabytes,
        // and aya loads a refused program again and again until it has all of it.
        loader.verifier_log_level(if settings.debug {
            VerifierLogLevel::DEBUG
        } else {
            VerifierLogLevel::DISABLE
        });
        loader.map_max_entries("CHUNKS", settings.ring_bytes);
        if !beside.takes {
            // It is allocated whole.
            loader.map_max_entries("TAKES", 1);
        }
        for (name, value) in &globals {
            loader.override_global(name, value, true);
        }
        loader.override_global("AYA_LOG_LEVEL", &log_level, true);
        let mut ebpf = loader.load(OBJECT)?;

        let map = ebpf
            .map_mut("DESTINATIONS")
            .ok_or(ProgramsError::Absent("map DESTINATIONS"))?;
        fill(map, &settings.destinations).map_err(|source| ProgramsError::Map {
            map: "DESTINATIONS",
            source,
        })?;
        Ok(Self { ebpf })
    }

    /// Loads the hooks of a backend, without attaching them: what a kernel does
    /// not have is refused here, before anything needs to be undone.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn load_hooks(&mut self, hooks: Hooks) -> Result<(), ProgramsError> {
        match hooks {
            Hooks::Fentry => {
                let btf = Btf::from_sys_fs()?;
                self.with("tcp_sendmsg_fexit", |program: &mut FExit| {
                    program.load(HOOKED_FUNCTION, &btf)
                })?;
                self.with("tcp_sendmsg_fentry", |program: &mut FEntry| {
                    program.load(HOOKED_FUNCTION, &btf)
                })
            }
            Hooks::Kprobe => {
                if !Path::new(KPROBE_EVENTS).exists() {
                    return Err(ProgramsError::NoKprobes);
                }
                for name in ["tcp_sendmsg_kretprobe", "tcp_sendmsg_kprobe"] {
                    self.with(name, KProbe::load)?;
                }
                Ok(())
            }
        }
    }

    /// Attaches the raw tracepoint that streams begin and end at.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn attach_lifecycle(&mut self) -> Result<(), ProgramsError> {
        self.attach_tracepoint("inet_sock_set_state")
    }

    fn attach_tracepoint(&mut self, name: &'static str) -> Result<(), ProgramsError> {
        self.with(name, |program: &mut RawTracePoint| {
            program.load()?;
            program.attach(name).map(drop)
        })
    }

    /// Attaches loaded hooks to `tcp_sendmsg`, the end before the entry: an end
    /// without an entry is nothing, an entry without an end is a loss. Before both,
    /// the raw tracepoint that clears up after tasks that are gone.
    ///
    /// # Errors
    /// If the kernel refuses one of them. On arm64 before 6.4 fentry loads and
    /// does not attach (ENOTSUPP, errno 524).
    pub fn attach_hooks(&mut self, hooks: Hooks) -> Result<(), ProgramsError> {
        self.attach_tracepoint("sched_process_exit")?;
        match hooks {
            Hooks::Fentry => {
                self.with("tcp_sendmsg_fexit", |program: &mut FExit| {
                    program.attach().map(drop)
                })?;
                self.with("tcp_sendmsg_fentry", |program: &mut FEntry| {
                    program.attach().map(drop)
                })
            }
            Hooks::Kprobe => {
                for name in ["tcp_sendmsg_kretprobe", "tcp_sendmsg_kprobe"] {
                    self.with(name, |program: &mut KProbe| {
                        program.attach(HOOKED_FUNCTION, 0).map(drop)
                    })?;
                }
                Ok(())
            }
        }
    }

    /// Attaches `cgroup_skb/egress` to the root of the cgroup2 hierarchy.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn attach_wire(&mut self, root: &Cgroup2Root) -> Result<(), ProgramsError> {
        self.with("imds_egress", |program: &mut CgroupSkb| {
            program.load()?;
            // Links stack whatever the mode; bpf_link_create takes no flags.
            let mode = CgroupAttachMode::Single;
            program
                .attach(root, CgroupSkbAttachType::Egress, mode)
                .map(drop)
        })
    }

    /// Attaches `cgroup_skb/ingress` there, which sees what is answered.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn attach_responses(&mut self, root: &Cgroup2Root) -> Result<(), ProgramsError> {
        const PROGRAM: &str = "imds_ingress";
        self.with(PROGRAM, |program: &mut CgroupSkb| program.load())?;
        self.let_call_itself(PROGRAM, "AGAIN")?;
        self.with(PROGRAM, |program: &mut CgroupSkb| {
            program
                .attach(root, CgroupSkbAttachType::Ingress, CgroupAttachMode::Single)
                .map(drop)
        })
    }

    /// Attaches hooks to what receives, which see what tasks take of what is answered: to
    /// the entry of `tcp_recvmsg`, and to `copied`, which that calls.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn attach_takes(
        &mut self,
        hooks: Hooks,
        copied: &'static str,
    ) -> Result<(), ProgramsError> {
        const ENTRY: &str = "tcp_recvmsg";
        const CALLS_ITSELF: &str = "TAKE_ON";
        // The later one first, since it does nothing without the other.
        match hooks {
            Hooks::Fentry => {
                let btf = Btf::from_sys_fs()?;
                for (program, function) in [
                    ("tcp_cleanup_rbuf_fentry", copied),
                    ("tcp_recvmsg_fentry", ENTRY),
                ] {
                    self.with(program, |program: &mut FEntry| program.load(function, &btf))?;
                }
                self.let_call_itself("tcp_cleanup_rbuf_fentry", CALLS_ITSELF)?;
                for program in ["tcp_cleanup_rbuf_fentry", "tcp_recvmsg_fentry"] {
                    self.with(program, |program: &mut FEntry| program.attach().map(drop))?;
                }
            }
            Hooks::Kprobe => {
                for program in ["tcp_cleanup_rbuf_kprobe", "tcp_recvmsg_kprobe"] {
                    self.with(program, KProbe::load)?;
                }
                self.let_call_itself("tcp_cleanup_rbuf_kprobe", CALLS_ITSELF)?;
                for (program, function) in [
                    ("tcp_cleanup_rbuf_kprobe", copied),
                    ("tcp_recvmsg_kprobe", ENTRY),
                ] {
                    self.with(program, |program: &mut KProbe| {
                        program.attach(function, 0).map(drop)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Puts a loaded program into the map by which it calls itself, which has to stay open
    /// for that.
    fn let_call_itself(
        &mut self,
        program: &'static str,
        map: &'static str,
    ) -> Result<(), ProgramsError> {
        let loaded = self.ebpf.program(program);
        let fd = loaded
            .ok_or(ProgramsError::Absent(program))?
            .fd()
            .and_then(|fd| Ok(fd.try_clone()?))
            .map_err(|source| ProgramsError::Program { program, source })?;
        let calls = self.ebpf.map_mut(map).ok_or(ProgramsError::Absent(map))?;
        ProgramArray::try_from(calls)
            .and_then(|mut calls| calls.set(0, &fd, 0))
            .map_err(|source| ProgramsError::Map { map, source })
    }

    /// Attaches the raw tracepoint at which processes tell what they execute.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn attach_exec(&mut self) -> Result<(), ProgramsError> {
        self.attach_tracepoint("sched_process_exec")
    }

    /// Takes the ring buffer.
    ///
    /// # Errors
    /// If it was taken before.
    pub fn take_ring(&mut self) -> Result<aya::maps::RingBuf<MapData>, ProgramsError> {
        self.take("CHUNKS")
    }

    /// Takes the loss counters. Without a `witness` on the wire, calls that the
    /// kernel skipped the hooks for are losses too, but for those of receives: no request
    /// is lost with them.
    ///
    /// # Errors
    /// If they were taken before.
    pub fn take_losses(&mut self, witness: bool) -> Result<LossCounters, ProgramsError> {
        let mut losses = self.take("LOSSES").map(LossCounters::new)?;
        if !witness {
            for (name, program) in self.ebpf.programs() {
                if TAKING.contains(&name) {
                    continue;
                }
                let fd = program.fd().and_then(|fd| Ok(fd.try_clone()?));
                if let Ok(fd) = fd {
                    losses.watch(fd);
                }
            }
        }
        Ok(losses)
    }

    /// The loaded object, for aya-log.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    fn take<M>(&mut self, map: &'static str) -> Result<M, ProgramsError>
    where
        M: TryFrom<aya::maps::Map, Error = MapError>,
    {
        let taken = self.ebpf.take_map(map).ok_or(ProgramsError::Absent(map))?;
        M::try_from(taken).map_err(|source| ProgramsError::Map { map, source })
    }

    fn with<P>(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut P) -> Result<(), ProgramError>,
    ) -> Result<(), ProgramsError>
    where
        for<'p> &'p mut P: TryFrom<&'p mut Program, Error = ProgramError>,
    {
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(ProgramsError::Absent(name))?;
        let refused = |source| ProgramsError::Program {
            program: name,
            source,
        };
        <&mut P>::try_from(program).and_then(act).map_err(refused)?;
        self.tell_size(name);
        Ok(())
    }

    /// Says how much work a program was for the verifier, which decides how long
    /// the start takes. Known from 5.16 on.
    fn tell_size(&self, name: &'static str) {
        let info = self.ebpf.program(name).map(Program::info);
        if let Some(Ok(info)) = info {
            let instructions = info.verified_instruction_count();
            tracing::debug!(program = name, instructions, "program accepted");
        }
    }
}

/// [`DestinationKey`] as aya wants a key: `Pod` cannot be implemented for a type
/// of another crate.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Key(DestinationKey);

// SAFETY: DestinationKey is repr(C) without padding (asserted where it is
// defined), and every bit pattern of its integers is valid.
unsafe impl aya::Pod for Key {}

fn fill(map: &mut aya::maps::Map, destinations: &[DestinationKey]) -> Result<(), MapError> {
    let mut map: HashMap<&mut MapData, Key, u32> = HashMap::try_from(map)?;
    for destination in destinations {
        map.insert(Key(*destination), 1, 0)?;
    }
    Ok(())
}
