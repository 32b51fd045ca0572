//! What the threads of the daemon give up once they have what they need.
//!
//! Loading and attaching programs takes `CAP_BPF`, `CAP_PERFMON` and `CAP_NET_ADMIN`;
//! reading what they report takes none of these, so whoever breaks into the daemon
//! later finds none. Capabilities belong to a thread (capabilities(7)), so each thread
//! gives up its own, those that run programs before they run the first.
//!
//! A program of uid 0 gets the whole bounding set back when it is executed. The
//! bounding set can be reduced only with `CAP_SETPCAP`, which the unit does not give;
//! `no_new_privs` keeps such a program from getting more than its parent had
//! (security/commoncap.c, `cap_bprm_creds_from_file`).

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// Capabilities that a thread may keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// `CAP_SYS_PTRACE`: executables, namespaces and root directories of other users'
    /// processes in `/proc`.
    pub read_others: bool,
    /// `CAP_BPF`: before 5.19 the kernel asks for it even to read a map that is open,
    /// where `kernel.unprivileged_bpf_disabled` is set (kernel/bpf/syscall.c,
    /// `__sys_bpf`).
    pub read_maps: bool,
}

impl Keep {
    /// None at all.
    pub const NOTHING: Self = Self {
        read_others: false,
        read_maps: false,
    };
    /// What reading `/proc` takes.
    pub const READ_OTHERS: Self = Self {
        read_others: true,
        read_maps: false,
    };

    fn set(self) -> CapabilitySet {
        let mut set = CapabilitySet::empty();
        set.set(CapabilitySet::SYS_PTRACE, self.read_others);
        set.set(CapabilitySet::BPF, self.read_maps);
        set
    }
}

/// Gives up, for this thread and all that it starts, every capability but those to
/// keep. What cannot be given up is said and no failure: capture works all the same.
pub fn keep_only(keep: Keep) {
    if let Err(error) = try_keep_only(keep.set()) {
        tracing::warn!(%error, "capabilities that are not needed any more could not be given up");
    }
}

fn try_keep_only(keep: CapabilitySet) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    let now = capabilities(None)?;
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter() {
            if !keep.contains(capability) {
                // The kernel may be older than the capability.
                let _ = remove_capability_from_bounding_set(capability);
            }
        }
    }
    let kept = now.permitted & keep;
    // The ambient set never holds what is not permitted and inheritable.
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// Has a program start without any capability, whatever this thread still has.
pub fn start_without(command: &mut Command) -> &mut Command {
    let give_up = || {
        // Not worse than the thread that starts it, if that is refused.
        let _ = try_keep_only(CapabilitySet::empty());
        Ok(())
    };
    // SAFETY: between fork and exec there are system calls only, and no allocation.
    unsafe { command.pre_exec(give_up) }
}

/// Whether `read` works without `CAP_BPF`. Errors of another cause count as no.
pub fn works_without_bpf<E>(read: impl FnOnce() -> Result<(), E>) -> bool {
    let Ok(before) = capabilities(None) else {
        return false;
    };
    let without = CapabilitySets {
        effective: before.effective & !(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
        ..before
    };
    if set_capabilities(None, without).is_err() {
        return false;
    }
    let works = read().is_ok();
    // They are permitted still.
    if let Err(error) = set_capabilities(None, before) {
        tracing::warn!(%error, "capabilities could not be taken up again");
    }
    works
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, because nothing of it can be undone.
    fn on_a_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(body).join().unwrap()
    }

    /// The `Cap…` lines of proc_pid_status(5), by name.
    fn status(text: &str, name: &str) -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    #[test]
    fn thread_keeps_only_what_it_names() {
        let (before, after) = on_a_thread(|| {
            let before = capabilities(None).unwrap();
            keep_only(Keep::READ_OTHERS);
            (before, capabilities(None).unwrap())
        });
        let kept = before.permitted & CapabilitySet::SYS_PTRACE;
        assert_eq!(after.permitted, kept);
        assert_eq!(after.effective, kept);
        assert_eq!(after.inheritable, CapabilitySet::empty());
    }

    #[test]
    fn other_threads_keep_theirs() {
        let before = capabilities(None).unwrap();
        on_a_thread(|| keep_only(Keep::NOTHING));
        assert_eq!(capabilities(None).unwrap(), before);
    }

    #[test]
    fn program_gets_none_of_the_capabilities_that_its_starter_gave_up() {
        let output = on_a_thread(|| {
            keep_only(Keep::NOTHING);
            Command::new("/bin/cat").arg("/proc/self/status").output()
        });
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(status(&text, "CapEff:"), 0);
        assert_eq!(status(&text, "CapPrm:"), 0);
    }

    #[test]
    fn program_starts_without_those_that_its_starter_keeps() {
        let output = start_without(Command::new("/bin/cat").arg("/proc/self/status")).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(status(&text, "CapEff:"), 0);
        assert_eq!(status(&text, "CapPrm:"), 0);
        assert_eq!(status(&text, "NoNewPrivs:"), 1);
    }

    #[test]
    fn capabilities_come_back_after_a_try_without() {
        let (before, worked, after) = on_a_thread(|| {
            let before = capabilities(None).unwrap();
            let worked = works_without_bpf(|| match capabilities(None) {
                Ok(now) if !now.effective.contains(CapabilitySet::BPF) => Ok(()),
                _ => Err(()),
            });
            (before, worked, capabilities(None).unwrap())
        });
        assert!(worked);
        assert_eq!(before, after);
    }
}
