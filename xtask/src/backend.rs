//! The analyzer's backends, as suite and matrix name them.

use std::fmt;

/// What the suite asks the analyzer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Backend {
    /// The first of the three that works.
    Auto,
    /// fentry and fexit on `tcp_sendmsg`, with a witness on the wire.
    Fentry,
    /// kprobe and kretprobe there, with a witness on the wire.
    Kprobe,
    /// The program on the wire, as the whole capture.
    Cgroup,
    /// fentry without the witness, which would make up for what it misses.
    FentryAlone,
    /// kprobe without it.
    KprobeAlone,
}

impl Backend {
    /// As `imds-tests suite --backend` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Cgroup => "cgroup",
            Self::FentryAlone => "fentry-alone",
            Self::KprobeAlone => "kprobe-alone",
        }
    }

    /// Reads [`Backend::name`].
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        <Self as clap::ValueEnum>::value_variants()
            .iter()
            .copied()
            .find(|backend| backend.name() == name)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn name_is_what_the_command_line_takes_and_reads_back() {
        for backend in Backend::value_variants() {
            let value = backend.to_possible_value().unwrap();
            assert_eq!(value.get_name(), backend.name());
            assert_eq!(Backend::of_name(backend.name()), Some(*backend));
        }
        assert_eq!(Backend::of_name("uprobe"), None);
    }
}
