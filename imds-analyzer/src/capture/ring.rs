//! Decoding ring-buffer records into events, and waiting for them.

use std::net::{IpAddr, Ipv6Addr};

use aya::maps::{MapData, RingBuf};
use imds_analyzer_common::record::{
    AncestorFacts, FLAG_AT_EXEC, FLAG_LOST_TRACK, FLAG_MID_STREAM, FLAG_MORE_ANCESTORS,
    FLAG_POSITION_UNCERTAIN, FLAG_RESYNCED, FLAG_SERVER_DONE, KIND_ANCESTORS, KIND_ARGS,
    KIND_CHUNK, KIND_CLOSED, KIND_PROGRAM, KIND_RESPONSE, MISSING_NOTHING, MISSING_OVERSIZED,
    MISSING_UNREADABLE, MISSING_UNSUPPORTED, Names, PATH_IS_MOUNT, PROGRAM_CGROUP_WHOLE,
    PROGRAM_DELETED, PROGRAM_DETACHED, PROGRAM_PATH_WHOLE, ProgramFacts, RecordHeader,
    ResponseFacts, TaskFacts,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Ancestor, Chunk, Destination, Event, FileId, MissingCause, Namespaces, Payload, Program,
    Received, Response, StreamId, Task, args::split_args,
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
            at_exec: header.flags & FLAG_AT_EXEC != 0,
        }),
        // Not readable at that moment: /proc may still tell.
        KIND_ARGS => Some(Event::Arguments {
            task: decode_task(&header.task),
            args: Vec::new(),
            truncated: false,
            at_exec: header.flags & FLAG_AT_EXEC != 0,
        }),
        KIND_PROGRAM => Some(Event::Program {
            task: decode_task(&header.task),
            program: decode_program(payload)?,
            at_exec: header.flags & FLAG_AT_EXEC != 0,
        }),
        KIND_ANCESTORS => Some(Event::Ancestors {
            task: decode_task(&header.task),
            ancestors: AncestorFacts::decode(payload)?
                .map(decode_ancestor)
                .collect(),
            truncated: header.flags & FLAG_MORE_ANCESTORS != 0,
        }),
        KIND_RESPONSE => Some(Event::Response(decode_response(stream, &header, payload)?)),
        KIND_CLOSED => Some(Event::Closed {
            stream,
            time_ns: header.time_ns,
            lost_track: header.flags & FLAG_LOST_TRACK != 0,
        }),
        _ => None,
    }
}

fn decode_response(stream: StreamId, header: &RecordHeader, payload: &[u8]) -> Option<Response> {
    let facts = ResponseFacts::decode(payload)?;
    let what = if header.flags & FLAG_LOST_TRACK != 0 {
        Received::LostTrack
    } else if header.flags & FLAG_SERVER_DONE != 0 {
        Received::ServerDone
    } else {
        Received::Status {
            code: u16::try_from(facts.status)
                .ok()
                .filter(|code| (100..1000).contains(code))?,
            server: facts.server[..facts.server_len as usize].to_vec(),
            resynced: header.flags & FLAG_RESYNCED != 0,
        }
    };
    Some(Response {
        stream,
        time_ns: header.time_ns,
        acknowledged: facts.acknowledged,
        what,
    })
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
        exec_id: facts.exec_id,
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
        exec_id: facts.exec_id,
        file: file_id(facts.device, facts.inode),
        uid: facts.uid,
        name: until_nul(&facts.name),
    }
}

fn decode_program(payload: &[u8]) -> Option<Program> {
    let (facts, path, cgroup) = ProgramFacts::decode(payload)?;
    let is = |flag| facts.flags & flag != 0;
    let path = if is(PROGRAM_DETACHED) || is(PROGRAM_PATH_WHOLE) {
        join(path)
    } else {
        None
    };
    let cgroup = if is(PROGRAM_CGROUP_WHOLE) {
        join(cgroup)
    } else {
        None
    };
    Some(Program {
        file: file_id(facts.device, facts.inode),
        path,
        in_memory: is(PROGRAM_DETACHED),
        deleted: is(PROGRAM_DELETED),
        cgroup,
        cgroup_id: facts.cgroup_id,
        namespaces: Namespaces {
            pid: facts.pid_ns,
            mount: facts.mount_ns,
            net: facts.net_ns,
        },
        ns_tgid: facts.ns_tgid,
    })
}

/// An absolute path of names that come the deepest first, mounts among them. `None` if
/// one of them is not known.
fn join(names: Names<'_>) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    for name in names.iter().rev() {
        let name = name?;
        if name != [PATH_IS_MOUNT] {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Some(path)
}

/// A device as the kernel writes it: 20 bits of minor number (include/linux/kdev_t.h).
fn file_id(device: u32, inode: u64) -> Option<FileId> {
    (inode != 0).then(|| FileId {
        device: rustix::fs::makedev(device >> 20, device & 0x000f_ffff),
        inode,
    })
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
    use imds_analyzer_common::{
        destination::DestinationKey,
        record::{CGROUP_NAME_LEN, HEADER_LEN, MAX_CGROUP, MAX_PATH, PATH_NAME_LEN, PROGRAM_LEN},
    };

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
        for long in [header.task.start_boottime_ns, header.task.exec_id] {
            bytes.extend_from_slice(&long.to_ne_bytes());
        }
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
                exec_id: 17,
                tgid: 13,
                tid: 14,
                uid: 15,
                gid: 16,
                thread_name: *b"worker\0garbage!!",
                process_name: *b"java\0\0\0\0\0\0\0\0\0\0\0\0",
            },
        }
    }

    fn response(flags: u32, status: u32, server_len: u32) -> Vec<u8> {
        let header = RecordHeader {
            kind: KIND_RESPONSE,
            flags,
            length: 80,
            captured: 80,
            ..header()
        };
        let mut payload = Vec::new();
        for word in [123, status, server_len, 0] {
            payload.extend_from_slice(&u32::to_ne_bytes(word));
        }
        payload.extend_from_slice(b"EC2ws");
        payload.resize(80, 0xee);
        record(&header, &payload, 80)
    }

    #[test]
    fn response_is_a_status_or_says_why_there_is_none() {
        let what = |record: &[u8]| match decode(record) {
            Some(Event::Response(response)) => {
                assert_eq!((response.acknowledged, response.time_ns), (123, 7));
                Some(response.what)
            }
            None => None,
            other => panic!("{other:?} is no response"),
        };
        let status = |resynced| Received::Status {
            code: 404,
            server: b"EC2ws".to_vec(),
            resynced,
        };
        assert_eq!(what(&response(0, 404, 5)), Some(status(false)));
        assert_eq!(what(&response(FLAG_RESYNCED, 404, 5)), Some(status(true)));
        assert_eq!(
            what(&response(FLAG_LOST_TRACK, 0, 0)),
            Some(Received::LostTrack)
        );
        assert_eq!(
            what(&response(FLAG_SERVER_DONE, 0, 0)),
            Some(Received::ServerDone)
        );
        for nonsense in [
            response(0, 99, 0),
            response(0, 1000, 0),
            response(0, 200, 65),
        ] {
            assert_eq!(what(&nonsense), None);
        }
        assert_eq!(what(&response(0, 200, 5)[..HEADER_LEN + 79]), None);
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

    /// A record of kind program as the kernel side lays it out.
    fn program_record(flags: u32, path: &[&str], cgroup: &[&str]) -> Vec<u8> {
        let mut payload = Vec::new();
        for long in [99u64, 77] {
            payload.extend_from_slice(&long.to_ne_bytes());
        }
        let counts = [path.len() as u32, cgroup.len() as u32];
        for word in [8 << 20 | 1, 1, 2, 3, 42, flags].iter().chain(&counts) {
            payload.extend_from_slice(&word.to_ne_bytes());
        }
        for (names, room, most) in [
            (path, PATH_NAME_LEN, MAX_PATH),
            (cgroup, CGROUP_NAME_LEN, MAX_CGROUP),
        ] {
            for index in 0..most {
                let mut cell = vec![0xee; room];
                if let Some(name) = names.get(index) {
                    cell[..name.len()].copy_from_slice(name.as_bytes());
                    cell[name.len()] = 0;
                }
                payload.extend_from_slice(&cell);
            }
        }
        assert_eq!(payload.len(), PROGRAM_LEN);
        let header = RecordHeader {
            kind: KIND_PROGRAM,
            length: PROGRAM_LEN as u32,
            captured: PROGRAM_LEN as u32,
            ..header()
        };
        record(&header, &payload, PROGRAM_LEN)
    }

    fn program_of(record: &[u8]) -> Program {
        match decode(record) {
            Some(Event::Program { program, .. }) => program,
            other => panic!("not a program: {other:?}"),
        }
    }

    #[test]
    fn path_is_put_together_across_mounts() {
        let whole = PROGRAM_PATH_WHOLE | PROGRAM_CGROUP_WHOLE;
        let program = program_of(&program_record(
            whole,
            &["curl", "bin", "/", "usr", "/"],
            &["cron.service", "system.slice"],
        ));
        assert_eq!(program.path.unwrap(), b"/usr/bin/curl");
        assert_eq!(program.cgroup.unwrap(), b"/system.slice/cron.service");
        assert_eq!(
            program.file,
            Some(FileId {
                device: rustix::fs::makedev(8, 1),
                inode: 99
            })
        );
        assert_eq!((program.ns_tgid, program.cgroup_id), (42, 77));
    }

    #[test]
    fn path_that_was_not_walked_to_its_end_is_none() {
        let program = program_of(&program_record(0, &["curl", "bin"], &["a"]));
        assert_eq!((program.path, program.cgroup), (None, None));
        let cut = "x".repeat(PATH_NAME_LEN - 1);
        for name in ["", &cut] {
            let flags = PROGRAM_PATH_WHOLE | PROGRAM_CGROUP_WHOLE;
            let program = program_of(&program_record(flags, &[name, "bin", "/"], &["a", ""]));
            assert_eq!((program.path, program.cgroup), (None, None), "{name}");
        }
    }

    #[test]
    fn process_in_the_root_cgroup_has_a_path() {
        let program = program_of(&program_record(PROGRAM_CGROUP_WHOLE, &[], &[]));
        assert_eq!(program.cgroup.unwrap(), b"/");
    }

    #[test]
    fn executable_in_memory_is_marked() {
        let flags = PROGRAM_DETACHED | PROGRAM_DELETED;
        let program = program_of(&program_record(flags, &["memfd:payload"], &[]));
        assert_eq!(program.path.unwrap(), b"/memfd:payload");
        assert!(program.in_memory && program.deleted);
    }

    #[test]
    fn program_with_more_names_than_room_is_refused() {
        let good = program_record(PROGRAM_PATH_WHOLE, &["curl"], &["a"]);
        for at in [HEADER_LEN + 40, HEADER_LEN + 44] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&25u32.to_ne_bytes());
            assert_eq!(decode(&bad), None);
        }
        for end in HEADER_LEN..good.len() {
            assert_eq!(decode(&good[..end]), None, "cut at {end}");
        }
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
