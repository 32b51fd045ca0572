//! `imds-analyzer check`: can this host be watched, and how?

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::bail;

use crate::{
    blind,
    capture::{
        backend::{self, Backend, Options, Responses},
        cgroup2::Cgroup2Root,
        kernel_types, privilege,
    },
    cli::CheckArgs,
    config::Config,
    host,
};

/// Inode of no namespace: probes attach to the whole host and must see nothing.
const NO_NETNS: u32 = 1;

/// Ring buffer of a probe, bytes: the smallest on every page size.
const PROBE_RING: u32 = 64 * 1024;

/// What was found of one thing that capturing needs.
struct Finding {
    thing: &'static str,
    fine: bool,
    text: String,
}

impl Finding {
    fn of<E: std::fmt::Display>(thing: &'static str, result: Result<String, E>) -> Self {
        match result {
            Ok(text) => Self {
                thing,
                fine: true,
                text,
            },
            Err(error) => Self {
                thing,
                fine: false,
                text: error.to_string(),
            },
        }
    }
}

/// Prints one line for each thing, then the backend that `auto` takes.
///
/// # Errors
/// If the host cannot be watched.
pub fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let config = args.settings()?;
    let types = types(config.btf.as_deref());
    let untried = if types.fine {
        (!privilege::missing_for_capture().is_empty()).then_some("capabilities")
    } else {
        Some(types.thing)
    };
    let mut findings = vec![kernel(), types, capabilities(), proc_access(), cgroup2()];
    let mut taken = None;
    let options = |backend| options(backend, &config);
    if let Some(obstacle) = untried {
        let things = ["ring buffer"].into_iter();
        for thing in things.chain(Backend::ALL.map(Backend::as_str)) {
            findings.push(Finding {
                thing,
                fine: false,
                text: format!("not tried: see {obstacle}"),
            });
        }
    } else {
        findings.push(ring_buffer(&options(None)));
        for backend in Backend::ALL {
            let probed = probe(backend, &options(Some(backend)));
            if probed.is_ok() && taken.is_none() {
                taken = Some(backend);
            }
            findings.push(Finding::of(backend.as_str(), probed));
        }
    }
    let mut out = io::stdout().lock();
    for finding in &findings {
        let mark = if finding.fine { "ok" } else { "no" };
        // Somebody who reads only the first lines is no failure.
        let _ = writeln!(out, "{mark}  {:<14}{}", finding.thing, finding.text);
    }
    blind_spots(&mut out, Path::new("/"));
    match taken {
        Some(backend) => {
            let _ = writeln!(
                out,
                "This host can be watched: --backend auto takes {backend}."
            );
            Ok(())
        }
        None if privilege::missing_for_capture().is_empty() => {
            bail!("this host cannot be watched: see the lines marked `no`")
        }
        None => bail!(
            "cannot tell whether this host can be watched: this process lacks {}; try again as root",
            privilege::missing_for_capture().join(", ")
        ),
    }
}

/// What could not be seen on the host below `root`: no reason not to watch it.
fn blind_spots(out: &mut impl io::Write, root: &Path) {
    let mut line = |mark: &str, thing: &str, text: &str| {
        let _ = writeln!(out, "{mark}  {thing:<14}{text}");
    };
    let spots = blind::look(root, None);
    for spot in &spots {
        line(
            "--",
            "blind spot",
            &format!("{}, {}", spot.kind, spot.detail),
        );
    }
    if spots.is_empty() {
        line("ok", "blind spots", "none found");
    }
    line("ok", "forwarding", &blind::forwarding(root));
    line(
        "--",
        "address rules",
        "can't be told: see whether `nft list ruleset` or `iptables -t nat -S` redirects 169.254.169.254",
    );
}

fn ring_buffer(options: &Options) -> Finding {
    let found = backend::try_maps(options);
    Finding::of(
        "ring buffer",
        found.map(|()| "the maps can be made".to_owned()),
    )
}

/// What is probed: what would run, on no namespace.
fn options(backend: Option<Backend>, config: &Config) -> Options {
    Options {
        backend,
        destinations: config.destinations.destinations(),
        netns: Some(NO_NETNS),
        witness: config.witness.get(),
        ring_bytes: PROBE_RING,
        debug: false,
        btf: config.btf.clone(),
    }
}

/// Attaches a backend for a moment, watching nothing.
fn probe(backend: Backend, options: &Options) -> Result<String, String> {
    match backend::start(options) {
        Ok(capture) => Ok({
            let mut text = match (backend, &capture.witness_refused) {
                (Backend::Cgroup, _) => "attaches to the cgroup2 root".to_owned(),
                (_, None) => "attaches to tcp_sendmsg, with a witness on the wire".to_owned(),
                (_, Some(reason)) => {
                    format!("attaches to tcp_sendmsg, without a witness on the wire: {reason}")
                }
            };
            match capture.responses {
                Responses::Arriving => {}
                Responses::Taken { .. } if capture.witness_refused.is_some() => {
                    text.push_str("; responses are seen when they are read");
                }
                Responses::Taken { reason } => {
                    text.push_str("; responses are seen when they are read: ");
                    text.push_str(&reason);
                }
                Responses::Unseen { reason } => {
                    text.push_str("; responses are not seen: ");
                    text.push_str(&reason);
                }
            }
            text
        }),
        Err(backend::CaptureError::Refused(refusal)) => Err(refusal.reason),
        Err(error) => Err(error.to_string()),
    }
}

fn kernel() -> Finding {
    let release = host::kernel_release(Path::new("/")).unwrap_or_else(|| "unknown".to_owned());
    let old = is_before_5_8(&release);
    Finding {
        thing: "kernel",
        fine: !old,
        text: if old {
            format!("{release}: the ring buffer needs 5.8 or later")
        } else {
            release
        },
    }
}

/// Whether a release is older than the BPF ring buffer. A hint for the reader;
/// what decides is whether the programs attach.
fn is_before_5_8(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < (5, 8),
        _ => false,
    }
}

fn types(named: Option<&Path>) -> Finding {
    let found = kernel_types::layout(named).map(|layout| {
        let missing = [
            ("fentry and kprobe", layout.send),
            ("cgroup and a witness", layout.wire),
            ("responses without a witness", layout.take),
        ];
        let missing: Vec<String> = missing
            .into_iter()
            .filter_map(|(whom, error)| Some(format!("not enough for {whom}: {}", error?)))
            .collect();
        if missing.is_empty() {
            "has every member that the programs need".to_owned()
        } else {
            missing.join("; ")
        }
    });
    Finding::of("btf", found)
}

fn capabilities() -> Finding {
    let missing = privilege::missing_for_capture();
    Finding {
        thing: "capabilities",
        fine: missing.is_empty(),
        text: if missing.is_empty() {
            "all that capture needs".to_owned()
        } else {
            format!("this process lacks {}", missing.join(", "))
        },
    }
}

fn proc_access() -> Finding {
    let others = privilege::may_read_others();
    let hidden = fs::read_link("/proc/1/exe").is_err() && !others;
    Finding {
        thing: "/proc",
        fine: !hidden,
        text: if hidden {
            "executables of other users cannot be read: CAP_SYS_PTRACE is missing".to_owned()
        } else {
            "processes of every user can be read".to_owned()
        },
    }
}

fn cgroup2() -> Finding {
    let found = Cgroup2Root::open().map(|root| match root.path {
        Some(path) => format!("root at {}", path.display()),
        None => "not mounted; mounted privately when needed".to_owned(),
    });
    Finding::of("cgroup2", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blind_spots_are_listed_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        let lines = || {
            let mut out = Vec::new();
            blind_spots(&mut out, root.path());
            String::from_utf8(out).unwrap()
        };
        assert!(
            lines().contains("ok  blind spots   none found\n"),
            "{}",
            lines()
        );
        let process = root.path().join("proc/7");
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("comm"), "kube2iam\n").unwrap();
        assert!(
            lines().contains("--  blind spot    credential_proxy, kube2iam: "),
            "{}",
            lines()
        );
    }

    #[test]
    fn releases_before_the_ring_buffer_are_named() {
        for old in ["5.7.19-200.fc32", "4.14.355-275.603.amzn2.x86_64", "5.4.0"] {
            assert!(is_before_5_8(old), "{old}");
        }
        for recent in [
            "5.8.0",
            "5.10.0-46-cloud-amd64",
            "6.1.0",
            "6.18.44-fc",
            "7.3.4+deb13",
            "?",
        ] {
            assert!(!is_before_5_8(recent), "{recent}");
        }
    }
}
