//! Programs that run guests, or speak for others.

use std::{collections::BTreeMap, fs, path::Path};

use crate::record::BlindSpot;

/// Most processes that are looked at.
const MAX_PROCESSES: usize = 65_536;

/// Most open files of a process that are looked at.
const MAX_FILES: usize = 4_096;

/// Longest name in `comm`, bytes (`TASK_COMM_LEN`, include/linux/sched.h).
const MAX_COMM: usize = 15;

/// A program, by the beginning of its name.
struct Program {
    name: &'static str,
    kind: &'static str,
    what: &'static str,
}

const fn guest(name: &'static str) -> Program {
    Program {
        name,
        kind: "guest",
        what: "its guests have TCP stacks of their own",
    }
}

const fn proxy(name: &'static str) -> Program {
    Program {
        name,
        kind: "credential_proxy",
        what: "it answers for IMDS, and hides who asks it",
    }
}

const PROGRAMS: [Program; 13] = [
    guest("firecracker"),
    guest("cloud-hypervisor"),
    guest("qemu-system-"),
    guest("qemu-kvm"),
    guest("crosvm"),
    guest("lkvm"),
    guest("containerd-shim-kata"),
    // gVisor. The sandbox calls itself so; the kernel may call it `exe`.
    guest("runsc-sandbox"),
    guest("runsc"),
    proxy("kube2iam"),
    proxy("kiam"),
    proxy("ec2-metadata-mock"),
    proxy("amazon-ec2-metadata-mock"),
];

/// What a process has open that runs a guest (`kvm_dev_ioctl_create_vm`,
/// virt/kvm/kvm_main.c).
const KVM_GUEST: &str = "anon_inode:kvm-vm";

pub(super) fn look(root: &Path, netns: Option<u32>) -> Vec<BlindSpot> {
    let mut found: BTreeMap<(&'static str, String), u32> = BTreeMap::new();
    // Without KVM nobody has a guest of it open, and that spares reading every link.
    let has_kvm = root.join("sys/class/misc/kvm").exists() || root.join("dev/kvm").exists();
    let Ok(entries) = fs::read_dir(root.join("proc")) else {
        return Vec::new();
    };
    let is_process = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let processes = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_process));
    for entry in processes.take(MAX_PROCESSES) {
        let process = entry.path();
        let kind = match program(&process) {
            Some(program) => {
                let name = program.name.trim_end_matches('-');
                (program.kind, format!("{name}: {}", program.what))
            }
            None if has_kvm && runs_kvm_guest(&process) => {
                let name = name(&process).unwrap_or_default();
                let what = "it has KVM guests, with TCP stacks of their own";
                ("guest", format!("{}: {what}", harmless(&name)))
            }
            None => continue,
        };
        if netns.is_none_or(|netns| is_in(&process, netns)) {
            *found.entry(kind).or_default() += 1;
        }
    }
    found
        .into_iter()
        .map(|((kind, detail), count)| BlindSpot {
            kind: kind.to_owned(),
            detail: match count {
                1 => detail,
                _ => format!("{count} processes, {detail}"),
            },
        })
        .collect()
}

/// Which of the programs a process is, by the name that the kernel gives it or the one
/// that it gives itself.
fn program(process: &Path) -> Option<&'static Program> {
    let comm = name(process)?;
    let known = PROGRAMS
        .iter()
        .find(|program| is_named(&comm, program.name));
    // A name that is cut may be of another program.
    if known.is_some() || !(comm == "exe" || comm.len() >= MAX_COMM) {
        return known;
    }
    let args = fs::read(process.join("cmdline")).ok()?;
    let first = args.split(|byte| *byte == 0).next()?;
    let first = first.rsplit(|byte| *byte == b'/').next()?;
    let first = std::str::from_utf8(first).ok()?;
    PROGRAMS
        .iter()
        .find(|program| is_named(first, program.name))
}

/// `qemu-system-` names all that begin with it; others are whole names, or end where a
/// name can: `kiam-agent`, `firecracker-v1.7`.
fn is_named(name: &str, program: &str) -> bool {
    name.strip_prefix(program).is_some_and(|rest| {
        rest.is_empty() || program.ends_with('-') || rest.starts_with(['-', '_', '.'])
    })
}

fn name(process: &Path) -> Option<String> {
    let comm = fs::read(process.join("comm")).ok()?;
    let comm = String::from_utf8_lossy(&comm);
    Some(comm.trim_end_matches('\n').to_owned())
}

fn runs_kvm_guest(process: &Path) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files
        .filter_map(Result::ok)
        .take(MAX_FILES)
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target == Path::new(KVM_GUEST))
}

fn is_in(process: &Path, netns: u32) -> bool {
    fs::read_link(process.join("ns/net"))
        .is_ok_and(|target| target == Path::new(&format!("net:[{netns}]")))
}

/// A name that whoever runs the process chose, as far as it is letters and digits.
pub(super) fn harmless(name: &str) -> String {
    let harmless = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.:".contains(c) {
            c
        } else {
            '?'
        }
    };
    name.chars().take(32).map(harmless).collect()
}
