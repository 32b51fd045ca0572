//! Where the type information of the running kernel comes from: from itself, or
//! from a file for kernels that do not carry it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    btf::{Btf, BtfError},
    layout::Layout,
};

/// Where a kernel gives its type information (CONFIG_DEBUG_INFO_BTF).
const OF_KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// Longest blob that is read, bytes. A distribution's is 4 to 10 MB.
const MAX_BLOB: u64 = 64 << 20;

/// Why the kernel's type information could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KernelTypesError {
    /// The kernel gives none.
    #[error(
        "cannot read the kernel's type information {OF_KERNEL}: {0}; imds-analyzer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, or a BTF file of this very kernel, named with --btf or as `btf` in the configuration"
    )]
    None(io::Error),
    /// The file that was named could not be read.
    #[error("cannot read the type information {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More than any kernel has.
    #[error(
        "the type information {} is longer than 64 MiB, which no kernel's is: name a raw BTF file",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It lacks what every backend needs.
    #[error(
        "no backend can do with the type information {}: {source}; --btf names another file",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BtfError,
    },
}

/// Looks up what the programs need in the running kernel's type information, or in
/// that of the file that was named. [`Layout::common`] is `None`: something that
/// every backend needs and that is missing is an error here.
///
/// That a named file is of the running kernel cannot be told from it: of another
/// kernel it gives wrong offsets.
///
/// # Errors
/// If it is not there or not usable.
pub fn layout(named: Option<&Path>) -> Result<Layout, KernelTypesError> {
    let path = named.unwrap_or(Path::new(OF_KERNEL));
    let blob = read(path).map_err(|source| match named {
        Some(_) => KernelTypesError::Read {
            path: path.to_owned(),
            source,
        },
        None => KernelTypesError::None(source),
    })?;
    let path = || path.to_owned();
    if blob.len() as u64 > MAX_BLOB {
        return Err(KernelTypesError::TooLong { path: path() });
    }
    let unusable = |source| KernelTypesError::Unusable {
        path: path(),
        source,
    };
    let mut layout = Layout::resolve(&Btf::parse(&blob).map_err(unusable)?);
    match layout.common.take() {
        Some(missing) => Err(unusable(missing)),
        None => Ok(layout),
    }
}

/// Reads a file, at most one byte more than [`MAX_BLOB`].
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut blob = Vec::new();
    File::open(path)?
        .take(MAX_BLOB + 1)
        .read_to_end(&mut blob)?;
    Ok(blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        layout(Some(path)).expect_err("is refused").to_string()
    }

    #[test]
    fn running_kernel_has_what_every_backend_needs() {
        let layout = layout(None).expect("this kernel has BTF");
        assert_eq!(layout.common, None);
    }

    #[test]
    fn named_file_is_read_instead_of_the_kernels() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy.btf");
        std::fs::write(&path, std::fs::read(OF_KERNEL).unwrap()).unwrap();
        let globals = |named| layout(named).unwrap().globals;
        assert_eq!(globals(Some(&*path)), globals(None));
        std::fs::remove_file(&path).unwrap();
        let message = refusal(&path);
        assert!(message.contains("copy.btf: No such file"), "{message}");
    }

    #[test]
    fn what_is_no_btf_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmlinux");
        std::fs::write(&path, b"\x7fELF\x02\x01\x01").unwrap();
        let message = refusal(&path);
        assert!(message.contains("vmlinux: it is not BTF"), "{message}");
        assert!(message.contains("ELF"), "{message}");
        std::fs::write(&path, b"").unwrap();
        assert!(refusal(&path).contains("has 0 bytes"));
    }

    #[test]
    fn endless_file_is_refused() {
        assert!(refusal(Path::new("/dev/zero")).contains("longer than 64 MiB"));
    }
}
