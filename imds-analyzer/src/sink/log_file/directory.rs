//! The directory of a log: opened once, and everything in it reached from there, so
//! that nobody can exchange it meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, fsync, lstat, open,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::{self, Errno};
use rustix::process::geteuid;

use crate::sink::OpenError;

/// Mode of every file of a log: records hold command lines, so its group may read it
/// and nobody else.
const MODE: Mode = Mode::from_raw_mode(0o640);

/// The directory of a log.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory that `log` is in.
    ///
    /// # Errors
    /// It is missing, or reached through a symbolic link in its place.
    pub fn of(log: &Path) -> Result<Self, OpenError> {
        let path = match log.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(|errno| {
            let is_link = lstat(path)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            match errno {
                _ if is_link => OpenError::LinkedDirectory(path.to_owned()),
                Errno::NOENT | Errno::NOTDIR => OpenError::NoDirectory(log.to_owned()),
                errno => OpenError::System {
                    path: log.to_owned(),
                    source: errno.into(),
                },
            }
        })?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Whether only this user, or root, decides what is in it.
    ///
    /// # Errors
    /// Somebody else does.
    pub fn require_ours(&self) -> Result<(), OpenError> {
        let stat = fstat(&self.fd).map_err(|errno| OpenError::System {
            path: self.path.clone(),
            source: errno.into(),
        })?;
        self.judge(&stat, geteuid().as_raw())
    }

    fn judge(&self, stat: &Stat, own: u32) -> Result<(), OpenError> {
        if stat.st_mode & 0o002 != 0 {
            return Err(OpenError::OpenDirectory(self.path.clone()));
        }
        if stat.st_uid != own && stat.st_uid != 0 {
            return Err(OpenError::ForeignDirectory {
                path: self.path.clone(),
                owner: stat.st_uid,
            });
        }
        Ok(())
    }

    /// Whether a regular file has this name, or nothing.
    pub fn has_none_or_file(&self, name: &OsStr) -> bool {
        match self.stat(name) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            Err(errno) => errno == Errno::NOENT,
        }
    }

    /// What stands there by this name; links are not followed.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Opens for reading and appending.
    pub fn open(&self, name: &OsStr, more: OFlags) -> io::Result<File> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            | OFlags::CLOEXEC
            | more;
        openat(&self.fd, name, flags, MODE).map(File::from)
    }

    /// Makes a file that was not there.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        let file = self.open(name, OFlags::CREATE | OFlags::EXCL)?;
        // A file of a log has its mode whatever the umask is.
        fchmod(&file, MODE)?;
        Ok(file)
    }

    /// Opens a file, and makes it if it is not there.
    pub fn open_or_create(&self, name: &OsStr) -> io::Result<File> {
        loop {
            match self.open(name, OFlags::empty()) {
                Err(Errno::NOENT) => {}
                result => return result,
            }
            match self.create(name) {
                // Somebody was faster.
                Err(Errno::EXIST) => {}
                result => return result,
            }
        }
    }

    /// Renames, unless something has the new name.
    pub fn rename_to_free(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // A file system that does not know it.
            Err(Errno::INVAL | Errno::NOSYS) => match self.stat(to) {
                Err(Errno::NOENT) => renameat(&self.fd, from, &self.fd, to),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            },
            result => result,
        }
    }

    /// Gives a file the first of these names that nothing has, compressed or not.
    ///
    /// # Errors
    /// None of a thousand is free, or the system refuses.
    pub fn rename_to_first_free(
        &self,
        from: &OsStr,
        mut names: impl Iterator<Item = OsString>,
    ) -> io::Result<OsString> {
        for _ in 0..1_000 {
            let Some(name) = names.next() else { break };
            let mut compressed = name.clone();
            compressed.push(".gz");
            if self.stat(&compressed).is_ok() {
                continue;
            }
            match self.rename_to_free(from, &name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EXIST)
    }

    /// Removes a file; one that is gone already is fine.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            result => result,
        }
    }

    /// Waits until names are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        fsync(&self.fd)
    }

    /// The regular files in it, with their sizes.
    pub fn files(&self) -> io::Result<Vec<(OsString, u64)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            // One that is gone since is none.
            let Ok(stat) = self.stat(&name) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                files.push((name, u64::try_from(stat.st_size).unwrap_or(0)));
            }
        }
        Ok(files)
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn ours(path: &Path) -> Result<(), OpenError> {
        Directory::of(&path.join("log"))?.require_ours()
    }

    #[test]
    fn own_directory_is_taken() {
        ours(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[test]
    fn directory_that_is_a_link_is_refused_and_named() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("real")).unwrap();
        let link = parent.path().join("link");
        symlink("real", &link).unwrap();
        let error = ours(&link).unwrap_err();
        assert!(matches!(error, OpenError::LinkedDirectory(_)), "{error}");
        assert!(
            error.to_string().contains("link is a symbolic link"),
            "{error}"
        );
    }

    #[test]
    fn directory_that_everybody_may_write_to_is_refused_sticky_or_not() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o1777, 0o702] {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = ours(directory.path()).unwrap_err();
            assert!(
                matches!(error, OpenError::OpenDirectory(_)),
                "{mode:o}: {error}"
            );
        }
    }

    #[test]
    fn directory_of_another_user_is_refused_and_root_s_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let opened = Directory::of(&directory.path().join("log")).unwrap();
        let mut stat = fstat(&opened.fd).unwrap();
        stat.st_uid = 1_000;
        let error = opened.judge(&stat, 0).unwrap_err();
        assert!(
            matches!(error, OpenError::ForeignDirectory { owner: 1_000, .. }),
            "{error}"
        );
        opened.judge(&stat, 1_000).unwrap();
        stat.st_uid = 0;
        opened.judge(&stat, 1_000).unwrap();
    }

    #[test]
    fn file_has_its_mode_whatever_the_umask_is() {
        let directory = tempfile::tempdir().unwrap();
        let opened = Directory::of(&directory.path().join("log")).unwrap();
        // Of no other thread's business: 0640 does not depend on it.
        let file = opened.create(OsStr::new("log")).unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "{mode:o}");
    }

    #[test]
    fn rename_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let opened = Directory::of(&directory.path().join("log")).unwrap();
        let (a, b, c) = (OsStr::new("a"), OsStr::new("b"), OsStr::new("c"));
        assert_eq!(opened.rename_to_free(a, b), Err(Errno::EXIST));
        opened.rename_to_free(a, c).unwrap();
        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"b");
        assert_eq!(fs::read(directory.path().join("c")).unwrap(), b"a");
    }
}
