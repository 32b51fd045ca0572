//! What the analyzer can't see on this host, or sees under another name.
//!
//! Capture sees what sends from a socket of this kernel, in whatever network namespace
//! or container. A guest with a TCP stack of its own (a microVM, gVisor) has none, and
//! its packets come out of a tap device or are forwarded; behind a credential proxy the
//! proxy is the caller. [`look`] tells which of that is here, from `/proc` and `/sys`
//! alone; `docs/blind-spots.md` lists what it looks for and what it can't tell.

mod network;
mod processes;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::record::BlindSpot;

/// How often is looked again, at most.
const INTERVAL: Duration = Duration::from_secs(60);

/// The blind spots of the host below `root`. Limited to one network namespace, only what
/// runs in it counts; of its devices nothing is known then.
pub fn look(root: &Path, netns: Option<u32>) -> Vec<BlindSpot> {
    let mut spots = processes::look(root, netns);
    if netns.is_none() {
        spots.extend(network::look(root));
    }
    spots.sort();
    spots
}

/// Whether this host forwards packets, and for whom as far as that can be seen: a line
/// for `check`.
pub fn forwarding(root: &Path) -> String {
    network::forwarding(root)
}

/// Remembers what was found, so that a change can be told.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    netns: Option<u32>,
    known: Vec<BlindSpot>,
    looked: Instant,
}

impl Watch {
    /// Looks for the first time.
    pub fn new(root: &Path, netns: Option<u32>) -> Self {
        Self {
            root: root.to_owned(),
            netns,
            known: look(root, netns),
            looked: Instant::now(),
        }
    }

    /// What is known.
    pub fn known(&self) -> Vec<BlindSpot> {
        self.known.clone()
    }

    /// Looks again, if the last time is a minute ago; what there is, if it is not what
    /// there was.
    pub fn changed(&mut self) -> Option<Vec<BlindSpot>> {
        self.changed_after(INTERVAL)
    }

    fn changed_after(&mut self, interval: Duration) -> Option<Vec<BlindSpot>> {
        if self.looked.elapsed() < interval {
            return None;
        }
        self.looked = Instant::now();
        let found = look(&self.root, self.netns);
        (found != self.known).then(|| {
            self.known.clone_from(&found);
            found
        })
    }
}

#[cfg(test)]
mod tests;
