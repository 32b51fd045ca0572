//! Which processes hold the other end of a connection on this host, from `/proc`: a
//! source of its own for what records say.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// A process with a descriptor of the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Process.
    pub(super) pid: u32,
    /// Its name.
    pub(super) name: String,
    /// Its effective user.
    pub(super) uid: u32,
}

/// The processes that hold the socket at `peer` that is connected to `local`.
pub(super) fn of(peer: SocketAddr, local: IpAddr) -> Vec<Holder> {
    let table = match peer {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    let Some(inode) = fs::read_to_string(table)
        .ok()
        .and_then(|table| inode(&table, peer, local))
    else {
        return Vec::new();
    };
    let wanted = format!("socket:[{inode}]");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| holds(*pid, &wanted))
        .filter_map(describe)
        .collect()
}

/// The inode of the socket in a table of `/proc/net` (Linux, `net/ipv4/tcp_ipv4.c`,
/// `get_tcp4_sock`): local address, remote address, …, and the inode tenth.
fn inode(table: &str, peer: SocketAddr, local: IpAddr) -> Option<u64> {
    let wanted = format!("{}:{:04X}", hexadecimal(peer.ip()), peer.port());
    let remote = format!("{}:", hexadecimal(local));
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let matches = *columns.get(1)? == wanted && columns.get(2)?.starts_with(&remote);
        // 0 once no process holds it.
        let inode = columns.get(9)?.parse().ok()?;
        (matches && inode != 0).then_some(inode)
    })
}

/// Each four bytes as a number of this machine's byte order.
fn hexadecimal(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok());
    words
        .map(|word| format!("{:08X}", u32::from_ne_bytes(word)))
        .collect()
}

fn holds(pid: u32, wanted: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .any(|one| fs::read_link(one.path()).is_ok_and(|link| link == Path::new(wanted)))
}

fn describe(pid: u32) -> Option<Holder> {
    let directory = format!("/proc/{pid}");
    let name = fs::read_to_string(format!("{directory}/comm")).ok()?;
    Some(Holder {
        pid,
        name: name.trim_end_matches('\n').to_owned(),
        // Of a process that may not be dumped it is root's; none here is such.
        uid: fs::metadata(&directory).ok()?.uid(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn holder_of_a_connection_is_the_process_that_made_it() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(any).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let local = server.local_addr().unwrap().ip();
            let pids: Vec<u32> = of(peer, local).iter().map(|one| one.pid).collect();
            assert!(pids.contains(&std::process::id()), "{pids:?}");
            drop(client);
        }
    }

    #[test]
    fn socket_without_a_holder_is_not_found() {
        let heading = "  sl  local_address rem_address   st tx_queue …\n";
        let row = |inode: u64| {
            format!(
                "{heading} 0: {}:9C40 {}:0050 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n",
                hexadecimal([127, 0, 0, 1].into()),
                hexadecimal([169, 254, 169, 254].into())
            )
        };
        let peer = "127.0.0.1:40000".parse().unwrap();
        let local = [169, 254, 169, 254].into();
        assert_eq!(inode(&row(77), peer, local), Some(77));
        assert_eq!(inode(&row(0), peer, local), None);
        assert_eq!(inode(&row(77), peer, [127, 0, 0, 1].into()), None);
    }
}
