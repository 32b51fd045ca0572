//! What lies in the analyzer's ring buffers: records stay there after they were read, until
//! others are written over them.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use anyhow::{Context as _, Result, ensure};

/// `BPF_MAP_TYPE_RINGBUF` (include/uapi/linux/bpf.h).
const RINGBUF: &str = "27";

/// A copy of all of them.
#[derive(Debug)]
pub struct RingMemory(Vec<Vec<u8>>);

impl RingMemory {
    /// Copies the ring buffers of the process `pid`: that of the records, and that of what
    /// the programs say of themselves.
    ///
    /// # Errors
    ///
    /// If the process has none, or may not be looked at.
    pub fn of(pid: u32) -> Result<Self> {
        let rings = ring_buffers_of(pid)?;
        ensure!(!rings.is_empty(), "process {pid} has no ring buffer");
        let copies = rings
            .into_iter()
            .map(|(number, bytes)| copy(&descriptor_of(pid, number)?, bytes));
        copies.collect::<Result<_>>().map(Self)
    }

    /// How often these bytes are in them.
    pub fn count(&self, bytes: &[u8]) -> usize {
        let rings = self.0.iter();
        rings.map(|ring| occurrences(ring, bytes)).sum()
    }
}

fn occurrences(ring: &[u8], bytes: &[u8]) -> usize {
    ring.windows(bytes.len())
        .filter(|window| *window == bytes)
        .count()
}

/// Copies the data of a ring buffer.
fn copy(map: &OwnedFd, bytes: usize) -> Result<Vec<u8>> {
    // The second page is the producer's; the data follows (kernel/bpf/ringbuf.c).
    // SAFETY: no pointers.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })?;
    // SAFETY: a new mapping, which nothing else knows.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            page + bytes,
            libc::PROT_READ,
            libc::MAP_SHARED,
            map.as_raw_fd(),
            page as libc::off_t,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error()).context("map the ring buffer");
    }
    let mut copy = vec![0; bytes];
    // SAFETY: the mapping is that long, and the copy has room. What the kernel writes
    // meanwhile is bytes as well.
    unsafe {
        ptr::copy_nonoverlapping(address.cast::<u8>().add(page), copy.as_mut_ptr(), bytes);
        libc::munmap(address, page + bytes);
    }
    Ok(copy)
}

/// Number of the descriptor and size in bytes of each.
fn ring_buffers_of(pid: u32) -> Result<Vec<(libc::c_int, usize)>> {
    let directory = format!("/proc/{pid}/fdinfo");
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("read {directory}"))? {
        let path = entry?.path();
        let Ok(info) = fs::read_to_string(&path) else {
            continue;
        };
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        };
        if field("map_type") == Some(RINGBUF) {
            let number = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let bytes = field("max_entries").and_then(|bytes| bytes.parse().ok());
            let ring = number.zip(bytes);
            found.push(ring.with_context(|| format!("{} makes no sense", path.display()))?);
        }
    }
    Ok(found)
}

/// A descriptor of ours for the same thing (pidfd_getfd(2)).
fn descriptor_of(pid: u32, number: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let process = owned(process).context("pidfd_open")?;
    // SAFETY: no pointers.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    owned(copy).context("pidfd_getfd")
}

fn owned(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    match libc::c_int::try_from(descriptor) {
        // SAFETY: the kernel has just made it, for nobody else.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
