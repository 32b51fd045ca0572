//! Which package owns a file of the host, by asking `rpm`.
//!
//! Its database has had three formats (Berkeley DB, ndb, SQLite), so the program that
//! belongs to it is asked, as it would be by hand. Not for containers: their database
//! would have to be read by their own rpm, and nothing of theirs is run.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::root::Root;
use crate::{program::Runner, record::Package, redact};

/// Where the program is.
const PROGRAMS: [&str; 2] = ["/usr/bin/rpm", "/bin/rpm"];

/// Where the database is: before and after Fedora 36, and SUSE's.
const DATABASES: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// How long it may take.
const TIME: Duration = Duration::from_secs(5);

/// Most that it may say, bytes: a line for each package that owns the file.
const MAX_SAID: usize = 4096;

/// Longest name or version, bytes.
const MAX_WORD: usize = 128;

/// Separates the fields; no name or version has a blank.
const FORMAT: &str = "%{NAME} %{VERSION}-%{RELEASE}\\n";

/// Asks rpm.
#[derive(Debug)]
pub(super) struct Rpm {
    program: PathBuf,
    runner: Runner,
}

impl Rpm {
    /// `None` if the host has no program or no database.
    pub(super) fn of_host(root: &Root) -> Option<Self> {
        let has_database = DATABASES.iter().any(|path| !root.names(path, 3).is_empty());
        let program = PROGRAMS.iter().find(|path| Path::new(path).is_file())?;
        has_database.then(|| Self::new(program.into()))
    }

    fn new(program: PathBuf) -> Self {
        Self {
            program,
            runner: Runner::default(),
        }
    }

    /// The package that owns the file at `path`; the first of several.
    pub(super) fn owner(&mut self, path: &str) -> Option<Package> {
        let mut command = Command::new(&self.program);
        command.args(["-qf", "--qf", FORMAT, "--", path]);
        match self.runner.run(&mut command, b"", TIME, MAX_SAID) {
            Ok(said) => parse(&said),
            Err(error) => {
                // Not owned is one of the failures.
                tracing::debug!(%error, path, "rpm told nothing");
                None
            }
        }
    }
}

fn parse(said: &[u8]) -> Option<Package> {
    let line = said.split(|&byte| byte == b'\n').next()?;
    let (name, version) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let is_package = is_word(name) && is_word(version);
    is_package.then(|| Package {
        name: redact::text(name.as_bytes()),
        version: Some(redact::text(version.as_bytes())),
        manager: "rpm".to_owned(),
    })
}

/// Letters of names, versions and releases (rpm-spec(5)).
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_WORD
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._~^".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// What comes of a program that does `script`.
    fn owner(script: &str, path: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("rpm");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let package = Rpm::new(program).owner(path)?;
        assert_eq!(package.manager, "rpm");
        Some(format!("{} {}", package.name, package.version.unwrap()))
    }

    #[test]
    fn owner_is_what_rpm_says() {
        let script = r#"[ "$1 $2 $4 $5" = "-qf --qf -- /usr/bin/curl" ] && echo "curl 8.5.0-1.amzn2023.0.4""#;
        assert_eq!(
            owner(script, "/usr/bin/curl").as_deref(),
            Some("curl 8.5.0-1.amzn2023.0.4")
        );
        assert_eq!(owner(script, "/usr/bin/wget"), None);
    }

    #[test]
    fn the_first_of_several_owners_is_told() {
        let script = "echo glibc 2.34-52; echo glibc 2.34-52";
        assert_eq!(
            owner(script, "/usr/lib64/ld.so").as_deref(),
            Some("glibc 2.34-52")
        );
    }

    #[test]
    fn file_that_nobody_owns_has_no_package() {
        let script = "echo 'file /opt/x is not owned by any package'; exit 1";
        assert_eq!(owner(script, "/opt/x"), None);
        assert_eq!(
            owner("echo 'file /opt/x is not owned by any package'", "/opt/x"),
            None
        );
    }

    #[test]
    fn nonsense_is_no_package() {
        for script in [
            "",
            "echo curl",
            "echo 'curl '",
            r"printf 'curl \033[2J\n'",
            r"printf 'cu\nrl 1\n'",
            "while :; do echo x y; done",
        ] {
            assert_eq!(owner(script, "/x"), None, "{script}");
        }
    }

    #[test]
    fn host_without_a_database_is_not_asked() {
        let empty = tempfile::tempdir().unwrap();
        assert!(Rpm::of_host(&Root::open(empty.path()).unwrap()).is_none());
    }

    /// A package that the true program made, in a database of its own.
    #[test]
    fn true_rpm_names_the_owner_in_its_database() {
        for program in ["rpm", "rpmbuild"] {
            let is_there = Command::new(program).arg("--version").output();
            assert!(
                is_there.is_ok(),
                "this test needs {program}: cargo xtask setup"
            );
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let spec = "Name: tool\nVersion: 1.2\nRelease: 3.amzn2023\nSummary: x\nLicense: MIT\n\
                    BuildArch: noarch\n%description\nx\n%install\nmkdir -p %{buildroot}/opt/tool\n\
                    echo >%{buildroot}/opt/tool/tool\n%files\n/opt/tool/tool\n";
        fs::write(at("tool.spec"), spec).unwrap();
        let script = format!(
            "exec >/dev/null 2>&1 && rpmbuild -bb --define '_topdir {top}' {top}/tool.spec &&
             rpm --dbpath {top}/db -i --justdb --nodeps {top}/RPMS/noarch/*.rpm",
            top = directory.path().display()
        );
        let made = Command::new("/bin/sh").args(["-c", &script]).status();
        assert!(made.unwrap().success());
        let ask = format!("exec rpm --dbpath {} \"$@\"", at("db"));
        assert_eq!(
            owner(&ask, "/opt/tool/tool").as_deref(),
            Some("tool 1.2-3.amzn2023")
        );
        assert_eq!(owner(&ask, "/bin/sh"), None);
    }
}
