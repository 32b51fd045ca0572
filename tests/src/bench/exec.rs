//! What it costs to start a program.

use std::{path::Path, process::Stdio};

use anyhow::{Result, ensure};

use super::{Variant, compare};
use crate::send::crowd;

/// Programs that are started.
const PROGRAMS: u32 = 1_000;

const VARIANTS: &[Variant] = &[
    Variant {
        name: "without the analyzer",
        settings: None,
    },
    Variant {
        name: "exec_cache = false",
        settings: Some("exec_cache = false"),
    },
    Variant {
        name: "exec_cache = true",
        settings: Some("exec_cache = true"),
    },
];

pub(super) fn run(analyzer: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let program = directory.path().join(crowd::LEAVER);
    std::os::unix::fs::symlink(std::env::current_exe()?, &program)?;
    compare(analyzer, VARIANTS, PROGRAMS, "program", |netns| {
        for _ in 0..PROGRAMS {
            let status = netns
                .command(&program)
                .args(["--an", "argument", "of some length, as they have"])
                .stdin(Stdio::null())
                .status()?;
            ensure!(status.success(), "a program ended with {status}");
        }
        Ok(())
    })
}
