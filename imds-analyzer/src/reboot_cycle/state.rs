//! What `start` found, kept in a file until `finish` has put it back.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::CycleError;
use crate::report::Beginning;

/// Version of the file. Another one is not read.
const VERSION: u32 = 1;
/// Longest file that is read, bytes.
const MAX_BYTES: u64 = 4096;

/// When a cycle began, and what the service was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub beginning: Beginning,
    pub was_enabled: bool,
    pub was_active: bool,
}

/// The file's content.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    began: String,
    boot_id: String,
    boottime_us: u64,
    was_enabled: bool,
    was_active: bool,
}

/// The path of the file.
#[derive(Clone, Copy, Debug)]
pub struct StateFile<'a>(pub &'a Path);

impl StateFile<'_> {
    /// What a cycle that is going on has left; `None` if there is none.
    ///
    /// # Errors
    /// If there is something else at its place, or it can't be read.
    pub fn read(&self) -> Result<Option<State>, CycleError> {
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.0)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(CycleError::Privilege("status"));
            }
            Err(error) => return Err(self.failed("read", error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed("read", error))?;
        let damaged = || CycleError::Damaged(self.0.to_owned());
        let content: Content = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if content.version != VERSION {
            return Err(damaged());
        }
        Ok(Some(State {
            beginning: Beginning {
                at: content.began.parse().map_err(|_| damaged())?,
                boot_id: content.boot_id,
                boottime_us: content.boottime_us,
            },
            was_enabled: content.was_enabled,
            was_active: content.was_active,
        }))
    }

    /// Writes it, whole or not at all, so that it survives a crash right after.
    ///
    /// # Errors
    /// If the directory is not ours, or the disk does not take it.
    pub fn write(&self, state: &State) -> Result<(), CycleError> {
        let content = Content {
            version: VERSION,
            began: state.beginning.at.to_string(),
            boot_id: state.beginning.boot_id.clone(),
            boottime_us: state.beginning.boottime_us,
            was_enabled: state.was_enabled,
            was_active: state.was_active,
        };
        let directory = self.directory()?;
        let new = self.0.with_added_extension("new");
        let written = serde_json::to_vec(&content)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(self.0, &new, &bytes))
            .and_then(|()| File::open(directory)?.sync_all());
        written.map_err(|error| self.failed("write", error))
    }

    /// Removes it. One that is gone already is no error.
    ///
    /// # Errors
    /// If it can't be removed.
    pub fn remove(&self) -> Result<(), CycleError> {
        match fs::remove_file(self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", error))
            }
            _ => Ok(()),
        }
    }

    /// The directory, made if need be as the unit would make it. In one of somebody else's,
    /// what is read later need not be what was written.
    fn directory(&self) -> Result<&Path, CycleError> {
        let directory = self.0.parent().unwrap_or(Path::new("/"));
        let made = DirBuilder::new().mode(0o750).create(directory);
        if let Err(error) = made
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(CycleError::State {
                what: "make",
                path: directory.to_owned(),
                source: error,
            });
        }
        let found = fs::symlink_metadata(directory).map_err(|error| self.failed("write", error))?;
        let is_ours = found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
        if !found.is_dir() || !is_ours {
            return Err(CycleError::Directory(directory.to_owned()));
        }
        Ok(directory)
    }

    fn failed(&self, what: &'static str, source: io::Error) -> CycleError {
        CycleError::State {
            what,
            path: self.0.to_owned(),
            source,
        }
    }
}

fn replace(place: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, place)
}
