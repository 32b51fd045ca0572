//! A mock of IMDS for a private network namespace.
//!
//! Its [`AccessLog`] is the ground truth of the suite, so it parses HTTP with
//! code of its own ([`head`]). One thread a connection: tests open a few at a
//! time, and simple code is worth more here than speed.

pub mod access_log;
mod connection;
mod delivery;
mod documents;
pub mod head;
pub mod imds;

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use self::{
    access_log::{AccessLog, Entry},
    imds::Imds,
};
use crate::netns::{IMDS_V4, IMDS_V6, Netns};

/// A port of the IMDS address at which IMDS does not live.
pub const OTHER_PORT: u16 = 81;

/// Requests that may wait with their data in the SYN (RFC 7413).
const FAST_OPEN_QUEUE: libc::c_int = 64;
/// Receive buffer of the IPv6 address: its small window makes small packets and is
/// soon full, as tests of failing sends want it.
const SMALL_BUFFER: libc::c_int = 8 << 10;

/// How long a held connection waits for its release, so that a forgotten one does
/// not keep the process.
const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// A running mock. Its threads end with the process.
#[derive(Clone, Debug)]
pub struct Mock {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    log: AccessLog,
    imds: Imds,
    connections: AtomicU64,
    released: Mutex<HashSet<String>>,
    release: Condvar,
    observer: OnceLock<Observer>,
}

/// Is told of each request before it is answered.
struct Observer(Box<dyn Fn(&Entry) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Mock {
    /// Listens on port 80 of both IMDS addresses inside `netns`, and on what is
    /// near them but isn't IMDS: another port, another address, UDP.
    ///
    /// # Errors
    ///
    /// If an address is taken.
    pub fn start(netns: &Netns) -> Result<Self> {
        let mock = Self::idle();
        mock.listen_in(netns)?;
        Ok(mock)
    }

    /// A mock that does not listen yet.
    pub fn idle() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// Lets an idle mock listen, as [`Mock::start`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_in(&self, netns: &Netns) -> Result<()> {
        netns.enter(|| self.listen())
    }

    /// As [`Mock::start`], in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_here() -> Result<Self> {
        let mock = Self::idle();
        mock.listen()?;
        Ok(mock)
    }

    /// Lets an idle mock listen in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Mock::start`].
    pub fn listen_here(&self) -> Result<()> {
        self.listen()
    }

    /// Has each request told to `observer`, with the status of the answer that its sender
    /// waits for. Only the first one that asks is told.
    pub fn observe(&self, observer: impl Fn(&Entry) + Send + Sync + 'static) {
        self.state
            .observer
            .get_or_init(|| Observer(Box::new(observer)));
    }

    /// Listens on port 80 of more addresses inside `netns`, to be other services.
    ///
    /// # Errors
    ///
    /// If one is taken, or not the namespace's.
    pub fn listen_also(&self, netns: &Netns, addresses: &[IpAddr]) -> Result<()> {
        netns.enter(|| {
            let addresses = addresses.iter().map(|ip| SocketAddr::new(*ip, 80));
            self.listen_on(addresses)
        })
    }

    fn listen(&self) -> Result<()> {
        let addresses = [
            SocketAddr::new(IpAddr::V4(IMDS_V4), 80),
            SocketAddr::new(IpAddr::V6(IMDS_V6), 80),
            SocketAddr::new(IpAddr::V4(IMDS_V4), OTHER_PORT),
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80),
        ];
        self.listen_on(addresses)?;
        let datagrams = UdpSocket::bind((IMDS_V4, 80)).context("mock IMDS cannot bind UDP")?;
        thread::spawn(move || {
            let mut discarded = [0; 2048];
            while datagrams.recv_from(&mut discarded).is_ok() {}
        });
        Ok(())
    }

    fn listen_on(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<()> {
        for address in addresses {
            let listener = TcpListener::bind(address)
                .with_context(|| format!("mock IMDS cannot listen on {address}"))?;
            let socket = &listener;
            set_option(
                socket,
                libc::IPPROTO_TCP,
                libc::TCP_FASTOPEN,
                FAST_OPEN_QUEUE,
            )
            .with_context(|| format!("TCP Fast Open on {address}"))?;
            if address.ip() == IMDS_V6 {
                set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, SMALL_BUFFER)
                    .context("receive buffer")?;
            }
            let state = Arc::clone(&self.state);
            thread::spawn(move || serve(&listener, &state));
        }
        Ok(())
    }

    /// What has arrived.
    pub fn log(&self) -> &AccessLog {
        &self.state.log
    }

    /// The service, for changing its mode.
    pub fn imds(&self) -> &Imds {
        &self.state.imds
    }

    /// Lets the requests with the header `X-Mock-Hold: NAME` go on: until then,
    /// nothing that follows their head is read.
    pub fn release(&self, name: &str) {
        self.state
            .released
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
        self.state.release.notify_all();
    }
}

impl State {
    fn hold(&self, name: &str) {
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.release
                .wait_timeout_while(released, HOLD_LIMIT, |released| !released.contains(name)),
        );
    }
}

fn serve(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((stream, peer)) = listener.accept() {
        let number = state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(state);
        thread::spawn(move || connection::serve(stream, peer, number, &state));
    }
}

fn set_option(
    listener: &TcpListener,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> std::io::Result<()> {
    // SAFETY: the pointer and length are those of `value`.
    let set = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use super::*;

    fn exchange(bytes: &[u8]) -> (Mock, String) {
        let netns = Netns::new().expect("tests run as root");
        let mock = Mock::start(&netns).expect("a new namespace has its ports free");
        let answer = netns
            .enter(|| {
                let mut stream = TcpStream::connect((IMDS_V4, 80))?;
                stream.write_all(bytes)?;
                stream.shutdown(std::net::Shutdown::Write)?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                Ok(answer)
            })
            .expect("the mock answers");
        (mock, answer)
    }

    #[test]
    fn pipelined_requests_and_bodies_are_logged_in_order() {
        let (mock, answer) = exchange(
            b"PUT /a?case=c&n=1 HTTP/1.1\r\nContent-Length: 22\r\n\r\nGET /no HTTP/1.1\r\n\r\n!!\
              POST /b?case=c&n=2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
              12\r\nGET /no HTTP/1.1\r\n\r\n0\r\nTrailer: x\r\n\r\n\
              GET /c?case=c&n=3 HTTP/1.0\n\n",
        );
        let targets: Vec<_> = mock
            .log()
            .of_case("c")
            .into_iter()
            .map(|entry| {
                (
                    entry.method,
                    String::from_utf8(entry.target).expect("ASCII"),
                )
            })
            .collect();
        assert_eq!(
            targets,
            [
                ("PUT".into(), "/a?case=c&n=1".into()),
                ("POST".into(), "/b?case=c&n=2".into()),
                ("GET".into(), "/c?case=c&n=3".into()),
            ]
        );
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3);
    }

    #[test]
    fn garbage_is_not_logged() {
        let (mock, _) = exchange(b"\x00\x01\x02 HTTP/1.1\r\n\r\n");
        assert!(mock.log().is_empty());
    }
}
