//! What the eBPF programs say about themselves, with `--debug-ebpf`.

use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

use super::programs::Programs;

/// Relays the programs' messages to the diagnostics.
pub struct DebugLog {
    logger: Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>,
}

/// Why the messages cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DebugLogError {
    /// aya-log refused.
    #[error("--debug-ebpf: {0}")]
    Logger(#[from] aya_log::Error),
    /// The runtime refused.
    #[error("--debug-ebpf: the messages cannot be polled: {0}")]
    Poll(#[from] std::io::Error),
}

impl DebugLog {
    /// Takes the programs' message buffer if `wanted`; must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// If the buffer cannot be read.
    pub fn new(programs: &mut Programs, wanted: bool) -> Result<Self, DebugLogError> {
        if !wanted {
            return Ok(Self { logger: None });
        }
        let logger = EbpfLogger::init(programs.ebpf_mut())?;
        // SAFETY: the logger owns its descriptor and keeps it until it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        Ok(Self {
            logger: Some(registered.map_err(std::io::Error::from)?),
        })
    }

    /// Waits for messages and relays them; for ever if they are not wanted.
    pub async fn relay(&mut self) {
        let Some(logger) = &mut self.logger else {
            return std::future::pending().await;
        };
        if let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
            drop(guard);
            // Programs can speak faster than they are relayed.
            tokio::task::yield_now().await;
        }
    }
}
