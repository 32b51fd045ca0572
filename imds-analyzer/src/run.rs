//! `imds-analyzer run`: capture until told to stop.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior},
};

use crate::{
    attribution::Attributor,
    blind,
    capabilities::{Keep, keep_only, works_without_bpf},
    capture::{
        Event,
        backend::{self, Backend, Capture, Responses},
        debug_log::DebugLog,
        loss::LossCounters,
        privilege,
        programs::Programs,
        ring::{Malformed, Ring},
    },
    cli::RunArgs,
    clock::{self, Clock},
    config::{self, Config},
    enrich::Enricher,
    exchange, host,
    lookup::{self, Lookups},
    netns,
    pipeline::Pipeline,
    record, reload, sink,
    stream::Limits,
    systemd::{self, Watchdog},
};

/// How long a loss may go unreported while requests come in.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// How long after boot the names of the host and the instance may still be set, by
/// cloud-init for one.
const BOOT: Duration = Duration::from_secs(30 * 60);

/// Runs until SIGTERM, SIGINT, or until nobody reads the output any more.
///
/// # Errors
/// If the configuration is wrong, capture cannot begin, or the last records
/// cannot be written.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = args.settings()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(async { Daemon::start(args, config)?.serve().await })
}

/// Everything that runs.
struct Daemon {
    /// Attached until this is dropped.
    programs: Option<Programs>,
    ring: Ring,
    losses: LossCounters,
    debug_log: DebugLog,
    pipeline: Pipeline,
    lookups: Lookups,
    writer: sink::WriterHandle,
    watchdog: Watchdog,
    heartbeat: Interval,
    /// As they were given, to read the configuration again.
    args: RunArgs,
    config: Config,
    blind_spots: blind::Watch,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    losses_read: Instant,
}

/// Why the daemon ends.
enum End {
    Signal(&'static str),
    NobodyReads,
}

impl Daemon {
    /// Opens the output and begins to capture.
    fn start(args: &RunArgs, config: Config) -> anyhow::Result<Self> {
        let netns = config.netns.as_deref().map(netns::inode).transpose()?;
        let enricher = Enricher::new(&config.enrich)?;
        // The handlers come first: a signal during the start must end it in order.
        let terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
        let output = sink::LineOutput::open(&config.output, &config.log)?;
        let previous_end = output.previous_end();
        let renderer = sink::Renderer::new(config.format, &output);
        let clock = Arc::new(Clock::new());
        let origin = host::origin(Path::new("/"), &config);
        let writer = sink::Writer::spawn(output, renderer, origin, Arc::clone(&clock))?;

        let options = lookup::Options {
            root: "/".into(),
            packages: config.package_lookup.get(),
            enricher,
        };
        let to_writer = writer.clone();
        let lookups = Lookups::start(options, move |time, event| to_writer.send(time, event))?;

        let Capture {
            mut programs,
            losses,
            backend,
            refusals,
            witness_refused,
            responses,
        } = backend::start(&backend::Options {
            backend: wanted(config.backend),
            destinations: config.destinations.destinations(),
            netns,
            witness: config.witness.get(),
            ring_bytes: config.ring_buffer_bytes.get(),
            debug: args.debug_ebpf,
            btf: config.btf.clone(),
        })?;
        if config.exec_cache.get()
            && let Err(error) = programs.attach_exec()
        {
            tracing::warn!(%error, "ancestors that are gone will lack their arguments");
        }
        let debug_log = DebugLog::new(&mut programs, args.debug_ebpf)?;
        let ring = Ring::new(programs.take_ring()?).context("cannot poll the ring buffer")?;
        give_back_memory();
        if !privilege::may_read_others() {
            tracing::warn!(
                "without CAP_SYS_PTRACE the paths of other users' executables are not known"
            );
        }
        keep_only(Keep {
            read_maps: !works_without_bpf(|| losses.try_read()),
            ..Keep::READ_OTHERS
        });

        for refusal in &refusals {
            tracing::debug!(backend = %refusal.backend, reason = refusal.reason, "backend not taken");
        }
        for (at, service) in config.destinations.added() {
            tracing::info!(%service, address = %at.ip, port = at.port, "watching beside IMDS");
        }
        if let Some(reason) = &witness_refused {
            tracing::warn!(
                reason,
                "no witness on the wire: sendfile before 6.5 and MPTCP are not seen"
            );
        }
        match &responses {
            Responses::Arriving => {}
            Responses::Taken { reason } => {
                tracing::warn!(
                    reason,
                    "responses are seen only when their callers read them"
                );
            }
            Responses::Unseen { reason } => {
                tracing::warn!(reason, "what requests are answered is not seen");
            }
        }
        let blind_spots = blind::Watch::new(Path::new("/"), netns);
        lookups.send(
            clock::boottime_ns(),
            record::Event::AnalyzerStarted(record::Started {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                backend: backend.as_str().to_owned(),
                backends_not_taken: refusals
                    .into_iter()
                    .map(|refusal| record::NotTaken {
                        backend: refusal.backend.as_str().to_owned(),
                        reason: refusal.reason,
                    })
                    .collect(),
                kernel_release: host::kernel_release(Path::new("/")),
                heartbeat_interval_s: config.heartbeat_interval_s.get(),
                previous_end,
                netns,
                blind_spots: blind_spots.known(),
            }),
        );
        let status = announce(backend, witness_refused.is_none(), &responses);
        let mut pipeline =
            Pipeline::new(limits(&config.limits), Attributor::new("/", clock), backend)
                .watching(config.destinations.clone());
        if !matches!(responses, Responses::Unseen { .. }) {
            pipeline = pipeline.awaiting(exchange::Limits {
                deadline_ns: u64::from(config.response_deadline_ms.get()) * 1_000_000,
                sees_unread: responses == Responses::Arriving,
                ..exchange::Limits::default()
            });
        }
        Ok(Self {
            programs: Some(programs),
            ring,
            losses,
            debug_log,
            pipeline,
            lookups,
            writer,
            watchdog: Watchdog::new(status),
            heartbeat: heartbeats(&config),
            args: args.clone(),
            config,
            blind_spots,
            terminate,
            interrupt,
            hangup,
            losses_read: Instant::now(),
        })
    }

    /// Captures until the end, then drains what is left.
    async fn serve(mut self) -> anyhow::Result<()> {
        let output = self.writer.clone();
        let end = loop {
            let expiry = self.pipeline.next_expiry();
            tokio::select! {
                biased;
                _ = self.terminate.recv() => break End::Signal("SIGTERM"),
                _ = self.interrupt.recv() => break End::Signal("SIGINT"),
                () = output.closed() => break End::NobodyReads,
                _ = self.hangup.recv() => self.reload(),
                () = self.watchdog.due() => {
                    self.watchdog.sign_of_life(self.writer.stuck_for());
                }
                _ = self.heartbeat.tick() => self.beat(),
                () = self.debug_log.relay() => {}
                () = boottime_reaches(expiry) => {
                    // Where records were lost, no response may only mean that.
                    self.report_losses();
                    let lookups = &self.lookups;
                    let mut emit = |time, event| lookups.send(time, event);
                    self.pipeline.expire(clock::boottime_ns(), &mut emit);
                }
                batch = next_batch(&mut self.ring, &mut self.pipeline, &self.lookups) => {
                    batch.context("the ring buffer cannot be polled any more")?;
                    if self.losses_read.elapsed() >= LOSS_INTERVAL {
                        self.report_losses();
                    }
                }
            }
        };
        self.stop(end).await
    }

    /// Opens the log again and takes over what the configuration says now.
    fn reload(&mut self) {
        match reload::reread(&self.args, &self.config) {
            Ok(reload::Reread { config, waiting }) => {
                let interval = self.config.heartbeat_interval_s;
                self.config = config;
                if interval != self.config.heartbeat_interval_s {
                    self.heartbeat = heartbeats(&self.config);
                    // Whoever looks for gaps must know from here on.
                    self.beat();
                }
                tracing::info!("the configuration was read again");
                if !waiting.is_empty() {
                    let keys = waiting.join(", ");
                    tracing::warn!("to change {keys}, restart imds-analyzer");
                }
            }
            Err(error) => {
                tracing::error!("the configuration stays as it was: {error}");
            }
        }
        self.name_origin();
        self.writer.reopen(&self.config.log);
    }

    /// Records from here on name the host as it is called now.
    fn name_origin(&self) {
        let origin = host::origin(Path::new("/"), &self.config);
        self.writer.set_origin(origin);
    }

    /// Writes a sign of life.
    fn beat(&mut self) {
        if clock::boottime_ns() < BOOT.as_nanos() as u64 {
            self.name_origin();
        }
        self.report_losses();
        let heartbeat = record::Heartbeat {
            heartbeat_interval_s: self.config.heartbeat_interval_s.get(),
            blind_spots: self.blind_spots.changed(),
            counters: self.pipeline.counters(),
        };
        let event = record::Event::Heartbeat(heartbeat);
        self.lookups.send(clock::boottime_ns(), event);
    }

    /// Writes a record for each cause whose counter grew.
    fn report_losses(&mut self) {
        self.losses_read = Instant::now();
        let grown = match self.losses.grown() {
            Ok(grown) => grown,
            Err(error) => {
                tracing::error!(%error, "the loss counters cannot be read");
                return;
            }
        };
        for loss in grown {
            let now_ns = clock::boottime_ns();
            self.pipeline.count_loss(loss.cause, loss.total, now_ns);
            let event = record::Event::CaptureLoss(record::Loss {
                cause: loss.cause.into(),
                count: loss.count,
                total: loss.total,
            });
            self.lookups.send(clock::boottime_ns(), event);
        }
    }

    /// Detaches, drains the ring buffer and ends the log.
    async fn stop(mut self, end: End) -> anyhow::Result<()> {
        systemd::stopping();
        self.programs = None;
        let (pipeline, lookups) = (&mut self.pipeline, &self.lookups);
        self.ring.drain(|event| take(event, pipeline, lookups));
        let mut emit = |time, event| lookups.send(time, event);
        pipeline.finish(clock::boottime_ns(), &mut emit);
        // The counters live as long as they are held, programs or not.
        self.report_losses();
        let reason = match end {
            End::Signal(name) => Some(name.to_owned()),
            End::NobodyReads => None,
        };
        let stopped = record::Stopped {
            reason,
            counters: self.pipeline.counters(),
        };
        self.lookups.send(
            clock::boottime_ns(),
            record::Event::AnalyzerStopped(stopped),
        );
        self.lookups.finish();
        self.writer.finish().await?;
        Ok(())
    }
}

async fn next_batch(
    ring: &mut Ring,
    pipeline: &mut Pipeline,
    lookups: &Lookups,
) -> std::io::Result<()> {
    ring.next_batch(|event| take(event, pipeline, lookups))
        .await
}

fn take(event: Result<Event, Malformed>, pipeline: &mut Pipeline, lookups: &Lookups) {
    match event {
        Ok(event) => {
            let mut emit = |time, event| lookups.send(time, event);
            pipeline.take(event, clock::boottime_ns(), &mut emit);
        }
        Err(error) => {
            tracing::error!(%error, "a record of the kernel side was dropped");
            pipeline.count_malformed();
        }
    }
}

/// Waits until the boot-time clock reaches `deadline_ns`; for ever without one.
async fn boottime_reaches(deadline_ns: Option<u64>) {
    match deadline_ns {
        Some(deadline) => {
            let left = deadline.saturating_sub(clock::boottime_ns());
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
        None => std::future::pending().await,
    }
}

/// Says that capturing has begun: to whoever waits on stderr, and to systemd, whose
/// words for it are returned.
fn announce(backend: Backend, witness: bool, responses: &Responses) -> String {
    let witness = match (backend, witness) {
        (Backend::Cgroup, _) => "",
        (_, true) => ", with a witness on the wire",
        (_, false) => ", without a witness on the wire",
    };
    let responses = match responses {
        Responses::Arriving => "",
        Responses::Taken { .. } => ", responses seen when they are read",
        Responses::Unseen { .. } => ", responses not seen",
    };
    eprintln!("imds-analyzer: ready, backend {backend}{witness}{responses}");
    let status = format!("Capturing with {backend}{witness}{responses}");
    systemd::ready(&status);
    status
}

/// The heartbeats that the configuration asks for, from now on.
fn heartbeats(config: &Config) -> Interval {
    let every = Duration::from_secs(config.heartbeat_interval_s.get().into());
    let mut heartbeat = tokio::time::interval_at(Instant::now() + every, every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

fn wanted(backend: config::Backend) -> Option<Backend> {
    match backend {
        config::Backend::Auto => None,
        config::Backend::Fentry => Some(Backend::Fentry),
        config::Backend::Kprobe => Some(Backend::Kprobe),
        config::Backend::Cgroup => Some(Backend::Cgroup),
    }
}

fn limits(limits: &config::Limits) -> Limits {
    Limits {
        max_head: limits.max_head_bytes as usize,
        max_streams: limits.max_streams as usize,
        max_buffered: limits.max_buffered_bytes as usize,
        idle_timeout_ns: u64::from(limits.idle_timeout_s) * 1_000_000_000,
        ..Limits::default()
    }
}

/// Returns what loading needed to the system: the kernel's BTF and the loader's
/// view of it are some 20 MB that are not needed again.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) only releases free memory and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
