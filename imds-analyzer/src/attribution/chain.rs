//! The processes above the sender, up to PID 1.

use super::proc::ProcRoot;
use crate::{capture::Parent, record::Ancestor, redact};

/// Most ancestors that are kept; a longer chain is marked.
pub(super) const MAX_ANCESTORS: usize = 64;

/// Ancestors, nearest first.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) ancestors: Vec<Ancestor>,
    /// There were more.
    pub(super) truncated: bool,
}

impl Chain {
    /// Follows the parents from `parent` on. Ends at PID 1, or where a process
    /// is no longer there: what lies above it is unknown then.
    pub(super) fn follow(proc: &ProcRoot, mut parent: Option<Parent>) -> Self {
        let mut chain = Self::default();
        while let Some(next) = parent.filter(|parent| parent.tgid != 0) {
            if chain.ancestors.len() == MAX_ANCESTORS {
                chain.truncated = true;
                break;
            }
            let Some(live) = proc.find(next.tgid, next.start_boottime_ns) else {
                break;
            };
            let args = redact::args(&live.args);
            chain.ancestors.push(Ancestor {
                pid: next.tgid,
                name: live.name,
                executable: live.executable,
                command_line: (!args.is_empty()).then(|| args.join(" ")),
            });
            parent = Some(live.parent);
        }
        chain
    }
}
