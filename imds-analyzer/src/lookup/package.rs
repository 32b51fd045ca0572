//! Which package owns an executable: the databases, one after the other.

use std::time::Instant;

use super::{dpkg, root::Root, rpm::Rpm};
use crate::record::{FileId, Package};

/// The package that owns the file at `path` below `root`, if that is the file that was
/// run: in another mount namespace, a path can lead elsewhere, and a package may have
/// replaced the file since.
///
/// `rpm` is asked where dpkg does not know.
pub(super) fn owner(
    root: &Root,
    path: &str,
    file: FileId,
    rpm: Option<&mut Rpm>,
    deadline: Instant,
) -> Option<Package> {
    if root.file_id(path) != Some(file) {
        return None;
    }
    let by_dpkg = dpkg::is_there(root).then(|| dpkg::owner(root, path, deadline));
    by_dpkg.flatten().or_else(|| rpm?.owner(path))
}
