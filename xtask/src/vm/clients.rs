//! `cargo xtask vm-test --clients`: the real clients on other kernels, in the VM with
//! [`super::root_image`].

use std::fs;

use anyhow::Result;

use super::verdict::Console;
use super::{LIMIT, Outcome, qemu, root_image};
use crate::binaries::Binaries;
use crate::kernel::{self, Kernel};
use crate::progress::note;
use crate::workspace;

/// Boots `kernel` with the image once for each of `backends`, one after the other, and
/// runs the suite's group `clients` in it.
pub(super) fn boot(
    kernel: &Kernel,
    backends: &[String],
    filter: Option<&str>,
    binaries: &Binaries,
) -> Result<Outcome> {
    let dir = workspace::target_dir().join("vm");
    let logs = dir.join("logs");
    fs::create_dir_all(&logs)?;
    let vmlinuz = kernel::vmlinuz(kernel)?;
    let image = root_image::build(&dir, binaries)?;
    let mut outcomes = Vec::new();
    for backend in backends {
        let name = format!(
            "{}-{}-clients-{backend}",
            kernel.name, kernel.machine.debian
        );
        let log = logs.join(format!("{name}.log"));
        note(format_args!("console: {}", log.display()));
        let mut words = root_image::kernel_words().to_vec();
        words.push(format!("imds.backends={backend}"));
        words.push("imds.group=clients".to_owned());
        words.extend(filter.map(|filter| format!("imds.filter={filter}")));
        let boot = qemu::Boot {
            machine: kernel.machine,
            kernel: &vmlinuz,
            root: qemu::Root::Image(&image),
            words: &words,
            log: &log,
            limit: LIMIT,
        };
        let mut console = Console::default();
        let status = qemu::run(&boot, |line| {
            eprintln!("    {name}| {line}");
            console.read(line);
        })?;
        outcomes.push(Outcome {
            verdict: console.judge(std::slice::from_ref(backend), status),
            suites: console.suites().to_vec(),
            log,
        });
    }
    Ok(Outcome::of_all(outcomes, logs))
}
