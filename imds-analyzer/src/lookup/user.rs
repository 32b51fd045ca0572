//! Names of users in a container, from its own passwd file.

use std::io::{BufReader, Read as _};

use super::root::ContainerRoot;
use crate::attribution;

/// Most of a container's passwd file that is read, bytes.
const MAX_FILE: u64 = 1 << 20;

/// The name that a container has for a user of the host.
pub(super) fn name(container: &ContainerRoot, uid: u32) -> Option<String> {
    let inside = container.uid_inside(uid)?;
    let passwd = container.root.open_file("/etc/passwd")?;
    attribution::name_in_passwd(BufReader::new(passwd.take(MAX_FILE)), inside)
}
