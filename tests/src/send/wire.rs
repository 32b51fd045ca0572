//! What a sender has to say, and its connections.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::sys;
use crate::canary;

/// How long a sender waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The header that makes a request v2, with a token that looks real.
pub(super) fn token_field() -> String {
    format!("X-aws-ec2-metadata-token: {}\r\n", canary::token(1))
}

/// A sender's task: whose requests, and where to.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Name of the test, for the requests' ids.
    pub case: String,
    /// Destination.
    pub destination: SocketAddr,
}

impl Wire {
    /// The target of request `number`, origin form.
    pub(super) fn target(&self, number: u64) -> String {
        format!("/latest/meta-data/ami-id?case={}&n={number}", self.case)
    }

    /// A GET with more header fields, each ending in CRLF.
    pub(super) fn get(&self, number: u64, fields: &str) -> Vec<u8> {
        self.request("GET", number, fields)
    }

    /// A v2 GET.
    pub(super) fn get_v2(&self, number: u64) -> Vec<u8> {
        self.get(number, &token_field())
    }

    /// A head with more fields, each ending in CRLF.
    pub(super) fn request(&self, method: &str, number: u64, fields: &str) -> Vec<u8> {
        format!(
            "{method} {} HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: imds-tests\r\n{fields}\r\n",
            self.target(number)
        )
        .into_bytes()
    }

    /// A request for a token.
    pub(super) fn token_request(&self, number: u64) -> Vec<u8> {
        format!(
            "PUT /latest/api/token?case={}&n={number} HTTP/1.1\r\nHost: 169.254.169.254\r\n\
             X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
            self.case
        )
        .into_bytes()
    }

    /// A GET with no fields but these, each ending in CRLF.
    pub(super) fn bare_get(&self, number: u64, fields: &str) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\n{fields}\r\n", self.target(number)).into_bytes()
    }

    /// As [`Self::bare_get`], of HTTP/1.0.
    pub(super) fn get_1_0(&self, number: u64, fields: &str) -> Vec<u8> {
        format!("GET {} HTTP/1.0\r\n{fields}\r\n", self.target(number)).into_bytes()
    }

    /// A v2 head of exactly `size` bytes, the token header last.
    pub(super) fn padded_v2(&self, number: u64, size: usize) -> Vec<u8> {
        self.padded(number, size, &token_field())
    }

    /// A head of exactly `size` bytes with more fields at its end.
    pub(super) fn padded(&self, number: u64, size: usize, fields: &str) -> Vec<u8> {
        let with = |padding: &str| self.get(number, &format!("X-Padding: {padding}\r\n{fields}"));
        let missing = size
            .checked_sub(with("").len())
            .expect("the size is larger than a bare head");
        with(&"padding,".repeat(missing / 8 + 1)[..missing])
    }

    /// A connection on which each send leaves at once.
    pub(super) fn connect(&self) -> Result<Connection> {
        Connection::new(TcpStream::connect(self.destination).context("connect")?)
    }

    /// A connection made by the caller.
    pub(super) fn adopt(socket: OwnedFd) -> Result<Connection> {
        Connection::new(TcpStream::from(socket))
    }
}

/// A connection to the mock.
#[derive(Debug)]
pub(super) struct Connection {
    /// The socket.
    pub(super) stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends all of it, normally in one call.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Sends with flags, in one call that must take everything.
    pub(super) fn send_with(&mut self, bytes: &[u8], flags: libc::c_int) -> Result<()> {
        let sent = sys::send(&self.stream, bytes, flags).context("send")?;
        ensure!(sent == bytes.len(), "send took {sent} of {}", bytes.len());
        Ok(())
    }

    /// Reads one answer and returns its status code.
    pub(super) fn answer(&mut self) -> Result<u16> {
        loop {
            if let Some((status, length)) = whole_answer(&self.received)? {
                self.received.drain(..length);
                return Ok(status);
            }
            self.fill()?;
        }
    }

    /// Reads one interim answer, which has no body (RFC 9110 15.2), and returns its
    /// status code.
    pub(super) fn interim(&mut self) -> Result<u16> {
        loop {
            if let Some(end) = end_of_head(&self.received) {
                let status = status(&self.received[..end])?;
                ensure!((100..200).contains(&status), "answered with {status}");
                self.received.drain(..end + 4);
                return Ok(status);
            }
            self.fill()?;
        }
    }

    /// Reads the head of one answer, which has no body whatever it says, and returns its
    /// status code.
    pub(super) fn head_only(&mut self) -> Result<u16> {
        let end = self.read_to(b"\r\n\r\n")?;
        let status = status(&self.received[..end])?;
        self.received.drain(..end);
        Ok(status)
    }

    /// Reads one answer in chunks.
    pub(super) fn chunked(&mut self) -> Result<()> {
        self.head_only()?;
        let end = self.read_to(b"0\r\nServer: trailer\r\n\r\n")?;
        self.received.drain(..end);
        Ok(())
    }

    /// Reads one answer whose lines end with a line feed alone.
    pub(super) fn bare(&mut self) -> Result<()> {
        let end = self.read_to(b"\n\n")?;
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.context("an answer has a length")?.parse()?;
        while self.received.len() < end + length {
            self.fill()?;
        }
        self.received.drain(..end + length);
        Ok(())
    }

    /// Reads to where the server has ended.
    pub(super) fn until_end(&mut self) -> Result<()> {
        self.stream.read_to_end(&mut self.received)?;
        Ok(())
    }

    /// Whether something has come that is not read.
    pub(super) fn has_come(&self) -> Result<bool> {
        Ok(self.stream.peek(&mut [0])? > 0)
    }

    /// Keeps the connection open until this process ends.
    pub(super) fn forget(self) {
        std::mem::forget(self.stream);
    }

    /// Reads until `end` has come, and gives where it ends.
    fn read_to(&mut self, end: &[u8]) -> Result<usize> {
        loop {
            let found = self.received.windows(end.len()).position(|it| it == end);
            if let Some(at) = found {
                return Ok(at + end.len());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("the mock closed the connection before its answer"),
                Ok(count) => {
                    self.received.extend(&chunk[..count]);
                    return Ok(());
                }
                // By the work that io_uring gives to a task.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("read an answer"),
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn exchange(&mut self, bytes: &[u8]) -> Result<u16> {
        self.send(bytes)?;
        self.answer()
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

fn status(head: &[u8]) -> Result<u16> {
    head.get(9..12)
        .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok())
        .context("an answer begins with its status")
}

fn whole_answer(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = end_of_head(bytes) else {
        return Ok(None);
    };
    let status = status(&bytes[..end])?;
    let head = std::str::from_utf8(&bytes[..end]).context("an answer's head is ASCII")?;
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .and_then(|length| length.parse().ok())
        .context("an answer has a length")?;
    let whole = end + 4 + length;
    Ok((bytes.len() >= whole).then_some((status, whole)))
}
