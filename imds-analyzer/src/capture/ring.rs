//! Decoding ring-buffer records into events, and waiting for them.

use std::net::{IpAddr, Ipv6Addr};

use aya::maps::{MapData, RingBuf};
use imds_analyzer_common::record::{
    AncestorFacts, FLAG_MID_STREAM, FLAG_MORE_ANCESTORS, FLAG_POSITION_UNCERTAIN, KIND_ANCESTORS,
    KIND_ARGS, KIND_CHUNK, KIND_CLOSED, MISSING_NOTHING, MISSING_OVERSIZED, MISSING_UNREADABLE,
    MISSING_UNSUPPORTED, RecordHeader, TaskFacts,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Ancestor, Chunk, Destination, Event, MissingCause, Payload, StreamId, Task, args::split_args,
};

/// Records that are handled before other work gets a turn.
const BATCH: usize = 256;

/// The programs' ring buffer.
pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
}

/// A record that no program of ours writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ring-buffer record of {0} bytes makes no sense: programs and daemon differ in version")]
pub struct Malformed(pub usize);

impl Ring {
    /// Takes the ring buffer; must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the runtime cannot poll it.
    pub fn new(ring: RingBuf<MapData>) -> std::io::Result<Self> {
        // SAFETY: the buffer owns its descriptor and keeps it open and the same
        // until it is dropped, which AsyncFd does after it has left the poller.
        let fd = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? };
        Ok(Self { fd })
    }

    /// Waits until there is something to read, then hands over a batch.
    ///
    /// # Errors
    /// If the runtime can no longer poll the buffer.
    pub async fn next_batch(
        &mut self,
        handle: impl FnMut(Result<Event, Malformed>),
    ) -> std::io::Result<()> {
        let mut guard = self.fd.readable_mut().await?;
        if drain(guard.get_inner_mut(), BATCH, handle) < BATCH {
            guard.clear_ready();
        } else {
            // A buffer that is never empty is always ready; signals and timers
            // are looked at only when the runtime gets a turn.
            drop(guard);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Hands over everything that is there now.
    pub fn drain(&mut self, handle: impl FnMut(Result<Event, Malformed>)) {
        drain(self.fd.get_mut(), usize::MAX, handle);
    }
}

fn drain(
    ring: &mut RingBuf<MapData>,
    most: usize,
    mut handle: impl FnMut(Result<Event, Malformed>),
) -> usize {
    let mut taken = 0;
    while taken < most {
        let Some(record) = ring.next() else { break };
        handle(decode(&record).ok_or(Malformed(record.len())));
        taken += 1;
    }
    taken
}

/// Decodes one record; `None` if it is none of ours.
fn decode(record: &[u8]) -> Option<Event> {
    let (header, payload) = RecordHeader::decode(record)?;
    let stream = StreamId {
        socket: header.socket,
        opened_ns: header.opened_ns,
    };
    match header.kind {
        KIND_CHUNK => Some(Event::Chunk(Chunk {
            stream,
            time_ns: header.time_ns,
            position: header.position,
            started_mid_stream: header.flags & FLAG_MID_STREAM != 0,
            position_uncertain: header.flags & FLAG_POSITION_UNCERTAIN != 0,
            payload: decode_payload(&header, payload)?,
            task: decode_task(&header.task),
            netns: header.netns,
            destination: Destination {
                ip: decode_address(header.address),
                port: u16::try_from(header.port).ok()?,
            },
        })),
        KIND_ARGS if header.missing == MISSING_NOTHING => Some(Event::Arguments {
            task: decode_task(&header.task),
            args: split_args(payload),
            truncated: header.length > header.captured,
        }),
        // Not readable at that moment: /proc may still tell.
        KIND_ARGS => Some(Event::Arguments {
            task: decode_task(&header.task),
            args: Vec::new(),
            truncated: false,
        }),
        KIND_ANCESTORS => Some(Event::Ancestors {
            task: decode_task(&header.task),
            ancestors: AncestorFacts::decode(payload)?
                .map(decode_ancestor)
                .collect(),
            truncated: header.flags & FLAG_MORE_ANCESTORS != 0,
        }),
        KIND_CLOSED => Some(Event::Closed {
            stream,
            time_ns: header.time_ns,
        }),
        _ => None,
    }
}

fn decode_payload(header: &RecordHeader, payload: &[u8]) -> Option<Payload> {
    let cause = match header.missing {
        MISSING_NOTHING if header.captured == header.length => {
            return Some(Payload::Bytes(payload.to_vec()));
        }
        MISSING_UNREADABLE => MissingCause::Unreadable,
        MISSING_UNSUPPORTED => MissingCause::UnsupportedIterator,
        MISSING_OVERSIZED => MissingCause::Oversized,
        _ => return None,
    };
    Some(Payload::Missing {
        len: header.length,
        cause,
    })
}

fn decode_task(facts: &TaskFacts) -> Task {
    Task {
        tgid: facts.tgid,
        tid: facts.tid,
        start_boottime_ns: facts.start_boottime_ns,
        uid: facts.uid,
        gid: facts.gid,
        thread_name: until_nul(&facts.thread_name),
        process_name: until_nul(&facts.process_name),
    }
}

fn decode_ancestor(facts: AncestorFacts) -> Ancestor {
    Ancestor {
        tgid: facts.tgid,
        start_boottime_ns: facts.start_boottime_ns,
        uid: facts.uid,
        name: until_nul(&facts.name),
    }
}

fn until_nul(name: &[u8]) -> Vec<u8> {
    name.split(|&byte| byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}

fn decode_address(address: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(address)).to_canonical()
}

#[cfg(test)]
mod tests {
    use imds_analyzer_common::{destination::DestinationKey, record::HEADER_LEN};

    use super::*;

    /// Serialises a header as the kernel side lays it out.
    fn record(header: &RecordHeader, payload: &[u8], slot: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [header.kind, header.flags] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        for long in [header.time_ns, header.socket, header.opened_ns] {
            bytes.extend_from_slice(&long.to_ne_bytes());
        }
        let words = [
            header.position,
            header.length,
            header.captured,
            header.missing,
            header.netns,
            header.port,
        ];
        for word in words {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&header.address);
        bytes.extend_from_slice(&header.task.start_boottime_ns.to_ne_bytes());
        for word in [
            header.task.tgid,
            header.task.tid,
            header.task.uid,
            header.task.gid,
        ] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&header.task.thread_name);
        bytes.extend_from_slice(&header.task.process_name);
        assert_eq!(bytes.len(), HEADER_LEN);
        bytes.extend_from_slice(payload);
        bytes.resize(HEADER_LEN + slot, 0xee);
        bytes
    }

    fn header() -> RecordHeader {
        RecordHeader {
            kind: KIND_CHUNK,
            flags: FLAG_MID_STREAM,
            time_ns: 7,
            socket: 8,
            opened_ns: 9,
            position: 10,
            length: 5,
            captured: 5,
            missing: MISSING_NOTHING,
            netns: 11,
            port: 80,
            address: DestinationKey::v4([169, 254, 169, 254], 80).address,
            task: TaskFacts {
                start_boottime_ns: 12,
                tgid: 13,
                tid: 14,
                uid: 15,
                gid: 16,
                thread_name: *b"worker\0garbage!!",
                process_name: *b"java\0\0\0\0\0\0\0\0\0\0\0\0",
            },
        }
    }

    #[test]
    fn chunk_has_only_the_bytes_that_were_captured() {
        let Some(Event::Chunk(chunk)) = decode(&record(&header(), b"GET /", 256)) else {
            panic!("not a chunk");
        };
        assert_eq!(chunk.payload, Payload::Bytes(b"GET /".to_vec()));
        assert_eq!(chunk.task.thread_name, b"worker");
        assert_eq!(chunk.task.process_name, b"java");
        assert_eq!(
            chunk.destination.ip,
            "169.254.169.254".parse::<IpAddr>().unwrap()
        );
        assert!(chunk.started_mid_stream && !chunk.position_uncertain);
    }

    #[test]
    fn unreadable_range_is_missing_with_its_length() {
        let header = RecordHeader {
            captured: 0,
            missing: MISSING_UNREADABLE,
            ..header()
        };
        let Some(Event::Chunk(chunk)) = decode(&record(&header, b"", 256)) else {
            panic!("not a chunk");
        };
        let cause = MissingCause::Unreadable;
        assert_eq!(chunk.payload, Payload::Missing { len: 5, cause });
    }

    #[test]
    fn record_that_makes_no_sense_is_refused() {
        let whole = record(&header(), b"GET /", 5);
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end]), None, "cut at {end}");
        }
        for bad in [
            RecordHeader {
                kind: 99,
                ..header()
            },
            RecordHeader {
                missing: 99,
                ..header()
            },
            RecordHeader {
                length: 6,
                ..header()
            },
            RecordHeader {
                captured: u32::MAX,
                ..header()
            },
            RecordHeader {
                port: 65_536,
                ..header()
            },
        ] {
            assert_eq!(decode(&record(&bad, b"GET /", 256)), None, "{bad:?}");
        }
    }
}
