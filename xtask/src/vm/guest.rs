//! What the VM's root file system holds besides our own two programs: busybox
//! and the clients that the suite runs, taken from this machine's packages with
//! the libraries they need.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::CommandExt as _;

/// Programs copied from this machine.
const PROGRAMS: &[&str] = &["bash", "busybox", "curl", "ip", "perl", "python3", "wget"];
/// Where Debian installs programs. `$PATH` won't do: it may name a version manager's Python.
const PROGRAM_DIRS: [&str; 2] = ["/usr/bin", "/usr/sbin"];
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
/// Parts of Python's library that no client needs: half of its size.
const PYTHON_LEFT_OUT: &[&str] = &[
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
    "tkinter",
    "turtledemo",
    "unittest",
    "venv",
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

/// Puts the base of the guest's root file system together.
pub(super) fn base() -> Result<Tree> {
    let mut guest = Guest {
        tree: skeleton(),
        binaries: Vec::new(),
    };
    guest.add_applets()?;
    for program in PROGRAMS {
        guest.add_program(program)?;
    }
    guest.add_python_library()?;
    guest.add_perl_library()?;
    guest.add_shared_libraries()?;
    Ok(guest.tree)
}

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

struct Guest {
    tree: Tree,
    /// Files whose shared libraries have to come along.
    binaries: Vec<PathBuf>,
}

impl Guest {
    /// A link to busybox for each of its applets; real programs replace them.
    fn add_applets(&mut self) -> Result<()> {
        let applets = Command::new(find_program("busybox")?)
            .arg("--list")
            .read()?;
        for applet in applets.lines() {
            self.tree
                .insert(format!("usr/bin/{applet}"), Node::Link("busybox".into()));
        }
        Ok(())
    }

    fn add_program(&mut self, name: &str) -> Result<()> {
        let path = find_program(name)?;
        let file = self.add(&path)?;
        // The static one: ldd would fail on it.
        if name != "busybox" {
            self.binaries.push(file);
        }
        Ok(())
    }

    fn add_python_library(&mut self) -> Result<()> {
        let python = find_program("python3")?;
        let library = Command::new(python)
            .args([
                "-I",
                "-c",
                "import sysconfig; print(sysconfig.get_path('stdlib'))",
            ])
            .read()?;
        self.add_tree(Path::new(library.trim()), &|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !PYTHON_LEFT_OUT.contains(&&*name) && !name.starts_with("config-")
        })
    }

    /// Perl's core modules: sockets are among them.
    fn add_perl_library(&mut self) -> Result<()> {
        let paths = Command::new(find_program("perl")?)
            .args(["-e", "print map {\"$_\\n\"} @INC"])
            .read()?;
        let base = paths
            .lines()
            .find(|path| path.ends_with("/perl-base"))
            .context("perl's @INC has no perl-base: is this not Debian's perl?")?;
        self.add_tree(Path::new(base), &|_| true)
    }

    fn add_shared_libraries(&mut self) -> Result<()> {
        let listing = Command::new("ldd")
            // Cargo points it at its own libraries.
            .env_remove("LD_LIBRARY_PATH")
            .args(&self.binaries)
            .read()?;
        for library in library_paths(&listing) {
            self.add(Path::new(library))?;
            // Opened by name when a thread ends, so ldd doesn't show it.
            if library.contains("/libc.so.") {
                self.add(&Path::new(library).with_file_name("libgcc_s.so.1"))?;
            }
        }
        Ok(())
    }

    /// Adds `path` and what it links to, each at its own place; returns the file at the end.
    fn add(&mut self, path: &Path) -> Result<PathBuf> {
        let dir = path.parent().unwrap_or(path);
        let dir = dir
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", dir.display()))?;
        let name = path
            .file_name()
            .with_context(|| format!("no name in {}", path.display()))?;
        let path = dir.join(name);
        let meta = fs::symlink_metadata(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let place = guest_path(&path)?;
        if meta.is_symlink() {
            let target = fs::read_link(&path)?;
            insert_with_parents(
                &mut self.tree,
                &place,
                Node::Link(text(&target)?.to_owned()),
            );
            return self.add(&dir.join(target));
        }
        insert_with_parents(&mut self.tree, &place, Node::Copy(path.clone()));
        Ok(path)
    }

    fn add_tree(&mut self, dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
        let entries = dir
            .read_dir()
            .with_context(|| format!("cannot read {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            if !wanted(&path) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                self.add_tree(&path, wanted)?;
            } else if path.exists() {
                let file = self.add(&path)?;
                if file.extension().is_some_and(|extension| extension == "so") {
                    self.binaries.push(file);
                }
            }
        }
        Ok(())
    }
}

fn find_program(name: &str) -> Result<PathBuf> {
    for dir in PROGRAM_DIRS {
        let path = Path::new(dir).join(name);
        if path.exists() {
            return Ok(path);
        }
    }
    bail!(
        "no {name} in {}: run `cargo xtask setup`",
        PROGRAM_DIRS.join(" or ")
    )
}

fn insert_with_parents(tree: &mut Tree, path: &str, node: Node) {
    for (slash, _) in path.match_indices('/') {
        tree.entry(path[..slash].to_owned())
            .or_insert(Node::Directory);
    }
    tree.insert(path.to_owned(), node);
}

/// Where a file of this machine lies in the guest.
fn guest_path(path: &Path) -> Result<String> {
    let path: PathBuf = path
        .components()
        .filter(|part| *part != Component::RootDir)
        .collect();
    let path = text(&path)?;
    Ok(
        if MERGED
            .iter()
            .any(|dir| path.split('/').next() == Some(*dir))
        {
            format!("usr/{path}")
        } else {
            path.to_owned()
        },
    )
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The paths in ldd's output: `libc.so.6 => /lib/… (0x…)` and `/lib64/ld-… (0x…)`.
fn library_paths(listing: &str) -> Vec<&str> {
    let mut paths: Vec<_> = listing
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix('\t')?;
            let path = line.split_once("=> ").map_or(line, |(_, path)| path);
            path.split(" (0x")
                .next()
                .filter(|path| path.starts_with('/'))
        })
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_several_programs_are_listed_once() {
        let listing = "/usr/bin/a:\n\
                       \tlinux-vdso.so.1 (0x00007f3a53d99000)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3a53a7c000)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f3a53d9b000)\n\
                       /usr/bin/b:\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3a53a7c000)\n";
        assert_eq!(
            library_paths(listing),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }

    #[test]
    fn file_of_an_unmerged_root_goes_below_usr() {
        assert_eq!(guest_path(Path::new("/bin/ip")).unwrap(), "usr/bin/ip");
        assert_eq!(guest_path(Path::new("/usr/bin/ip")).unwrap(), "usr/bin/ip");
        assert_eq!(guest_path(Path::new("/etc/hosts")).unwrap(), "etc/hosts");
    }

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
