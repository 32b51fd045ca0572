//! How an answer goes onto the wire, as the client's `X-Mock-Deliver` asks for, and with
//! which status, as its `X-Mock-Status` does.

use std::{
    io::{self, Write as _},
    net::TcpStream,
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

use super::{head::Head, imds::Response};
use crate::canary;

/// Name of the header that chooses a [`Delivery`].
pub const DELIVERY_HEADER: &str = "x-mock-deliver";
/// Name of the header that chooses a status.
const STATUS_HEADER: &str = "x-mock-status";

/// Between two packets. It only has to be long enough that each leaves by itself.
const PAUSE: Duration = Duration::from_millis(1);

/// What a body may hold and must not be taken for: it begins like a response.
const DECOY: &str = "HTTP/1.1 599 Decoy\r\nServer: decoy\r\nContent-Length: 0\r\n\r\n";

/// How an answer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    /// In one write.
    #[default]
    Whole,
    /// Never, and the connection stays.
    Stall,
    /// Never: the connection is reset.
    Reset,
    /// Never: the connection is closed.
    Close,
    /// The status line byte by byte, then the rest.
    Bytewise,
    /// Together with the next answer of the connection, in one write.
    WithNext,
    /// Behind interim responses (RFC 9110 15.2), in one write.
    Interim,
    /// Head first, then a body of which every packet begins like a response.
    Decoys,
    /// In chunks (RFC 9112 7.1) that hold such lines, each in a packet, and a trailer.
    Chunked,
    /// With a body that ends with the connection, which holds such lines.
    UntilClose,
    /// With bare line feeds.
    BareLineFeeds,
    /// With a head of some 20 KiB.
    LongHead,
    /// Without a body, though its length is told.
    NoBody,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    GoOn,
    /// Its end.
    End,
}

const NAMES: [(&str, Delivery); 12] = [
    ("stall", Delivery::Stall),
    ("reset", Delivery::Reset),
    ("close", Delivery::Close),
    ("bytewise", Delivery::Bytewise),
    ("with-next", Delivery::WithNext),
    ("interim", Delivery::Interim),
    ("decoys", Delivery::Decoys),
    ("chunked", Delivery::Chunked),
    ("until-close", Delivery::UntilClose),
    ("bare-lf", Delivery::BareLineFeeds),
    ("long-head", Delivery::LongHead),
    ("no-body", Delivery::NoBody),
];

impl Delivery {
    /// What a request asks for.
    pub(super) fn wanted_by(head: &Head) -> Self {
        let wanted = head.field(DELIVERY_HEADER);
        NAMES
            .iter()
            .find(|(name, _)| wanted == Some(name.as_bytes()))
            .map_or(Self::Whole, |(_, delivery)| *delivery)
    }

    /// Sends an answer behind what was `postponed`. Calls `note` with the status before
    /// its first byte leaves.
    pub(super) fn deliver(
        self,
        head: &Head,
        mut answer: Response,
        keep_alive: bool,
        postponed: &mut Vec<u8>,
        stream: &mut TcpStream,
        note: impl FnOnce(u16),
    ) -> io::Result<Then> {
        if let Some(status) = wanted_status(head) {
            answer = Response::new(status, "Wanted", canary::RESPONSE);
        }
        let without_body = head.method == "HEAD" || self == Self::NoBody;
        let whole = answer.encode(keep_alive, without_body);
        let text = String::from_utf8_lossy(&whole).into_owned();
        match self {
            Self::Stall => return Ok(Then::GoOn),
            Self::Close => return Ok(Then::End),
            Self::Reset => {
                reset_on_close(stream)?;
                return Ok(Then::End);
            }
            _ => note(answer.status),
        }
        match self {
            Self::Bytewise => {
                let line = text.find('\n').map_or(whole.len(), |end| end + 1);
                let cuts: Vec<&[u8]> = whole[..line].chunks(1).collect();
                in_packets(stream, &cuts)?;
                stream.write_all(&whole[line..])?;
            }
            Self::WithNext => postponed.extend(&whole),
            Self::Interim => {
                let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                               HTTP/1.1 102 Processing\r\n\r\n";
                stream.write_all(&[interim.as_bytes(), &whole].concat())?;
            }
            Self::Decoys => {
                let length = format!("Content-Length: {}\r\n", DECOY.len() * 5);
                let only = head_of(&text, "Content-Length", &length);
                in_packets(stream, &[only.as_bytes()])?;
                in_packets(stream, &[DECOY.as_bytes(); 5])?;
            }
            Self::Chunked => {
                let only = head_of(&text, "Content-Length", "Transfer-Encoding: chunked\r\n");
                let size = format!("{:X};name=\"value\"\r\n", DECOY.len());
                in_packets(
                    stream,
                    &[
                        only.as_bytes(),
                        size.as_bytes(),
                        DECOY.as_bytes(),
                        b"\r\n",
                        format!("{}\r\n{DECOY}\r\n{}\r\n{DECOY}\r\n", &size[..2], &size[..2])
                            .as_bytes(),
                        b"0\r\nServer: trailer\r\n\r\n",
                    ],
                )?;
            }
            Self::UntilClose => {
                let only = head_of(&text, "Content-Length", "");
                in_packets(stream, &[only.as_bytes()])?;
                in_packets(stream, &[DECOY.as_bytes(); 3])?;
                return Ok(Then::End);
            }
            Self::BareLineFeeds => {
                let bare = text.replace("\r\n", "\n");
                stream.write_all(bare.as_bytes())?;
            }
            Self::LongHead => {
                let line = format!("X-Filling: {}\r\n", "filling,".repeat(128));
                let padded = text.replacen("\r\n", &format!("\r\n{}", line.repeat(20)), 1);
                stream.write_all(padded.as_bytes())?;
            }
            _ => {
                postponed.extend(&whole);
                stream.write_all(&std::mem::take(postponed))?;
            }
        }
        Ok(Then::GoOn)
    }
}

/// The head of an answer, `name`'s line in it replaced.
fn head_of(answer: &str, name: &str, line: &str) -> String {
    let end = answer.find("\r\n\r\n").map_or(answer.len(), |end| end + 4);
    answer[..end]
        .split_inclusive('\n')
        .map(|one| if one.starts_with(name) { line } else { one })
        .collect()
}

fn in_packets(stream: &mut TcpStream, packets: &[&[u8]]) -> io::Result<()> {
    for packet in packets {
        stream.write_all(packet)?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn wanted_status(head: &Head) -> Option<u16> {
    std::str::from_utf8(head.field(STATUS_HEADER)?)
        .ok()?
        .parse()
        .ok()
}

/// Makes the close of a socket a reset (`SO_LINGER` of no time, socket(7)).
fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the pointer and length are those of `linger`.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
