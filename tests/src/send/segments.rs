//! The ways in which bytes get into a TCP socket.

use std::{
    ffi::c_void,
    fs::File,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Scenario, fact, sys,
    wire::{Connection, Wire},
};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("plain_write", plain_write),
    ("vectors_of_every_count", vectors_of_every_count),
    ("more_vectors_than_usual", more_vectors_than_usual),
    ("several_messages", several_messages),
    ("untouched_page", untouched_page),
    ("more_to_come", more_to_come),
    ("corked", corked),
    ("cork_left_in", cork_left_in),
    ("zero_copy", zero_copy),
    ("sendfile", sendfile),
    ("spliced", spliced),
];

/// Segment counts that are tried: the largest is what a program may reasonably use.
const COUNTS: std::ops::RangeInclusive<usize> = 1..=64;
/// The most segments that the kernel takes at once (`UIO_MAXIOV`, uio.h).
const MOST: usize = 1024;

/// Cuts `bytes` into `count` segments; every third one is empty.
fn segments(bytes: &[u8], count: usize) -> Vec<&[u8]> {
    let filled = count - (count - 1) / 3;
    let size = bytes.len().div_ceil(filled);
    let mut rest = bytes;
    (0..count)
        .map(|index| {
            let last = index + 1 == count;
            let take = match index % 3 {
                _ if last => rest.len(),
                2 => 0,
                _ => size.min(rest.len()),
            };
            let (segment, left) = rest.split_at(take);
            rest = left;
            segment
        })
        .collect()
}

fn plain_write(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let (first, second) = head.split_at(head.len() / 2);
        for part in [first, second] {
            let sent = sys::write(&connection.stream, part)?;
            ensure!(sent == part.len(), "write took {sent} of {}", part.len());
        }
        connection.answer()?;
    }
    Ok(())
}

/// Each count by writev and by sendmsg, a v1 and a v2 request. Tells how many
/// `requests` there were.
fn vectors_of_every_count(wire: &Wire) -> Result<()> {
    let mut number = 0;
    let mut connection = wire.connect()?;
    for count in COUNTS {
        number += 1;
        let head = wire.get_v2(number);
        write_segments(&connection.stream, &segments(&head, count))?;
        connection.answer()?;

        number += 1;
        let head = wire.get(number, "");
        let sent = sys::send_segments(&connection.stream, &segments(&head, count), 0)?;
        ensure!(sent == head.len(), "sendmsg took {sent} of {}", head.len());
        connection.answer()?;
    }
    fact("requests", number)
}

fn write_segments(mut stream: &TcpStream, segments: &[&[u8]]) -> Result<()> {
    let slices: Vec<_> = segments.iter().copied().map(io::IoSlice::new).collect();
    let wanted: usize = segments.iter().map(|segment| segment.len()).sum();
    let sent = stream.write_vectored(&slices)?;
    ensure!(sent == wanted, "writev took {sent} of {wanted}");
    Ok(())
}

/// Far more segments than a program is likely to use, one byte in most.
fn more_vectors_than_usual(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.padded_v2(2, 2048)] {
        write_segments(&connection.stream, &segments(&head, MOST))?;
        connection.answer()?;
    }
    Ok(())
}

fn several_messages(wire: &Wire) -> Result<()> {
    let heads = [wire.get(1, ""), wire.get_v2(2), wire.get(3, "")];
    let messages: Vec<Vec<&[u8]>> = heads
        .iter()
        .zip([1, 2, 5])
        .map(|(head, count)| segments(head, count))
        .collect();
    let mut connection = wire.connect()?;
    let sent = sys::send_messages(&connection.stream, &messages)?;
    ensure!(sent == 3, "sendmmsg took {sent} of 3 messages");
    for _ in heads {
        connection.answer()?;
    }
    Ok(())
}

/// A private mapping of a file whose page this process has never touched: a program
/// in the kernel that can't fault pages in reads nothing from it.
fn untouched_page(wire: &Wire) -> Result<()> {
    for (number, head) in [(1, wire.get(1, "")), (2, wire.get_v2(2))] {
        let file = file_holding(&head)?;
        // SAFETY: a new mapping, of a file that nobody shortens.
        let mapped = unsafe {
            libc::mmap(
                ptr::null_mut(),
                head.len(),
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        ensure!(
            mapped != libc::MAP_FAILED,
            "mmap: {}",
            io::Error::last_os_error()
        );
        ensure!(!resident(mapped)?, "page {number} was touched already");
        let mut connection = wire.connect()?;
        let sent = sys::send_from(&connection.stream, mapped.cast(), head.len())?;
        ensure!(sent == head.len(), "send took {sent} of {}", head.len());
        connection.answer()?;
        // SAFETY: the mapping made above, not used any more.
        unsafe { libc::munmap(mapped, head.len()) };
    }
    Ok(())
}

/// Whether this process has a page table entry for the page (`/proc/PID/pagemap`,
/// bit 63, Documentation/admin-guide/mm/pagemap.rst).
fn resident(page: *const c_void) -> Result<bool> {
    use std::os::unix::fs::FileExt as _;

    // SAFETY: no pointers.
    let size = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })?;
    let mut entry = [0; 8];
    File::open("/proc/self/pagemap")?
        .read_exact_at(&mut entry, page.addr() as u64 / size * 8)
        .context("read /proc/self/pagemap")?;
    Ok(u64::from_ne_bytes(entry) >> 63 == 1)
}

fn more_to_come(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let pieces = segments(&head, 4);
        for piece in &pieces[..3] {
            connection.send_with(piece, libc::MSG_MORE)?;
        }
        connection.send_with(pieces[3], 0)?;
        connection.answer()?;
    }
    Ok(())
}

/// In pieces that stay in the kernel until the last one is there.
fn corked(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        cork(&connection, true)?;
        for piece in segments(&head, 4) {
            connection.send_with(piece, 0)?;
        }
        cork(&connection, false)?;
        connection.answer()?;
    }
    Ok(())
}

/// Nobody says that this was all: the kernel sends it when it has waited long enough
/// (tcp(7): 200 milliseconds), from a timer.
fn cork_left_in(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    cork(&connection, true)?;
    connection.exchange(&wire.get_v2(1))?;
    Ok(())
}

fn cork(connection: &Connection, corked: bool) -> Result<()> {
    sys::set_option(
        &connection.stream,
        libc::IPPROTO_TCP,
        libc::TCP_CORK,
        corked.into(),
    )
    .context("TCP_CORK")
}

fn zero_copy(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    sys::set_option(&connection.stream, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1)
        .context("SO_ZEROCOPY")?;
    for head in [wire.get(1, ""), wire.padded_v2(2, 12 << 10)] {
        connection.send_with(&head, libc::MSG_ZEROCOPY)?;
        connection.answer()?;
    }
    Ok(())
}

fn sendfile(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let file = file_holding(&head)?;
        let sent = sys::send_file(&connection.stream, &file, head.len())?;
        ensure!(sent == head.len(), "sendfile took {sent} of {}", head.len());
        connection.answer()?;
    }
    Ok(())
}

fn spliced(wire: &Wire) -> Result<()> {
    let mut connection = wire.connect()?;
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let (reader, mut writer) = pipe()?;
        writer.write_all(&head)?;
        let sent = sys::splice(&reader, &connection.stream, head.len())?;
        ensure!(sent == head.len(), "splice took {sent} of {}", head.len());
        connection.answer()?;
    }
    Ok(())
}

fn pipe() -> Result<(OwnedFd, File)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    ensure!(made == 0, "pipe: {}", io::Error::last_os_error());
    // SAFETY: both descriptors are new and owned by nobody else.
    let (reader, writer) =
        unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    Ok((reader, File::from(writer)))
}

/// A file with that content and no name.
fn file_holding(content: &[u8]) -> Result<File> {
    use std::io::Seek as _;

    let mut file = tempfile::tempfile().context("make a temporary file")?;
    file.write_all(content)?;
    file.rewind()?;
    // What is read back is what the kernel will send.
    let mut written = Vec::new();
    file.read_to_end(&mut written)?;
    ensure!(written == content, "the file holds something else");
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_the_whole_in_order_with_empty_ones_among_them() {
        let bytes: Vec<u8> = (0..=255).collect();
        for count in COUNTS {
            let cut = segments(&bytes, count);
            assert_eq!(cut.len(), count);
            assert_eq!(cut.concat(), bytes);
            assert!(count <= 3 || cut.iter().any(|segment| segment.is_empty()));
        }
    }
}
