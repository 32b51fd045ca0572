//! Sends that lose their memory under way: userfaultfd(2) stops one in the middle of
//! its copying, where another thread can take away what was copied already.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, FromRawFd as _},
    ptr::{self, NonNull},
    thread,
};

use anyhow::{Context as _, Result, ensure};

use super::{Scenario, sys, wire::Wire};

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[("memory_gone", memory_gone)];

/// `UFFD_API` and the requests of ioctl_userfaultfd(2)
/// (`include/uapi/linux/userfaultfd.h`).
const API: u64 = 0xaa;
const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_COPY: u32 = 0xc028_aa03;
const MODE_MISSING: u64 = 1;
const EVENT_PAGE_FAULT: u8 = 0x12;

/// Number 1 v1, 2 v2: of each the first half is gone when the send returns, and the
/// kernel waits for more before it lets any of it leave.
fn memory_gone(wire: &Wire) -> Result<()> {
    for head in [wire.get(1, ""), wire.get_v2(2)] {
        let (most, end) = head.split_at(head.len() - 2);
        let (first, second) = most.split_at(most.len() / 2);
        let given = Page::new()?;
        // SAFETY: a page is longer than a head, and nobody else uses this one yet.
        let copied = unsafe {
            ptr::copy_nonoverlapping(first.as_ptr(), given.0.as_ptr(), first.len());
            std::slice::from_raw_parts(given.0.as_ptr(), first.len())
        };
        let awaited = Page::new()?;
        let faults = UserFaults::on(&awaited)?;
        // SAFETY: within the page; what is read there comes from the other thread.
        let to_come = unsafe { std::slice::from_raw_parts(awaited.0.as_ptr(), second.len()) };
        let mut connection = wire.connect()?;
        let sent = thread::scope(|scope| -> Result<usize> {
            let other = scope.spawn(|| faults.resolve_first(second, &given));
            let sent = sys::send_segments(&connection.stream, &[copied, to_come], libc::MSG_MORE);
            other.join().expect("resolving does not panic")?;
            Ok(sent?)
        })?;
        ensure!(sent == most.len(), "send took {sent} of {}", most.len());
        connection.exchange(end)?;
    }
    Ok(())
}

/// A private anonymous page of memory.
struct Page(NonNull<u8>);

// SAFETY: it is memory of this process, whose threads it does not belong to.
unsafe impl Sync for Page {}

impl Page {
    fn new() -> Result<Self> {
        // SAFETY: a new mapping that nobody knows.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                page_size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(
            page != libc::MAP_FAILED,
            "mmap: {}",
            io::Error::last_os_error()
        );
        NonNull::new(page.cast())
            .map(Self)
            .context("mmap gave null")
    }

    /// Gives its memory back: it is all zeroes when it is touched again, and cannot
    /// be read before by those that may not fault.
    fn empty(&self) -> Result<()> {
        // SAFETY: the mapping is this page's own.
        let done =
            unsafe { libc::madvise(self.0.as_ptr().cast(), page_size(), libc::MADV_DONTNEED) };
        ensure!(done == 0, "madvise: {}", io::Error::last_os_error());
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping is this page's own, and its borrows have ended.
        unsafe { libc::munmap(self.0.as_ptr().cast(), page_size()) };
    }
}

fn page_size() -> usize {
    // SAFETY: no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("a page has a size")
}

/// The faults on one page that was never touched.
struct UserFaults<'a> {
    file: File,
    page: &'a Page,
}

impl<'a> UserFaults<'a> {
    fn on(page: &'a Page) -> Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        ensure!(fd >= 0, "userfaultfd: {}", io::Error::last_os_error());
        // SAFETY: the descriptor is new and owned by nobody else.
        let file = unsafe { File::from_raw_fd(i32::try_from(fd)?) };
        let faults = Self { file, page };
        // struct uffdio_api: api, features, ioctls.
        faults.control(UFFDIO_API, &mut [API, 0, 0])?;
        // struct uffdio_register: start, length, mode, ioctls.
        let start = page.0.as_ptr().addr() as u64;
        faults.control(
            UFFDIO_REGISTER,
            &mut [start, page_size() as u64, MODE_MISSING, 0],
        )?;
        Ok(faults)
    }

    /// Waits for a fault; empties the page `given`, then lets the fault go on with
    /// `content`.
    fn resolve_first(&self, content: &[u8], given: &Page) -> Result<()> {
        let mut message = [0; 32];
        (&self.file)
            .read_exact(&mut message)
            .context("wait for a fault")?;
        ensure!(message[0] == EVENT_PAGE_FAULT, "an odd event came");
        given.empty()?;
        let mut source = vec![0u8; page_size()];
        source[..content.len()].copy_from_slice(content);
        // struct uffdio_copy: destination, source, length, mode, bytes copied.
        self.control(
            UFFDIO_COPY,
            &mut [
                self.page.0.as_ptr().addr() as u64,
                source.as_ptr().addr() as u64,
                page_size() as u64,
                0,
                0,
            ],
        )
    }

    fn control<const N: usize>(&self, request: u32, argument: &mut [u64; N]) -> Result<()> {
        // SAFETY: the argument is the structure of that request, as its size says.
        let done = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                request as libc::Ioctl,
                argument.as_mut_ptr(),
            )
        };
        ensure!(
            done == 0,
            "userfaultfd request {request:#x}: {}",
            io::Error::last_os_error()
        );
        Ok(())
    }
}
