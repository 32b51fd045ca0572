//! Files below a root that somebody else may own: the host's, or a container's.
//!
//! What is in a container is the container's to choose: a link that leads out of it, a
//! FIFO that nobody writes to, a device that acts when it is opened, a file without an
//! end. So a path is resolved by the kernel within the root (openat2(2), 5.6), only
//! what turns out to be a regular file is opened for reading, and only so much of it is
//! read.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

use super::question::Inside;
use crate::{attribution, record::FileId};

/// Most bytes of `/proc/PID/cgroup` that are read.
const MAX_CGROUP: u64 = 16 * 1024;

/// Most bytes of `/proc/PID/uid_map` that are read: 340 lines are allowed
/// (user_namespaces(7)).
const MAX_UID_MAP: u64 = 16 * 1024;

/// The root directory of the host or of a container.
#[derive(Debug)]
pub(super) struct Root {
    directory: OwnedFd,
}

/// A container's root, and what its user ids are on the host.
pub(super) struct ContainerRoot {
    pub(super) root: Root,
    uid_map: String,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let directory = fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { directory })
    }

    /// What is at `path`, links followed within the root, without opening it.
    fn find(&self, path: &str) -> Option<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // A rename elsewhere at the same moment gives EAGAIN.
        for _ in 0..3 {
            match fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                found => return found.ok(),
            }
        }
        None
    }

    /// Opens a regular file for reading.
    pub(super) fn open_file(&self, path: &str) -> Option<File> {
        reopen(&self.find(path)?, FileType::RegularFile, OFlags::NONBLOCK)
    }

    /// The first `most` bytes of a regular file.
    pub(super) fn read(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(path)?
            .take(most)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    }

    /// Names in a directory, at most `most` of them, in no order.
    pub(super) fn names(&self, path: &str, most: usize) -> Vec<OsString> {
        let directory = self
            .find(path)
            .and_then(|found| reopen(&found, FileType::Directory, OFlags::DIRECTORY))
            .and_then(|directory| Dir::new(directory).ok());
        directory
            .into_iter()
            .flatten()
            .map_while(Result::ok)
            .take(most)
            .map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()))
            .filter(|name| name != "." && name != "..")
            .collect()
    }

    /// Which file is at `path`.
    pub(super) fn file_id(&self, path: &str) -> Option<FileId> {
        let found = self.find(path)?;
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let file = fs::statx(&found, "", flags, StatxFlags::INO).ok()?;
        Some(FileId {
            device: fs::makedev(file.stx_dev_major, file.stx_dev_minor),
            inode: file.stx_ino,
        })
    }
}

/// Opens for reading what was found, if it is of the kind that is wanted: the
/// descriptor already is that very file, so it can't become another.
fn reopen(found: &OwnedFd, wanted: FileType, flags: OFlags) -> Option<File> {
    let kind = FileType::from_raw_mode(fs::fstat(found).ok()?.st_mode);
    if kind != wanted {
        return None;
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    fs::openat(CWD, link, flags, Mode::empty())
        .ok()
        .map(File::from)
}

impl ContainerRoot {
    /// The root of a container, by the first of some processes that is in it.
    ///
    /// All is read through one open directory, which the kernel ties to the process,
    /// and the process is asked which container it is in: so its id may be used again
    /// in between, and what is found is still of that container.
    pub(super) fn of(proc: &Path, pids: &[u32], inside: &Inside) -> Option<Self> {
        pids.iter().find_map(|pid| {
            let process = Root::open(&proc.join(pid.to_string())).ok()?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = fs::openat(&process.directory, "root", flags, Mode::empty()).ok()?;
            let uid_map = process.read("uid_map", MAX_UID_MAP).unwrap_or_default();
            let cgroup = process.read("cgroup", MAX_CGROUP)?;
            let container = attribution::container_of(&String::from_utf8_lossy(&cgroup))?;
            let is_it = container.id == inside.id
                && container.inner_id == inside.inner_id
                && !container.delegated;
            is_it.then(|| Self {
                root: Root { directory },
                uid_map: String::from_utf8_lossy(&uid_map).into_owned(),
            })
        })
    }

    /// The id that the container has for a user of the host (user_namespaces(7):
    /// `inside outside length`).
    pub(super) fn uid_inside(&self, uid: u32) -> Option<u32> {
        self.uid_map.lines().find_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let mut number = || numbers.next()?.ok();
            let (inside, outside, length) = (number()?, number()?, number()?);
            let offset = uid.checked_sub(outside)?;
            (offset < length)
                .then(|| inside.checked_add(offset))
                .flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, process::Command};

    use super::*;

    fn tree() -> (tempfile::TempDir, Root) {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("root/etc")).unwrap();
        std::fs::write(tree.path().join("root/etc/passwd"), "inside").unwrap();
        std::fs::write(tree.path().join("secret"), "outside").unwrap();
        let root = Root::open(&tree.path().join("root")).unwrap();
        (tree, root)
    }

    fn text(root: &Root, path: &str) -> Option<String> {
        root.read(path, 100)
            .map(|it| String::from_utf8(it).unwrap())
    }

    #[test]
    fn file_is_read_and_no_more_than_was_asked_for() {
        let (_tree, root) = tree();
        assert_eq!(text(&root, "/etc/passwd").as_deref(), Some("inside"));
        assert_eq!(root.read("/etc/passwd", 2).as_deref(), Some(&b"in"[..]));
        assert_eq!(text(&root, "/etc/none"), None);
    }

    #[test]
    fn links_are_followed_within_the_root_only() {
        let (tree, root) = tree();
        let link = |to: &str, name: &str| symlink(to, tree.path().join("root").join(name)).unwrap();
        link("/etc/passwd", "absolute");
        link("etc/../etc/passwd", "relative");
        link("../secret", "up");
        link("../../../../../../../../etc/passwd", "further_up");
        link(tree.path().join("secret").to_str().unwrap(), "out");
        link("loop", "loop");
        link("/proc/self/exe", "magic");
        assert_eq!(text(&root, "absolute").as_deref(), Some("inside"));
        assert_eq!(text(&root, "relative").as_deref(), Some("inside"));
        assert_eq!(text(&root, "further_up").as_deref(), Some("inside"));
        for name in ["up", "out", "loop", "magic", "../secret", "/../secret"] {
            assert_eq!(text(&root, name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let (tree, root) = tree();
        let fifo = tree.path().join("root/fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        // Opening it for reading would wait for a writer.
        assert_eq!(text(&root, "fifo"), None);
        assert_eq!(text(&root, "etc"), None);
        let device = Root::open(Path::new("/dev")).unwrap();
        assert_eq!(device.read("zero", 100), None);
    }

    #[test]
    fn names_are_bounded() {
        let (tree, root) = tree();
        for name in 0..50 {
            std::fs::write(tree.path().join(format!("root/etc/{name}")), "").unwrap();
        }
        assert!(root.names("etc", 10).len() <= 10);
        assert_eq!(root.names("etc", 1_000).len(), 51);
        assert_eq!(root.names("etc/passwd", 10).len(), 0);
    }

    #[test]
    fn file_is_the_same_by_every_path() {
        let (tree, root) = tree();
        symlink("etc", tree.path().join("root/usr")).unwrap();
        assert_eq!(root.file_id("/etc/passwd"), root.file_id("/usr/passwd"));
        assert!(root.file_id("/etc/passwd").is_some());
        assert_ne!(root.file_id("/etc/passwd"), root.file_id("/etc"));
    }

    #[test]
    fn user_ids_are_translated_into_a_container() {
        let root = |uid_map: &str| ContainerRoot {
            root: Root::open(Path::new("/")).unwrap(),
            uid_map: uid_map.to_owned(),
        };
        let mapped = root("         0     100000      65536\n     70000       1000          1\n");
        assert_eq!(mapped.uid_inside(100_033), Some(33));
        assert_eq!(mapped.uid_inside(1_000), Some(70_000));
        assert_eq!(mapped.uid_inside(165_536), None);
        assert_eq!(mapped.uid_inside(0), None);
        assert_eq!(root("0 0 4294967295").uid_inside(5), Some(5));
        for nonsense in ["", "x", "0 0", "4294967295 0 10", "-1 0 5"] {
            assert_eq!(root(nonsense).uid_inside(3), None, "{nonsense}");
        }
    }
}
