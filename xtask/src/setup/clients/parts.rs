//! Clients that no distribution packages: what `tests/clients` describes with exact
//! versions, installed or built below `target/clients`.
//!
//! A part is made anew when one of its inputs has changed. What it was made from is kept
//! beside it (`NAME.made`), so a second set-up compares a few files and starts nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{CommandExt as _, cargo, find_program};
use crate::cross::HOST_TARGET;
use crate::setup::{missing, present};
use crate::workspace;

/// A directory below `target/clients`.
struct Part {
    name: &'static str,
    purpose: &'static str,
    /// Files that decide what is in it, below `tests/clients`.
    inputs: &'static [&'static str],
    /// Makes it in an empty directory, given that of the inputs as well.
    make: fn(inputs: &Path, dir: &Path) -> Result<()>,
}

const PARTS: &[Part] = &[
    Part {
        name: "python",
        purpose: "requests, botocore",
        inputs: &["python/requirements.txt"],
        make: python,
    },
    Part {
        name: "duckdb",
        purpose: "runs the documented queries on records",
        inputs: &["duckdb/requirements.txt"],
        make: duckdb,
    },
    Part {
        name: "node",
        purpose: "the AWS SDK for JavaScript",
        inputs: &["node/package.json", "node/package-lock.json", "node/.npmrc"],
        make: node,
    },
    Part {
        name: "java",
        purpose: "the classes of the Java clients",
        inputs: &[
            "java/UrlConnectionClient.java",
            "java/HttpClientClient.java",
        ],
        make: java,
    },
    Part {
        name: "bin",
        purpose: "a client with the AWS SDK for Rust",
        inputs: &[
            "aws-config/Cargo.toml",
            "aws-config/Cargo.lock",
            "aws-config/src/main.rs",
        ],
        make: rust,
    },
];

/// The oldest Java that the classes run on.
const JAVA_RELEASE: &str = "17";

/// Makes the parts of `clients` that are missing or made from something else.
pub(super) fn ensure(clients: &Path) -> Result<()> {
    let inputs = workspace::root().join("tests/clients");
    for part in PARTS {
        let label = format!("clients/{}", part.name);
        if part.is_made(&inputs, clients)? {
            present(&label, part.purpose);
        } else {
            missing(&label, part.purpose);
            part.make_anew(&inputs, clients)
                .with_context(|| format!("could not install {}", part.purpose))?;
        }
    }
    Ok(())
}

impl Part {
    fn stamp(&self, clients: &Path) -> PathBuf {
        clients.join(format!("{}.made", self.name))
    }

    /// All its inputs, as text.
    fn state(&self, inputs: &Path) -> Result<String> {
        let mut state = String::new();
        for name in self.inputs {
            let path = inputs.join(name);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            state.push_str(&format!("{name} {}\n{text}", text.len()));
        }
        Ok(state)
    }

    fn is_made(&self, inputs: &Path, clients: &Path) -> Result<bool> {
        let state = self.state(inputs)?;
        Ok(clients.join(self.name).is_dir()
            && fs::read_to_string(self.stamp(clients)).is_ok_and(|made| made == state))
    }

    fn make_anew(&self, inputs: &Path, clients: &Path) -> Result<()> {
        let dir = clients.join(self.name);
        let stamp = self.stamp(clients);
        // The stamp goes first and comes last: an interrupted run leaves none that lies.
        if stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot clear {}", dir.display()))?;
        }
        fs::create_dir_all(&dir)?;
        (self.make)(inputs, &dir)?;
        fs::write(&stamp, self.state(inputs)?)?;
        Ok(())
    }
}

/// Wheels without compiled parts only: the VM's Python may be another than this one.
fn python(inputs: &Path, dir: &Path) -> Result<()> {
    program("python3")?
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-input"])
        .args(["--root-user-action", "ignore"])
        .args(["--only-binary", ":all:", "--platform", "any"])
        .args(["--implementation", "py", "--abi", "none"])
        .args(["--no-deps", "--require-hashes", "--requirement"])
        .arg(inputs.join("python/requirements.txt"))
        .arg("--target")
        .arg(dir)
        .run()
}

/// For this machine's Python alone: no VM has it.
fn duckdb(inputs: &Path, dir: &Path) -> Result<()> {
    program("python3")?
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-input"])
        .args(["--root-user-action", "ignore"])
        .args(["--only-binary", ":all:", "--no-deps"])
        .args(["--require-hashes", "--requirement"])
        .arg(inputs.join("duckdb/requirements.txt"))
        .arg("--target")
        .arg(dir)
        .run()
}

fn node(inputs: &Path, dir: &Path) -> Result<()> {
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(inputs.join("node").join(name), dir.join(name))?;
    }
    program("npm")?
        .current_dir(dir)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--no-update-notifier", "--loglevel=error"])
        .run()
}

fn java(inputs: &Path, dir: &Path) -> Result<()> {
    program("javac")?
        .args(["--release", JAVA_RELEASE, "-d"])
        .arg(dir)
        .arg(inputs.join("java/UrlConnectionClient.java"))
        .arg(inputs.join("java/HttpClientClient.java"))
        .run()
}

/// Statically linked, so that it runs in the VM too. It is a workspace of its own.
fn rust(inputs: &Path, dir: &Path) -> Result<()> {
    let target_dir = workspace::target_dir().join("static");
    let mut rustflags = env::var("RUSTFLAGS").unwrap_or_default();
    rustflags.push_str(" -C target-feature=+crt-static");
    cargo()
        .current_dir(inputs.join("aws-config"))
        .args(["build", "--locked", "--release", "--target", HOST_TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        // This one would win over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", rustflags.trim())
        .run()?;
    let built = target_dir
        .join(HOST_TARGET)
        .join("release/imds-aws-config-client");
    fs::copy(&built, dir.join("aws-config-client"))
        .with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(())
}

/// A program of the distribution rather than another of its name earlier in `$PATH`.
fn program(name: &str) -> Result<Command> {
    let of_system = Path::new("/usr/bin").join(name);
    let path = if of_system.exists() {
        of_system
    } else {
        find_program(name).with_context(|| format!("there is no {name}"))?
    };
    let mut command = Command::new(path);
    // Cargo points it at its own libraries; they are nothing to the programs run here.
    command.env_remove("LD_LIBRARY_PATH");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_one(_: &Path, dir: &Path) -> Result<()> {
        fs::write(dir.join("one"), "1")?;
        Ok(())
    }

    fn fail(_: &Path, _: &Path) -> Result<()> {
        anyhow::bail!("no network")
    }

    const PART: Part = Part {
        name: "part",
        purpose: "a test",
        inputs: &["input"],
        make: write_one,
    };

    #[test]
    fn part_is_made_once_for_the_same_inputs() {
        let (inputs, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inputs, clients) = (inputs.path(), clients.path());
        fs::write(inputs.join("input"), "a").unwrap();
        assert!(!PART.is_made(inputs, clients).unwrap());
        PART.make_anew(inputs, clients).unwrap();
        assert!(PART.is_made(inputs, clients).unwrap());
        fs::write(inputs.join("input"), "b").unwrap();
        assert!(!PART.is_made(inputs, clients).unwrap());
    }

    #[test]
    fn what_an_older_part_held_is_gone() {
        let (inputs, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inputs, clients) = (inputs.path(), clients.path());
        fs::write(inputs.join("input"), "a").unwrap();
        fs::create_dir(clients.join("part")).unwrap();
        fs::write(clients.join("part/old"), "").unwrap();
        PART.make_anew(inputs, clients).unwrap();
        assert!(!clients.join("part/old").exists());
        assert!(clients.join("part/one").exists());
    }

    #[test]
    fn part_that_could_not_be_made_is_tried_again() {
        let (inputs, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inputs, clients) = (inputs.path(), clients.path());
        fs::write(inputs.join("input"), "a").unwrap();
        PART.make_anew(inputs, clients).unwrap();
        let failing = Part { make: fail, ..PART };
        assert!(failing.make_anew(inputs, clients).is_err());
        assert!(!PART.is_made(inputs, clients).unwrap());
    }

    #[test]
    fn inputs_of_every_part_are_there() {
        let inputs = workspace::root().join("tests/clients");
        for part in PARTS {
            part.state(&inputs).unwrap();
        }
    }
}
