//! Trees like Debian's, and the one of this machine.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::*;

/// A root with packages.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            root: tempfile::tempdir().unwrap(),
        };
        host.write(STATUS, "");
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Installs a package: `list` is what its list is called.
    fn install(&self, list: &str, version: &str, paths: &[&str]) {
        self.write(
            &format!("{INFO}/{list}.list"),
            &format!("/.\n/usr\n{}\n", paths.join("\n")),
        );
        let (name, architecture) = list.split_once(':').unwrap_or((list, "amd64"));
        let stanza = format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: {version}\nDescription: of\n Package: none\n\n"
        );
        let status = fs::read_to_string(self.at(STATUS)).unwrap();
        self.write(STATUS, &format!("{status}{stanza}"));
    }

    fn owner(&self, path: &str) -> Option<String> {
        let root = Root::open(self.root.path()).unwrap();
        owner(&root, path, later()).map(words)
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn words(package: Package) -> String {
    assert_eq!(package.manager, "dpkg");
    format!(
        "{} {}",
        package.name,
        package.version.unwrap_or("-".to_owned())
    )
}

#[test]
fn owner_is_found_with_its_version() {
    let host = Host::new();
    host.install("wget", "1.21.3-1+b2", &["/usr/bin/wget"]);
    host.install("curl", "7.88.1-10+deb12u5", &["/usr/bin", "/usr/bin/curl"]);
    assert_eq!(
        host.owner("/usr/bin/curl").as_deref(),
        Some("curl 7.88.1-10+deb12u5")
    );
    assert_eq!(
        host.owner("/usr/bin/wget").as_deref(),
        Some("wget 1.21.3-1+b2")
    );
}

#[test]
fn part_of_a_path_is_no_owner() {
    let host = Host::new();
    host.install(
        "x",
        "1",
        &[
            "/usr/bin/curl-config",
            "/opt/usr/bin/curl",
            "/usr/bin/curl ",
        ],
    );
    assert_eq!(host.owner("/usr/bin/curl"), None);
    assert_eq!(host.owner("/home/ada/curl"), None);
}

#[test]
fn last_line_needs_no_end() {
    let host = Host::new();
    host.write(&format!("{INFO}/a.list"), "/usr/bin/a");
    assert_eq!(host.owner("/usr/bin/a").as_deref(), Some("a -"));
}

#[test]
fn path_from_before_the_merge_is_the_same_file() {
    let host = Host::new();
    host.write("/usr/bin/bash", "");
    host.write("/usr/bin/env", "");
    symlink("usr/bin", host.at("/bin")).unwrap();
    host.install("bash", "5.2", &["/bin/bash"]);
    host.install("coreutils", "9.1", &["/usr/bin/env"]);
    assert_eq!(host.owner("/usr/bin/bash").as_deref(), Some("bash 5.2"));
    assert_eq!(host.owner("/bin/env").as_deref(), Some("coreutils 9.1"));
}

#[test]
fn path_without_a_merge_is_another_file() {
    let host = Host::new();
    host.write("/usr/bin/bash", "");
    host.write("/bin/bash", "");
    host.install("bash", "5.2", &["/bin/bash"]);
    assert_eq!(host.owner("/usr/bin/bash"), None);
    assert_eq!(host.owner("/bin/bash").as_deref(), Some("bash 5.2"));
}

#[test]
fn architecture_in_a_list_s_name_chooses_the_version() {
    let host = Host::new();
    host.install("libc6:i386", "2.36-8", &["/usr/lib/i386-linux-gnu/ld.so"]);
    host.install(
        "libc6:amd64",
        "2.36-9",
        &["/usr/lib/x86_64-linux-gnu/ld.so"],
    );
    assert_eq!(
        host.owner("/usr/lib/x86_64-linux-gnu/ld.so").as_deref(),
        Some("libc6 2.36-9")
    );
    assert_eq!(
        host.owner("/usr/lib/i386-linux-gnu/ld.so").as_deref(),
        Some("libc6 2.36-8")
    );
}

#[test]
fn diverted_file_is_still_its_own_package_s() {
    let host = Host::new();
    host.install("dash", "0.5", &["/usr/bin/sh"]);
    host.install("busybox", "1.35", &["/usr/bin/sh"]);
    host.write(DIVERSIONS, "/usr/bin/sh\n/usr/bin/sh.distrib\nbusybox\n");
    assert_eq!(host.owner("/usr/bin/sh").as_deref(), Some("busybox 1.35"));
    assert_eq!(
        host.owner("/usr/bin/sh.distrib").as_deref(),
        Some("dash 0.5")
    );
}

#[test]
fn file_that_an_administrator_put_there_is_of_no_package() {
    let host = Host::new();
    host.install("curl", "7", &["/usr/bin/curl"]);
    host.write(DIVERSIONS, "/usr/bin/curl\n/usr/bin/curl.orig\n:\n");
    assert_eq!(host.owner("/usr/bin/curl"), None);
    assert_eq!(host.owner("/usr/bin/curl.orig").as_deref(), Some("curl 7"));
}

#[test]
fn hostile_database_neither_harms_nor_lies() {
    let host = Host::new();
    let fifo = host.at(&format!("{INFO}/fifo.list"));
    fs::create_dir_all(fifo.parent().unwrap()).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    symlink("/dev/zero", host.at(&format!("{INFO}/zero.list"))).unwrap();
    fs::create_dir(host.at(&format!("{INFO}/directory.list"))).unwrap();
    for name in ["a\u{1b}[2J", "evil name", ""] {
        host.write(&format!("{INFO}/{name}.list"), "/usr/bin/curl\n");
    }
    assert_eq!(host.owner("/usr/bin/curl"), None);
    host.install("curl", "1\u{1b}[2J", &["/usr/bin/curl"]);
    assert_eq!(host.owner("/usr/bin/curl").as_deref(), Some("curl -"));
    host.write(DIVERSIONS, "/usr/bin/curl\n");
    assert_eq!(host.owner("/usr/bin/curl").as_deref(), Some("curl -"));
}

#[test]
fn search_ends_at_its_deadline() {
    let host = Host::new();
    host.install("curl", "7", &["/usr/bin/curl"]);
    let root = Root::open(host.root.path()).unwrap();
    let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(owner(&root, "/usr/bin/curl", past), None);
}

#[test]
fn host_without_a_database_has_no_owners() {
    let empty = tempfile::tempdir().unwrap();
    let root = Root::open(empty.path()).unwrap();
    assert!(!is_there(&root));
    assert_eq!(owner(&root, "/usr/bin/curl", later()), None);
}

/// What dpkg itself says of the files of this machine.
#[test]
fn dpkg_of_this_machine_says_the_same() {
    let root = Root::open(Path::new("/")).unwrap();
    if !is_there(&root) {
        return not_checked("lookups in dpkg's files, because this machine has none");
    }
    let mut checked = 0;
    for program in [
        "/bin/sh",
        "/bin/cat",
        "/usr/bin/env",
        "/usr/bin/perl",
        "/usr/bin/dpkg",
    ] {
        let Ok(path) = fs::canonicalize(program) else {
            continue;
        };
        let path = path.to_str().unwrap();
        let found = owner(&root, path, later()).map(words);
        let expected = dpkg(path).or_else(|| dpkg(path.strip_prefix("/usr")?));
        assert_eq!(found, expected, "{path}");
        checked += usize::from(expected.is_some());
    }
    assert!(checked > 0);
}

/// Says in a way that no test runner hides that something was not checked; in CI that
/// is a failure.
fn not_checked(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    let mut stderr = std::io::stderr();
    writeln!(stderr, "\n*** NOT CHECKED: {what}\n").unwrap();
}

fn dpkg(path: &str) -> Option<String> {
    let run = |args: &[&str]| {
        let said = Command::new("dpkg-query")
            .args(args)
            .env("LC_ALL", "C")
            .output()
            .ok()?;
        said.status
            .success()
            .then(|| String::from_utf8(said.stdout).unwrap())
    };
    let said = run(&["--search", path])?;
    let line = said
        .lines()
        .find(|line| !line.starts_with("diversion by"))?;
    let package = line.split_once(": ")?.0;
    let version = run(&["--show", "--showformat=${Package} ${Version}", package])?;
    Some(version)
}
