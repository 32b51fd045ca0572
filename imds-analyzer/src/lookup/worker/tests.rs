//! Questions about a host and its containers, all made by hand.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use super::*;
use crate::record::FileId;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("usr/bin/curl", "host");
        host.database("", "host");
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A database of dpkg in `root`, where curl is of `package`.
    fn database(&self, root: &str, package: &str) {
        self.write(
            &format!("{root}var/lib/dpkg/info/{package}.list"),
            "/usr/bin/curl\n",
        );
        let stanza = format!("Package: {package}\nVersion: 1\n\n");
        self.write(&format!("{root}var/lib/dpkg/status"), &stanza);
    }

    /// A process in the container `id`, whose root is `root`.
    fn process(&self, pid: u32, id: &str, root: &str) {
        let cgroup = format!("0::/system.slice/docker-{id}.scope\n");
        self.write(&format!("proc/{pid}/cgroup"), &cgroup);
        self.write(&format!("proc/{pid}/uid_map"), "0 100000 65536\n");
        fs::create_dir_all(self.0.path().join(root)).unwrap();
        let link = self.0.path().join(format!("proc/{pid}/root"));
        symlink(self.0.path().join(root), link).unwrap();
    }

    fn file(&self, path: &str) -> FileId {
        let metadata = fs::metadata(self.0.path().join(path)).unwrap();
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    fn answer(&self, question: Question, pids: &[u32]) -> Option<String> {
        let ask = Ask {
            question,
            pids: pids.to_vec(),
        };
        match answer(self.0.path(), &ask, &mut Some(None))? {
            Found::Package(package) => Some(package.name),
            Found::User(name) => Some(name),
            other => panic!("{other:?}"),
        }
    }
}

fn inside() -> Inside {
    Inside {
        id: ID.to_owned(),
        inner_id: None,
    }
}

fn package(inside: Option<Inside>, file: FileId) -> Question {
    Question::Package {
        inside,
        path: "/usr/bin/curl".to_owned(),
        file,
    }
}

#[test]
fn executable_of_the_host_is_of_the_host_s_package() {
    let host = Host::new();
    let file = host.file("usr/bin/curl");
    assert_eq!(
        host.answer(package(None, file), &[]).as_deref(),
        Some("host")
    );
}

#[test]
fn another_file_at_the_same_path_is_of_no_package() {
    let host = Host::new();
    host.write("home/evil/curl", "mounted over it");
    let file = host.file("home/evil/curl");
    assert_eq!(host.answer(package(None, file), &[]), None);
}

#[test]
fn executable_of_a_container_is_of_the_container_s_package() {
    let host = Host::new();
    host.process(7, ID, "c/");
    host.write("c/usr/bin/curl", "container");
    host.database("c/", "container");
    let file = host.file("c/usr/bin/curl");
    let found = host.answer(package(Some(inside()), file), &[7]);
    assert_eq!(found.as_deref(), Some("container"));
    let of_host = host.file("usr/bin/curl");
    assert_eq!(host.answer(package(Some(inside()), of_host), &[7]), None);
}

#[test]
fn user_of_a_container_has_the_container_s_name() {
    let host = Host::new();
    host.process(7, ID, "c/");
    host.write("c/etc/passwd", "root:x:0:0::/:\nweb:x:33:33::/:\n");
    let user = |uid| Question::User {
        inside: inside(),
        uid,
    };
    assert_eq!(host.answer(user(100_033), &[7]).as_deref(), Some("web"));
    assert_eq!(host.answer(user(100_000), &[7]).as_deref(), Some("root"));
    assert_eq!(host.answer(user(33), &[7]), None);
}

#[test]
fn process_that_is_not_in_the_container_is_not_asked() {
    let host = Host::new();
    // Ids that were used again: by another container, and by the host.
    host.process(7, OTHER, "other/");
    host.write("other/etc/passwd", "evil:x:0:0::/:\n");
    host.write("proc/8/cgroup", "0::/system.slice/web.service\n");
    symlink("/", host.0.path().join("proc/8/root")).unwrap();
    let user = Question::User {
        inside: inside(),
        uid: 100_000,
    };
    assert_eq!(host.answer(user.clone(), &[7, 8, 9]), None);
    host.process(10, ID, "c/");
    host.write("c/etc/passwd", "root:x:0:0::/:\n");
    assert_eq!(host.answer(user, &[7, 8, 9, 10]).as_deref(), Some("root"));
}

#[test]
fn container_cannot_lead_out_of_itself() {
    let host = Host::new();
    host.process(7, ID, "c/");
    host.write("etc/passwd", "secret:x:0:0::/:\n");
    fs::create_dir_all(host.0.path().join("c/etc")).unwrap();
    symlink("../../etc/passwd", host.0.path().join("c/etc/passwd")).unwrap();
    let user = Question::User {
        inside: inside(),
        uid: 100_000,
    };
    assert_eq!(host.answer(user, &[7]), None);
}

#[test]
fn work_beyond_the_budget_is_not_done() {
    let host = Host::new();
    let mut worker = Worker::new(host.0.path().to_owned());
    // Its time is spent, and none comes to it while the test runs.
    worker.host = Budget::new(Instant::now() + Duration::from_secs(1_000_000));
    worker.host.spend(Duration::from_secs(1_000_000));
    let ask = Ask {
        question: package(None, host.file("usr/bin/curl")),
        pids: Vec::new(),
    };
    let mut rpm = Some(None);
    assert_eq!(worker.within_budget(&ask, &mut rpm), Found::NotNow);
    worker.host = Budget::new(Instant::now());
    let found = worker.within_budget(&ask, &mut rpm);
    assert!(matches!(found, Found::Package(_)), "{found:?}");
}

#[test]
fn search_that_was_given_up_is_done_again() {
    assert_eq!(nothing_after(SEARCH_WITHIN / 2), Found::Nothing);
    assert_eq!(nothing_after(SEARCH_WITHIN), Found::NotNow);
}
