//! The initial contents of a linear memory, in a file that every instance maps copy-on-write.

use std::ffi::CStr;
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::MemError;
use crate::os::page;

const NAME: &CStr = c"atoll-image";

/// Bytes at the beginning of a memory; whole pages, immutable, shared by every memory that maps it.
#[derive(Debug)]
pub struct Image {
    file: File,
    range: Range<usize>,
}

impl Image {
    /// An image of `segments`, each an offset in the memory and its bytes; later ones overwrite earlier ones.
    /// `None` if there is nothing to map.
    ///
    /// # Errors
    /// [`MemError`] if the system has no room for it.
    pub fn new(segments: &[(usize, &[u8])]) -> Result<Option<Image>, MemError> {
        let filled = || segments.iter().filter(|(_, bytes)| !bytes.is_empty());
        let Some(start) = filled().map(|(at, _)| *at).min() else { return Ok(None) };
        let end = filled().map(|(at, bytes)| at + bytes.len()).max().unwrap_or(start);
        let start = start - start % page::size();
        let end = page::round_up(end).ok_or(MemError::Limit {
            what: "a memory image",
            bytes: end as u64,
            allowed: usize::MAX as u64,
        })?;
        let len = end - start;
        let system = |action, source| MemError::System { action, what: "a memory image", bytes: len, source };
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create(NAME, flags).map_err(|errno| system("create", errno.into()))?);
        file.set_len(len as u64).map_err(|error| system("size", error))?;
        for (at, bytes) in filled() {
            file.write_all_at(bytes, (at - start) as u64).map_err(|error| system("fill", error))?;
        }
        // Nobody can change or shorten it from now on, so a mapping can neither tear nor raise SIGBUS.
        let seals =
            SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(|errno| system("seal", errno.into()))?;
        Ok(Some(Image { file, range: start..end }))
    }

    /// Which bytes of the memory it covers: whole pages.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The file; its first byte is the first of [`Self::range`].
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
