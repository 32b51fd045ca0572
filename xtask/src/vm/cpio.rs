//! Writes the archive format of an initramfs.
//!
//! The format is "newc" as the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`
//! gives it. The kernel unpacks several archives that follow one another, later
//! files replacing earlier ones; that is how a big base that seldom changes and
//! a small overlay make one image.

use std::io::{self, Write};

/// What an archive member is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file with these bytes.
    File(&'a [u8]),
    /// A symbolic link to this target.
    Link(&'a str),
    /// A character device: major and minor number.
    Device(u32, u32),
}

/// An archive member.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// Path without a leading slash. Its directory has to come before it.
    pub(super) path: &'a str,
    /// Permission bits.
    pub(super) mode: u32,
    /// Seconds since the epoch. Python takes a cached module for stale if its source's is wrong.
    pub(super) mtime: u32,
    /// The member itself.
    pub(super) kind: Kind<'a>,
}

const TRAILER: &str = "TRAILER!!!";

/// A newc archive that is being written. It ends with [`Archive::finish`].
pub(super) struct Archive<W> {
    writer: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// Begins an archive.
    pub(super) fn new(writer: W) -> Self {
        Self { writer, inode: 0 }
    }

    /// Appends `member`, owned by root.
    pub(super) fn append(&mut self, member: &Member<'_>) -> io::Result<()> {
        let (file_type, data, major, minor) = match member.kind {
            Kind::Directory => (0o040_000, &[][..], 0, 0),
            Kind::File(bytes) => (0o100_000, bytes, 0, 0),
            Kind::Link(target) => (0o120_000, target.as_bytes(), 0, 0),
            Kind::Device(major, minor) => (0o020_000, &[][..], major, minor),
        };
        self.inode += 1;
        self.write(
            member.path,
            file_type | member.mode,
            member.mtime,
            data,
            [major, minor],
        )
    }

    /// Ends the archive and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.write(TRAILER, 0, 0, &[], [0, 0])?;
        Ok(self.writer)
    }

    fn write(
        &mut self,
        path: &str,
        mode: u32,
        mtime: u32,
        data: &[u8],
        device: [u32; 2],
    ) -> io::Result<()> {
        let too_big = |_| io::Error::new(io::ErrorKind::InvalidInput, "larger than 4 GiB");
        let data_size = u32::try_from(data.len()).map_err(too_big)?;
        let path_size = u32::try_from(path.len() + 1).map_err(too_big)?;
        let links = 1;
        let fields = [
            self.inode, mode, 0, 0, links, mtime, data_size, 0, 0, device[0], device[1], path_size,
            0,
        ];
        self.writer.write_all(b"070701")?;
        for field in fields {
            write!(self.writer, "{field:08x}")?;
        }
        self.writer.write_all(path.as_bytes())?;
        self.writer.write_all(b"\0")?;
        // The header has 110 bytes; name and data are each padded to four.
        self.pad(110 + path.len() + 1)?;
        self.writer.write_all(data)?;
        self.pad(data.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.writer
            .write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[Member<'_>]) -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        for member in members {
            archive.append(member).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn member_has_the_header_of_the_specification() {
        let bytes = archive(&[Member {
            path: "a",
            mode: 0o644,
            mtime: 16,
            kind: Kind::File(b"hello"),
        }]);
        let header = "070701\
                      00000001000081a4000000000000000000000001\
                      000000100000000500000000000000000000000000000000\
                      0000000200000000";
        assert_eq!(str::from_utf8(&bytes[..110]).unwrap(), header);
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..120], b"hello\0\0\0");
        assert_eq!(&bytes[120..126], b"070701");
    }

    #[test]
    fn every_member_and_the_end_are_aligned_to_four_bytes() {
        for name in ["a", "ab", "abc", "abcd"] {
            for data in [&b""[..], b"1", b"12", b"123", b"1234"] {
                let bytes = archive(&[Member {
                    path: name,
                    mode: 0,
                    mtime: 0,
                    kind: Kind::File(data),
                }]);
                assert_eq!(bytes.len() % 4, 0);
                let trailer = bytes
                    .windows(10)
                    .position(|window| window == b"TRAILER!!!")
                    .unwrap();
                assert_eq!((trailer - 110) % 4, 0, "{name} with {} bytes", data.len());
            }
        }
    }

    #[test]
    fn device_keeps_its_numbers_and_link_its_target() {
        let bytes = archive(&[
            Member {
                path: "dev/console",
                mode: 0o600,
                mtime: 0,
                kind: Kind::Device(5, 1),
            },
            Member {
                path: "bin",
                mode: 0o777,
                mtime: 0,
                kind: Kind::Link("usr/bin"),
            },
        ]);
        assert_eq!(&bytes[14..22], b"00002180");
        assert_eq!(&bytes[78..94], b"0000000500000001");
        assert!(bytes.windows(7).any(|window| window == b"usr/bin"));
    }
}
