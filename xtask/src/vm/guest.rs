//! What the lean guest's root file system holds besides our own two programs:
//! directories, a console, and files that name users and hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Merged into /usr, as on every current distribution.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
const DIRECTORIES: &[&str] = &[
    "dev",
    "etc",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/sbin",
    "var/log",
    "var/tmp",
];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
                      daemon:x:1:1:daemon:/:/bin/false\n\
                      app:x:1000:1000:app:/:/bin/bash\n\
                      nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\napp:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// A member of the guest's file system.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    /// A copy of this file.
    Copy(PathBuf),
    /// A file with this text.
    Text(&'static str),
    Link(String),
    /// A character device.
    Device(u32, u32),
}

/// Paths without a leading slash, parents before children.
pub(super) type Tree = BTreeMap<String, Node>;

/// Directories, and what names users and hosts.
pub(super) fn skeleton() -> Tree {
    let mut tree = Tree::new();
    for dir in DIRECTORIES {
        insert_with_parents(&mut tree, dir, Node::Directory);
    }
    for name in MERGED {
        tree.insert(name.into(), Node::Link(format!("usr/{name}")));
    }
    tree.insert("dev/console".into(), Node::Device(5, 1));
    tree.insert("etc/passwd".into(), Node::Text(PASSWD));
    tree.insert("etc/group".into(), Node::Text(GROUP));
    tree.insert("etc/hosts".into(), Node::Text(HOSTS));
    tree
}

fn insert_with_parents(tree: &mut Tree, path: &str, node: Node) {
    for (slash, _) in path.match_indices('/') {
        tree.entry(path[..slash].to_owned())
            .or_insert(Node::Directory);
    }
    tree.insert(path.to_owned(), node);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_children() {
        let mut tree = Tree::new();
        insert_with_parents(&mut tree, "usr/lib/a/b", Node::Text(""));
        assert_eq!(
            tree.keys().collect::<Vec<_>>(),
            ["usr", "usr/lib", "usr/lib/a", "usr/lib/a/b"]
        );
    }

    #[test]
    fn skeleton_has_a_console_and_merged_directories() {
        let tree = skeleton();
        assert_eq!(tree["dev/console"], Node::Device(5, 1));
        assert_eq!(tree["lib64"], Node::Link("usr/lib64".into()));
        assert_eq!(tree["usr/lib64"], Node::Directory);
    }
}
