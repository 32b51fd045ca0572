//! io_uring: sends that the kernel makes for a process, in its system call, in a
//! worker, or in a thread that polls. Whoever owns the ring has sent.

use std::{
    io,
    os::fd::{AsRawFd as _, RawFd},
};

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

use super::{
    Scenario, fact, sys,
    wire::{Connection, Wire},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("ring_operations", ring_operations),
    ("ring_worker", ring_worker),
    ("ring_linked", ring_linked),
    ("ring_polled", ring_polled),
    ("ring_fixed_buffer", ring_fixed_buffer),
    ("ring_zero_copy", ring_zero_copy),
];

/// Entries of a ring's queues.
const ENTRIES: u32 = 8;
/// How long the polling thread stays awake, in milliseconds: through a scenario.
const POLLS_FOR: u32 = 1000;
/// Index of the one socket that is registered. A polling thread takes no other
/// before 5.11 (`IORING_FEAT_SQPOLL_NONFIXED`, io_uring_setup(2)).
const SOCKET: types::Fixed = types::Fixed(0);
/// Operations that [`entry`] knows.
const OPERATIONS: [Operation; 4] = [
    Operation::Send,
    Operation::SendMessage,
    Operation::Write,
    Operation::WriteVector,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Send,
    SendMessage,
    Write,
    WriteVector,
}

/// Bytes with all that an operation may point to, alive until it is complete.
struct Prepared<'a> {
    bytes: &'a [u8],
    vectors: [libc::iovec; 2],
    message: libc::msghdr,
}

impl<'a> Prepared<'a> {
    fn new(bytes: &'a [u8]) -> Box<Self> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let vector = |part: &[u8]| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        };
        let mut prepared = Box::new(Self {
            bytes,
            vectors: [vector(first), vector(second)],
            // SAFETY: all zeroes is a valid msghdr: no name, no vectors, no control.
            message: unsafe { std::mem::zeroed() },
        });
        prepared.message.msg_iov = prepared.vectors.as_mut_ptr();
        prepared.message.msg_iovlen = prepared.vectors.len() as _;
        prepared
    }

    fn entry(&self, operation: Operation) -> squeue::Entry {
        let length = u32::try_from(self.bytes.len()).expect("a head is short");
        let start = self.bytes.as_ptr();
        match operation {
            Operation::Send => opcode::Send::new(SOCKET, start, length)
                .flags(libc::MSG_NOSIGNAL)
                .build(),
            Operation::SendMessage => opcode::SendMsg::new(SOCKET, &raw const self.message)
                .flags(libc::MSG_NOSIGNAL as u32)
                .build(),
            Operation::Write => opcode::Write::new(SOCKET, start, length).build(),
            Operation::WriteVector => {
                let count = u32::try_from(self.vectors.len()).expect("there are two");
                opcode::Writev::new(SOCKET, self.vectors.as_ptr(), count).build()
            }
        }
    }
}

fn ring_for(socket: RawFd) -> Result<IoUring> {
    let ring = IoUring::new(ENTRIES).context("io_uring_setup")?;
    ring.submitter()
        .register_files(&[socket])
        .context("register a socket with io_uring")?;
    Ok(ring)
}

fn polled_ring_for(socket: RawFd) -> Result<IoUring> {
    let ring = IoUring::builder()
        .setup_sqpoll(POLLS_FOR)
        .build(ENTRIES)
        .context("io_uring_setup with a polling thread")?;
    ring.submitter()
        .register_files(&[socket])
        .context("register a socket with io_uring")?;
    Ok(ring)
}

/// Submits and waits for the ends of all; each must have taken its `lengths`.
fn complete(ring: &mut IoUring, entries: &[squeue::Entry], lengths: &[usize]) -> Result<()> {
    for (index, entry) in entries.iter().enumerate() {
        let entry = entry.clone().user_data(index as u64);
        // SAFETY: what the entry points to lives in the caller until this returns.
        unsafe { ring.submission().push(&entry) }.context("the submission queue is full")?;
    }
    let mut left = entries.len();
    while left > 0 {
        ring.submit_and_wait(1).context("io_uring_enter")?;
        while let Some(done) = ring.completion().next() {
            left -= 1;
            let result = done.result();
            ensure!(
                result >= 0,
                "an operation failed: {}",
                io::Error::from_raw_os_error(-result)
            );
            let wanted = lengths[usize::try_from(done.user_data())?];
            ensure!(
                usize::try_from(result) == Ok(wanted),
                "an operation took {result} bytes of {wanted}"
            );
        }
    }
    Ok(())
}

/// One request, in one operation.
fn send_one(
    ring: &mut IoUring,
    operation: Operation,
    head: &[u8],
    flags: squeue::Flags,
) -> Result<()> {
    let prepared = Prepared::new(head);
    let entry = prepared.entry(operation).flags(flags);
    complete(ring, &[entry], &[head.len()]).with_context(|| format!("{operation:?}"))
}

/// Each operation with a v1 and a v2 request.
fn send_all(
    wire: &Wire,
    connection: &mut Connection,
    ring: &mut IoUring,
    flags: squeue::Flags,
) -> Result<()> {
    let mut number = 0;
    for operation in OPERATIONS {
        for v2 in [false, true] {
            number += 1;
            let head = if v2 {
                wire.get_v2(number)
            } else {
                wire.get(number, "")
            };
            send_one(ring, operation, &head, flags)?;
            connection.answer()?;
        }
    }
    Ok(())
}

fn ring_operations(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut ring = ring_for(connection.stream.as_raw_fd())?;
    send_all(wire, &mut connection, &mut ring, squeue::Flags::empty())
}

/// The same, each in a worker thread of the kernel's from the start.
fn ring_worker(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut ring = ring_for(connection.stream.as_raw_fd())?;
    send_all(wire, &mut connection, &mut ring, squeue::Flags::ASYNC)
}

/// A head in three operations that are submitted at once, one linked to the next.
fn ring_linked(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut ring = ring_for(connection.stream.as_raw_fd())?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let pieces: Vec<_> = head
            .chunks(head.len().div_ceil(3))
            .map(Prepared::new)
            .collect();
        let last = pieces.len() - 1;
        let entries: Vec<_> = pieces
            .iter()
            .enumerate()
            .map(|(index, piece)| {
                let link = if index == last {
                    squeue::Flags::empty()
                } else {
                    squeue::Flags::IO_LINK
                };
                piece.entry(Operation::Send).flags(link)
            })
            .collect();
        let lengths: Vec<_> = pieces.iter().map(|piece| piece.bytes.len()).collect();
        complete(&mut ring, &entries, &lengths)?;
        connection.answer()?;
    }
    Ok(())
}

/// Numbers 1 to 8 from a thread of the kernel that polls this process's ring, 9 and
/// 10 from one that polls the ring of a child, on the same socket.
fn ring_polled(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let socket = connection.stream.as_raw_fd();
    let mut ring = polled_ring_for(socket)?;
    send_all(wire, &mut connection, &mut ring, squeue::Flags::empty())?;
    let heads = [wire.get(9, ""), wire.get_v2(10)];
    let child = sys::fork(|| {
        let mut ring = polled_ring_for(socket)?;
        for head in &heads {
            send_one(&mut ring, Operation::Send, head, squeue::Flags::empty())?;
        }
        sys::linger()
    })?;
    for number in [9, 10] {
        fact(&format!("pid.{number}"), child)?;
        connection.answer()?;
    }
    Ok(())
}

/// From pages that are registered with the ring: the kernel hands them on as pages,
/// not as an address in the process.
fn ring_fixed_buffer(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut ring = ring_for(connection.stream.as_raw_fd())?;
    let heads = [wire.get(1, ""), wire.get_v2(2)];
    let vectors: Vec<_> = heads
        .iter()
        .map(|head| libc::iovec {
            iov_base: head.as_ptr().cast_mut().cast(),
            iov_len: head.len(),
        })
        .collect();
    // SAFETY: the heads live longer than the ring is used.
    unsafe { ring.submitter().register_buffers(&vectors) }.context("register buffers")?;
    for (index, head) in (0..).zip(&heads) {
        let length = u32::try_from(head.len())?;
        let entry = opcode::WriteFixed::new(SOCKET, head.as_ptr(), length, index).build();
        complete(&mut ring, &[entry], &[head.len()])?;
        connection.answer()?;
    }
    Ok(())
}

fn ring_zero_copy(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    let mut ring = ring_for(connection.stream.as_raw_fd())?;
    for head in [wire.get(1, ""), wire.padded_v2(2, 12 << 10)] {
        let length = u32::try_from(head.len())?;
        let entry = opcode::SendZc::new(SOCKET, head.as_ptr(), length).build();
        // SAFETY: the head lives until the kernel says that it needs it no more.
        unsafe { ring.submission().push(&entry) }.context("the submission queue is full")?;
        // The result first, then the notification that the memory is free.
        let mut results = Vec::new();
        let mut notified = false;
        while results.is_empty() || !notified {
            ring.submit_and_wait(1).context("io_uring_enter")?;
            while let Some(done) = ring.completion().next() {
                if io_uring::cqueue::notif(done.flags()) {
                    notified = true;
                } else {
                    results.push(done.result());
                    // Without this flag there will be no notification.
                    notified |= !io_uring::cqueue::more(done.flags());
                }
            }
        }
        ensure!(
            results == [i32::try_from(head.len())?],
            "a zero-copy send of {length} bytes ended with {results:?}"
        );
        connection.answer()?;
    }
    Ok(())
}

/// Whether the running kernel has zero-copy sends by io_uring (6.0).
pub fn ring_has_zero_copy() -> bool {
    let Ok(ring) = IoUring::new(1) else {
        return false;
    };
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe).is_ok() && probe.is_supported(opcode::SendZc::CODE)
}
