//! A private network namespace in which 169.254.169.254 is this machine.
//!
//! Nothing here may ever send a packet to the IMDS of the machine it runs on:
//! everything that connects goes through [`Netns::enter`] or is a process made
//! by [`Netns::command`], and a process that was told to connect calls
//! [`require_private`] or [`require_joined`] first.
//!
//! The namespace lives as long as the descriptor that this process holds on it
//! and the processes inside: nothing is mounted, so nothing is left behind,
//! whatever way the process ends.

mod cable;
mod guard;
mod links;
mod message;
mod router;
mod rtnetlink;

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::{fd::AsRawFd, unix::fs::MetadataExt as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, ensure};

use self::rtnetlink::{LOOPBACK, Rtnetlink};
pub use self::{
    cable::Cable,
    guard::{require_joined, require_private},
    links::Impairment,
    router::Routed,
};

/// Address of IMDS over IPv4 (EC2 User Guide, "Access instance metadata").
pub const IMDS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Address of IMDS over IPv6 (the same chapter).
pub const IMDS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

/// Address of the ECS agent's credentials ("Task IAM role", Amazon ECS Developer Guide).
pub const ECS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// Addresses of the EKS Pod Identity Agent (Amazon EKS User Guide).
pub const EKS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// As [`EKS_V4`], over IPv6.
pub const EKS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23);

/// A network namespace made by this process, holding nothing but `lo`, or `lo` and
/// an end of a [`Cable`], or of [`Routed`] namespaces.
#[derive(Debug)]
pub struct Netns {
    file: Arc<File>,
    path: PathBuf,
    inode: u64,
    /// The namespaces that it is joined to, also by way of others.
    others: Vec<Arc<File>>,
}

impl Netns {
    /// Makes a namespace, brings its `lo` up and gives it the addresses of IMDS and of
    /// what hands out credentials to containers.
    ///
    /// Clients inside connect from 127.0.0.1 and ::1, as server and client would
    /// otherwise share one address and each reply would look like a request's
    /// destination.
    ///
    /// # Errors
    ///
    /// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
    pub fn new() -> Result<Self> {
        let file = make(|| {
            configure().context("cannot configure the new network namespace")?;
            require_private()
        })?;
        Self::of(Arc::new(file), Vec::new())
    }

    fn of(file: Arc<File>, others: Vec<Arc<File>>) -> Result<Self> {
        Ok(Self {
            inode: file.metadata()?.ino(),
            path: path_of(&file),
            file,
            others,
        })
    }

    /// Paths to the namespaces that it is joined to: what a process inside has to know
    /// for [`require_joined`].
    pub fn other_paths(&self) -> impl Iterator<Item = PathBuf> {
        self.others.iter().map(|other| path_of(other))
    }

    /// A path that other processes can open to reach this namespace.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Inode of the namespace, as records name it.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `work` in a thread of this process that is inside the namespace.
    ///
    /// # Errors
    ///
    /// Those of `work`, and those of entering.
    pub fn enter<T, F>(&self, work: F) -> Result<T>
    where
        T: Send,
        F: FnOnce() -> Result<T> + Send,
    {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    enter(&self.file).context("cannot enter the namespace")?;
                    if self.others.is_empty() {
                        require_private()?;
                    } else {
                        require_joined(&self.others)?;
                    }
                    work()
                })
                .join()
                .expect("work inside the namespace does not panic")
        })
    }

    /// A command that will run inside the namespace and die with the thread that
    /// spawns it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let namespace = self.file.as_raw_fd();
        // SAFETY: only async-signal-safe system calls between fork and exec. The
        // descriptor is open in the child as `command` borrows nothing but the
        // parent keeps `self`: if it were closed, setns fails and so does the exec.
        unsafe {
            command.pre_exec(move || {
                die_with_parent()?;
                enter(&namespace)
            });
        }
        command
    }
}

/// Lets the calling process be killed when the thread that forked it ends.
///
/// # Errors
///
/// That of prctl(2).
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Brings `lo` up in the calling thread's namespace, as an init has to.
///
/// # Errors
///
/// Needs CAP_NET_ADMIN.
pub fn loopback_up() -> io::Result<()> {
    Rtnetlink::open()?.up(LOOPBACK)
}

/// Brings `lo` of the calling thread's namespace up and gives it the addresses, as
/// [`Netns::new`] does: for a machine that is all a test's.
///
/// # Errors
///
/// Needs CAP_NET_ADMIN.
pub fn serve_imds_here() -> Result<()> {
    configure().context("cannot give lo the addresses of IMDS")
}

fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ))
}

/// Makes a namespace and does something first in it.
fn make(work: impl FnOnce() -> Result<()> + Send) -> Result<File> {
    thread::scope(|scope| {
        scope
            .spawn(|| -> Result<File> {
                // SAFETY: no pointers; only this thread, which ends here, changes namespace.
                let made = unsafe { libc::unshare(libc::CLONE_NEWNET) };
                ensure!(
                    made == 0,
                    "cannot make a network namespace (are you root?): {}",
                    io::Error::last_os_error()
                );
                work()?;
                Ok(File::open("/proc/thread-self/ns/net")?)
            })
            .join()
            .expect("making a namespace does not panic")
    })
}

fn enter(namespace: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn configure() -> Result<()> {
    let mut rtnetlink = Rtnetlink::open().context("rtnetlink")?;
    rtnetlink.up(LOOPBACK).context("lo up")?;
    let v4 = [IMDS_V4, ECS, EKS_V4].map(IpAddr::V4);
    let v6 = [IMDS_V6, EKS_V6].map(IpAddr::V6);
    for address in v4.into_iter().chain(v6) {
        rtnetlink
            .add_local_address(address)
            .with_context(|| format!("add {address} to lo"))?;
        let source = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        rtnetlink
            .set_local_source(address, source)
            .with_context(|| format!("source of connections to {address}"))?;
    }
    // Both halves of TCP Fast Open; the default is the client's alone.
    std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3").context("enable TCP Fast Open")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_come_from_the_loopback_addresses() {
        let netns = Netns::new().expect("tests run as root");
        let sources = netns
            .enter(|| {
                let v4 = std::net::TcpListener::bind((IMDS_V4, 80))?;
                let v6 = std::net::TcpListener::bind((IMDS_V6, 80))?;
                let first = std::net::TcpStream::connect(v4.local_addr()?)?;
                let second = std::net::TcpStream::connect(v6.local_addr()?)?;
                Ok([first.local_addr()?.ip(), second.local_addr()?.ip()])
            })
            .expect("both addresses can be connected to");
        assert_eq!(
            sources,
            [
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            ]
        );
    }
}
