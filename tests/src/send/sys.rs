//! Socket system calls that std does not offer, with slices for pointers.

use std::{
    io, mem,
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, FromRawFd as _, OwnedFd},
    ptr,
};

/// Makes a TCP socket; `protocol` is 0 or `IPPROTO_MPTCP`.
pub(super) fn tcp_socket(family: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option whose value is an int.
pub(super) fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    zero(result)
}

/// send(2), without SIGPIPE.
pub(super) fn send(socket: &impl AsRawFd, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of `bytes`.
    count(unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags | libc::MSG_NOSIGNAL,
        )
    })
}

/// write(2).
pub(super) fn write(socket: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of `bytes`.
    count(unsafe { libc::write(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// send(2) from memory that may not be readable: `size` bytes from `start` on.
pub(super) fn send_from(socket: &impl AsRawFd, start: *const u8, size: usize) -> io::Result<usize> {
    // SAFETY: the kernel checks user memory itself and fails with EFAULT.
    count(unsafe { libc::send(socket.as_raw_fd(), start.cast(), size, libc::MSG_NOSIGNAL) })
}

/// connect(2).
pub(super) fn connect(socket: &impl AsRawFd, to: SocketAddr) -> io::Result<()> {
    let (address, length) = encode(to);
    // SAFETY: the pointer and length are those of `address`.
    zero(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })
}

/// bind(2).
pub(super) fn bind(socket: &impl AsRawFd, to: SocketAddr) -> io::Result<()> {
    let (address, length) = encode(to);
    // SAFETY: the pointer and length are those of `address`.
    zero(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })
}

/// listen(2).
pub(super) fn listen(socket: &impl AsRawFd, backlog: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    zero(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

/// sendto(2) with an address, as TCP Fast Open wants it.
pub(super) fn send_to(
    socket: &impl AsRawFd,
    bytes: &[u8],
    flags: libc::c_int,
    to: SocketAddr,
) -> io::Result<usize> {
    let (address, length) = encode(to);
    // SAFETY: the pointers and lengths are those of `bytes` and `address`.
    count(unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags | libc::MSG_NOSIGNAL,
            (&raw const address).cast(),
            length,
        )
    })
}

/// sendmsg(2) of several segments.
pub(super) fn send_segments(
    socket: &impl AsRawFd,
    segments: &[&[u8]],
    flags: libc::c_int,
) -> io::Result<usize> {
    let mut vectors = vectors(segments);
    let message = message(&mut vectors);
    // SAFETY: `message` points to `vectors`, which point to `segments`; all live.
    count(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) })
}

/// sendmmsg(2): each message is a list of segments. Returns how many were sent.
pub(super) fn send_messages(socket: &impl AsRawFd, messages: &[Vec<&[u8]>]) -> io::Result<usize> {
    let mut vectors: Vec<Vec<libc::iovec>> =
        messages.iter().map(|segments| vectors(segments)).collect();
    let mut headers: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vectors| libc::mmsghdr {
            msg_hdr: message(vectors),
            msg_len: 0,
        })
        .collect();
    let length = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
    // SAFETY: `headers` point to `vectors`, which point to `messages`; all live.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), length, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// sendfile(2) from the start of a file.
pub(super) fn send_file(
    socket: &impl AsRawFd,
    file: &impl AsRawFd,
    size: usize,
) -> io::Result<usize> {
    let mut offset: libc::off_t = 0;
    // SAFETY: the pointer is that of `offset`.
    count(unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &raw mut offset, size) })
}

/// splice(2), without offsets.
pub(super) fn splice(from: &impl AsRawFd, to: &impl AsRawFd, size: usize) -> io::Result<usize> {
    // SAFETY: null offsets are allowed for pipes and sockets.
    count(unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            size,
            0,
        )
    })
}

/// Sends a descriptor over a Unix socket (`SCM_RIGHTS`, unix(7)).
pub(super) fn pass_descriptor(channel: &impl AsRawFd, passed: &impl AsRawFd) -> io::Result<()> {
    let payload = [b"x".as_slice()];
    let mut vectors = vectors(&payload);
    let mut control = Control { bytes: [0; 64] };
    let mut message = message(&mut vectors);
    message.msg_control = (&raw mut control).cast();
    // SAFETY: no pointers; the length of one descriptor fits `control`.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: `msg_control` is aligned and long enough for one header with an int.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast(), passed.as_raw_fd());
    }
    // SAFETY: everything `message` points to lives.
    count(unsafe { libc::sendmsg(channel.as_raw_fd(), &raw const message, 0) }).map(drop)
}

/// Receives a descriptor from a Unix socket.
pub(super) fn receive_descriptor(channel: &impl AsRawFd) -> io::Result<OwnedFd> {
    let mut byte = [0u8; 1];
    let mut vectors = [libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    }];
    let mut control = Control { bytes: [0; 64] };
    let mut message = message(&mut vectors);
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: everything `message` points to lives and may be written.
    count(unsafe {
        libc::recvmsg(
            channel.as_raw_fd(),
            &raw mut message,
            libc::MSG_CMSG_CLOEXEC,
        )
    })?;
    // SAFETY: the kernel has filled `control` in; a null header means none came.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() {
            return Err(io::Error::other("no descriptor came"));
        }
        let fd = ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::c_int>());
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Waits until a socket can be written to, or `milliseconds` are over.
pub(super) fn writable(socket: &impl AsRawFd, milliseconds: libc::c_int) -> io::Result<bool> {
    poll(socket, libc::POLLOUT, milliseconds)
}

/// Waits until a connection was reset, or `milliseconds` are over.
pub(super) fn hung_up(socket: &impl AsRawFd, milliseconds: libc::c_int) -> io::Result<bool> {
    // POLLHUP and POLLERR come unasked.
    poll(socket, 0, milliseconds)
}

fn poll(
    socket: &impl AsRawFd,
    events: libc::c_short,
    milliseconds: libc::c_int,
) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one pollfd, as said.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ready == 1)
}

/// `tcpi_options` of a connection (`include/uapi/linux/tcp.h`).
pub(super) fn tcp_options(socket: &impl AsRawFd) -> io::Result<u8> {
    // struct tcp_info: state, ca_state, retransmits, probes, backoff, options.
    tcp_info(socket).map(|info| info[5])
}

/// `tcpi_total_retrans` of a connection: segments that were sent again.
pub(super) fn retransmissions(socket: &impl AsRawFd) -> io::Result<u32> {
    // struct tcp_info: eight bytes, then numbers of four, of which it is the 24th.
    let info = tcp_info(socket)?;
    Ok(u32::from_ne_bytes([
        info[100], info[101], info[102], info[103],
    ]))
}

fn tcp_info(socket: &impl AsRawFd) -> io::Result<[u8; 256]> {
    let mut info = [0u8; 256];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the pointer and length are those of `info`.
    zero(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok(info)
}

/// Forks. The child runs `work` and ends with 0, or with 1 if it fails.
pub(super) fn fork(work: impl FnOnce() -> anyhow::Result<()>) -> io::Result<libc::pid_t> {
    // SAFETY: this process has one thread, so the child may go on as it likes.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 {
        run_and_exit(work);
    }
    Ok(pid)
}

fn run_and_exit(work: impl FnOnce() -> anyhow::Result<()>) -> ! {
    let code = match crate::netns::die_with_parent()
        .map_err(Into::into)
        .and_then(|()| work())
    {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("child of a sender: {error:#}");
            1
        }
    };
    // SAFETY: ends the child without the parent's exit handlers.
    unsafe { libc::_exit(code) };
}

/// Forks a child with this process id, which must be free; with any, if it is 0. The
/// child runs `work` as in [`fork`].
pub(super) fn fork_as(
    pid: libc::pid_t,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> io::Result<libc::pid_t> {
    if pid == 0 {
        return fork(work);
    }
    // SAFETY: all zeroes is a valid clone_args.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.set_tid = (&raw const pid).addr() as u64;
    arguments.set_tid_size = 1;
    // SAFETY: the arguments live. This process has one thread, and the child does
    // nothing that libc would have to know of but execv(3) and _exit(2).
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child == 0 {
        run_and_exit(work);
    }
    Ok(child as libc::pid_t)
}

/// Keeps a child alive as long as its parent, whose end kills it.
pub(super) fn linger() -> anyhow::Result<()> {
    loop {
        // SAFETY: no pointers.
        unsafe { libc::pause() };
    }
}

/// Room for control messages, aligned as `cmsghdr`.
#[repr(C, align(8))]
struct Control {
    bytes: [u8; 64],
}

fn vectors(segments: &[&[u8]]) -> Vec<libc::iovec> {
    segments
        .iter()
        .map(|segment| libc::iovec {
            iov_base: segment.as_ptr().cast_mut().cast(),
            iov_len: segment.len(),
        })
        .collect()
}

fn message(vectors: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr: no name, no vectors, no control.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    message
}

fn encode(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        SocketAddr::V4(address) => encode_v4(&mut storage, address),
        SocketAddr::V6(address) => encode_v6(&mut storage, address),
    };
    (storage, length as libc::socklen_t)
}

fn encode_v4(storage: &mut libc::sockaddr_storage, address: SocketAddrV4) -> usize {
    let encoded = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(address.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: sockaddr_storage is larger than, and aligned for, every sockaddr.
    unsafe { ptr::write((&raw mut *storage).cast(), encoded) };
    size_of::<libc::sockaddr_in>()
}

fn encode_v6(storage: &mut libc::sockaddr_storage, address: SocketAddrV6) -> usize {
    let encoded = libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr {
            s6_addr: address.ip().octets(),
        },
        sin6_scope_id: 0,
    };
    // SAFETY: as in `encode_v4`.
    unsafe { ptr::write((&raw mut *storage).cast(), encoded) };
    size_of::<libc::sockaddr_in6>()
}

fn zero(result: libc::c_int) -> io::Result<()> {
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
