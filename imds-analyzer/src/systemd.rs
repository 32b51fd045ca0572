//! What the daemon tells the service manager: that it is ready, that it stops, and, as
//! long as records get from the kernel to the output, that it is alive.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Tells that capturing has begun.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells that the daemon is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told of {states:?}");
    }
}

/// The signs of life that systemd waits for (`WatchdogSec=`).
///
/// They are sent by the loop that drains the ring buffer, so one that hangs sends none,
/// and only while the writer makes progress.
#[derive(Debug)]
pub struct Watchdog {
    ticks: Option<Interval>,
    judge: Judge,
    status: String,
}

impl Watchdog {
    /// As the environment asks for it. `status` is told again when all is well again.
    /// Must be called within a tokio runtime.
    pub fn new(status: String) -> Self {
        let within = sd_notify::watchdog_enabled();
        let ticks = within.map(|within| {
            let every = (within / 4).max(Duration::from_millis(1));
            let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self {
            ticks,
            judge: Judge::new(within.unwrap_or_default()),
            status,
        }
    }

    /// Waits until a sign of life is due; for ever if nobody waits for one.
    pub async fn due(&mut self) {
        match &mut self.ticks {
            Some(ticks) => _ = ticks.tick().await,
            None => std::future::pending().await,
        }
    }

    /// Gives a sign of life unless the writer has been in one write for too long.
    pub fn sign_of_life(&mut self, stuck_for: Duration) {
        match self.judge.verdict(stuck_for) {
            Verdict::Alive => tell(&[NotifyState::Watchdog]),
            Verdict::AliveAgain => {
                tracing::info!("the output takes records again");
                tell(&[NotifyState::Watchdog, NotifyState::Status(&self.status)]);
            }
            Verdict::Hung => {
                tracing::error!("the output hangs: the watchdog gets no sign of life");
                tell(&[NotifyState::Status("The output hangs")]);
            }
            Verdict::StillHung => {}
        }
    }
}

/// What to tell the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alive,
    AliveAgain,
    Hung,
    StillHung,
}

/// Decides on signs of life.
#[derive(Debug)]
struct Judge {
    /// Longest write that is no hang.
    patience: Duration,
    hung: bool,
}

impl Judge {
    /// For a watchdog that waits so long.
    fn new(within: Duration) -> Self {
        Self {
            patience: within / 2,
            hung: false,
        }
    }

    fn verdict(&mut self, stuck_for: Duration) -> Verdict {
        let was_hung = std::mem::replace(&mut self.hung, stuck_for > self.patience);
        match (was_hung, self.hung) {
            (false, false) => Verdict::Alive,
            (true, false) => Verdict::AliveAgain,
            (false, true) => Verdict::Hung,
            (true, true) => Verdict::StillHung,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_that_takes_too_long_silences_the_watchdog_until_it_is_done() {
        let mut judge = Judge::new(Duration::from_secs(30));
        let mut verdict = |seconds| judge.verdict(Duration::from_secs(seconds));
        assert_eq!(verdict(0), Verdict::Alive);
        assert_eq!(verdict(15), Verdict::Alive);
        assert_eq!(verdict(16), Verdict::Hung);
        assert_eq!(verdict(23), Verdict::StillHung);
        assert_eq!(verdict(0), Verdict::AliveAgain);
        assert_eq!(verdict(0), Verdict::Alive);
    }

    #[test]
    fn writer_that_is_gone_silences_the_watchdog() {
        let mut judge = Judge::new(Duration::from_secs(30));
        assert_eq!(judge.verdict(Duration::MAX), Verdict::Hung);
        assert_eq!(judge.verdict(Duration::MAX), Verdict::StillHung);
    }
}
