//! One connection to the mock: heads, bodies skipped, answers.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{
    State,
    access_log::Entry,
    delivery::{Delivery, Then},
    head::{Framing, Head, Progress, chunk_size, parse},
};

/// Name of the header that stops the mock after a head, for [`super::Mock::release`].
const HOLD_HEADER: &str = "x-mock-hold";

/// Asks for the body (RFC 9110 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection on which nothing comes for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// Answers requests until the client closes, breaks the protocol or idles.
pub(super) fn serve(stream: TcpStream, peer: SocketAddr, number: u64, state: &State) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Answers are small and many; the client waits for each.
    if stream.set_read_timeout(Some(IDLE_LIMIT)).is_err() || stream.set_nodelay(true).is_err() {
        return;
    }
    let mut input = Input {
        stream,
        bytes: Vec::new(),
    };
    let mut postponed = Vec::new();
    while let Ok(Some((head, head_bytes))) = input.head() {
        let entry = Entry::new(&head, head_bytes, number, peer, local.ip());
        let observed = state
            .observer
            .get()
            .map(|observer| (observer, entry.clone()));
        let seq = state.log.push(entry);
        if let Some(name) = head.field(HOLD_HEADER) {
            state.hold(&String::from_utf8_lossy(name));
        }
        let delivery = Delivery::wanted_by(&head);
        if head.expects_continue() && input.stream.write_all(CONTINUE).is_err() {
            return;
        }
        let keep_alive = head.keeps_alive();
        let answer = state.imds.respond(&head);
        // Of those that the sender will see.
        let arrives = answer.as_ref().is_some_and(|answer| !answer.one_hop);
        if let Some((observer, mut entry)) = observed {
            let status = answer.as_ref().map(|answer| answer.status);
            entry.status = status.filter(|_| arrives);
            observer.0(&entry);
        }
        if input.skip_body(head.framing()).is_err() {
            return;
        }
        // Without an answer the client gives up and closes.
        let Some(answer) = answer else { continue };
        let note = |status| {
            if arrives {
                state.log.answer(seq, status);
            }
        };
        if !arrives && input.stream.set_ttl(1).is_err() {
            return;
        }
        let stream = &mut input.stream;
        match delivery.deliver(&head, answer, keep_alive, &mut postponed, stream, note) {
            // What else were sent on it would not arrive either.
            Ok(Then::GoOn) if keep_alive && arrives => {}
            _ => return,
        }
    }
}

struct Input {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Input {
    /// The next head and its length; `None` if the client has gone or sent garbage.
    fn head(&mut self) -> io::Result<Option<(Head, usize)>> {
        loop {
            match parse(&self.bytes) {
                Progress::Head(head, length) => {
                    self.bytes.drain(..length);
                    return Ok(Some((head, length)));
                }
                Progress::Garbage => return Ok(None),
                Progress::Incomplete if self.fill()? == 0 => return Ok(None),
                Progress::Incomplete => {}
            }
        }
    }

    fn skip_body(&mut self, framing: Framing) -> io::Result<()> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.skip(length),
            Framing::Chunked => self.skip_chunks(),
        }
    }

    fn skip_chunks(&mut self) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let size = chunk_size(&line)
                .ok_or_else(|| io::Error::other("a chunk begins with its size"))?;
            if size == 0 {
                // Trailers, up to an empty line.
                while !self.line()?.is_empty() {}
                return Ok(());
            }
            self.skip(size)?;
            self.line()?;
        }
    }

    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        loop {
            let here = count.min(self.bytes.len() as u64);
            self.bytes
                .drain(..usize::try_from(here).expect("not more than the buffer holds"));
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.fill_or_end()?;
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            self.fill_or_end()?;
        }
    }

    fn fill_or_end(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut received = [0; 64 << 10];
        let count = self.stream.read(&mut received)?;
        self.bytes.extend(&received[..count]);
        Ok(count)
    }
}
