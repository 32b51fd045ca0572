//! Whether `/proc` shows the program that the kernel side told of, and what a record
//! shows of its file.
//!
//! Between a send and the look at `/proc` a process may have executed another program.
//! Device and inode of the file tell them apart. On overlayfs and btrfs stat(2) gives
//! another device or inode than the kernel has (Documentation/filesystems/overlayfs.rst,
//! "Inode properties"), so the same whole path will do as well: a program that was
//! replaced by another file of the same path within that moment is taken for the same.

use std::path::Path;

use super::recent::Weight;
use crate::{
    capture::{FileId, Program},
    record::ExecutableState,
    redact,
};

/// What Linux appends to the path of a file that has none any more (fs/d_path.c).
const DELETED: &[u8] = b" (deleted)";
/// What names of memfd_create(2) begin with (mm/memfd.c).
const MEMFD: &[u8] = b"/memfd:";

/// The executable of a live process, as `/proc/PID/exe` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executable {
    /// The file; `None` if it could not be asked.
    pub(super) file: Option<FileId>,
    /// Its path, as the link has it.
    pub(super) path: Vec<u8>,
}

impl Executable {
    /// Whether it is `file`, of which the kernel side knew no path.
    pub(super) fn is(&self, file: FileId) -> Option<bool> {
        self.file.map(|own| own == file)
    }

    /// Whether it is that of `program`. `None` if that cannot be told.
    pub(super) fn is_of(&self, program: &Program) -> Option<bool> {
        let same_file = self.is(program.file?);
        let same_path = program
            .path
            .as_ref()
            .map(|path| !program.deleted && *path == self.path);
        match (same_file, same_path) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, None) => None,
            _ => Some(false),
        }
    }

    /// What to show of it.
    pub(super) fn shown(&self) -> Shown {
        let memfd = self.path.starts_with(MEMFD);
        // A name may end so of itself; then the file is there.
        let path = match self.path.strip_suffix(DELETED) {
            Some(path) if self.file.is_none() || !self.is_at_its_path() => path,
            _ => return Shown::new(&self.path, None),
        };
        let state = if memfd {
            ExecutableState::Memfd
        } else {
            ExecutableState::Deleted
        };
        Shown::new(path, Some(state))
    }

    fn is_at_its_path(&self) -> bool {
        use std::os::unix::ffi::OsStrExt as _;

        let path = Path::new(std::ffi::OsStr::from_bytes(&self.path));
        file_at(path).is_some_and(|file| Some(file) == self.file)
    }
}

/// The file at `path`, links followed.
pub(super) fn file_at(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::metadata(path).ok()?;
    Some(FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// An executable as a record shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Path, escaped and free of secrets.
    pub(super) path: String,
    /// What is special about it.
    pub(super) state: Option<ExecutableState>,
}

impl Shown {
    fn new(path: &[u8], state: Option<ExecutableState>) -> Self {
        Self {
            path: redact::text(path),
            state,
        }
    }

    /// That of `program`, if its path was to be had.
    pub(super) fn of(program: &Program) -> Option<Self> {
        let path = program.path.as_ref()?;
        let state = if program.in_memory && path.starts_with(MEMFD) {
            Some(ExecutableState::Memfd)
        } else {
            (program.deleted || program.in_memory).then_some(ExecutableState::Deleted)
        };
        Some(Self::new(path, state))
    }
}

impl Weight for Shown {
    fn heap_bytes(&self) -> usize {
        self.path.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURL: FileId = FileId {
        device: 1,
        inode: 10,
    };

    fn live(file: Option<FileId>, path: &str) -> Executable {
        Executable {
            file,
            path: path.into(),
        }
    }

    fn told(path: Option<&str>) -> Program {
        Program {
            file: Some(CURL),
            path: path.map(Into::into),
            ..Program::default()
        }
    }

    #[test]
    fn same_file_is_the_same_program_whatever_its_path() {
        let moved = live(Some(CURL), "/usr/bin/curl.old");
        assert_eq!(moved.is_of(&told(Some("/usr/bin/curl"))), Some(true));
    }

    #[test]
    fn same_path_will_do_where_stat_gives_other_numbers() {
        let overlay = live(
            Some(FileId {
                device: 2,
                inode: 10,
            }),
            "/usr/bin/curl",
        );
        assert_eq!(overlay.is_of(&told(Some("/usr/bin/curl"))), Some(true));
        assert_eq!(overlay.is_of(&told(None)), Some(false));
    }

    #[test]
    fn other_file_at_another_path_is_another_program() {
        let sleep = live(
            Some(FileId {
                device: 1,
                inode: 11,
            }),
            "/usr/bin/sleep",
        );
        assert_eq!(sleep.is_of(&told(Some("/usr/bin/curl"))), Some(false));
    }

    #[test]
    fn deleted_program_is_not_the_new_file_at_its_path() {
        let new = live(
            Some(FileId {
                device: 1,
                inode: 11,
            }),
            "/usr/bin/curl",
        );
        let deleted = Program {
            deleted: true,
            ..told(Some("/usr/bin/curl"))
        };
        assert_eq!(new.is_of(&deleted), Some(false));
    }

    #[test]
    fn nothing_is_told_apart_without_a_file() {
        assert_eq!(live(None, "/usr/bin/curl").is_of(&told(None)), None);
        assert_eq!(
            live(Some(CURL), "/usr/bin/curl").is_of(&Program::default()),
            None
        );
    }

    #[test]
    fn deleted_and_in_memory_are_said_apart_from_the_path() {
        let shown = live(None, "/tmp/x (deleted)").shown();
        assert_eq!(
            (shown.path.as_str(), shown.state),
            ("/tmp/x", Some(ExecutableState::Deleted))
        );
        let shown = live(None, "/memfd:x (deleted)").shown();
        assert_eq!(
            (shown.path.as_str(), shown.state),
            ("/memfd:x", Some(ExecutableState::Memfd))
        );
    }

    #[test]
    fn file_whose_name_says_deleted_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x (deleted)");
        std::fs::write(&path, "").unwrap();
        let there = live(file_at(&path), path.to_str().unwrap());
        assert_eq!(there.shown().state, None);
    }
}
