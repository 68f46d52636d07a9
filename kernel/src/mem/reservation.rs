//! A range of address space with nothing accessible in it, until its owner says so.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};

use super::MemError;
use crate::os::page;

/// What may be done with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: every access faults.
    None,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
}

impl Access {
    fn flags(self) -> ProtFlags {
        match self {
            Access::None => ProtFlags::PROT_NONE,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            Access::ReadExecute => ProtFlags::PROT_READ | ProtFlags::PROT_EXEC,
        }
    }
}

/// An owned range of address space, unmapped on drop. All offsets into it are whole pages.
#[derive(Debug)]
pub struct Reservation {
    base: NonNull<u8>,
    len: usize,
    what: &'static str,
}

// SAFETY: a reservation is an address range; what its pages may be used for is decided by whoever makes them
// accessible.
unsafe impl Send for Reservation {}
// SAFETY: as above; its methods that change mappings take `&self` only to be usable behind the owner's lock.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `len` bytes, rounded up to pages, for `what` (named in errors).
    ///
    /// # Errors
    /// [`MemError`] if the address space is used up or `len` is absurd.
    pub fn new(len: usize, what: &'static str) -> Result<Reservation, MemError> {
        let len = page::round_up(len).and_then(NonZeroUsize::new).ok_or(MemError::Limit {
            what,
            bytes: len as u64,
            allowed: usize::MAX as u64,
        })?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        let base = unsafe { mman::mmap_anonymous(None, len, ProtFlags::PROT_NONE, flags) }
            .map_err(|errno| MemError::system("reserve", what, len.get(), errno))?;
        Ok(Reservation { base: base.cast(), len: len.get(), what })
    }

    /// The first address.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a reservation holds at least a page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// All its addresses.
    #[must_use]
    pub fn addresses(&self) -> Range<usize> {
        let base = self.base.as_ptr() as usize;
        base..base + self.len
    }

    fn at(&self, range: &Range<usize>) -> NonNull<std::ffi::c_void> {
        let whole = range.start.is_multiple_of(page::size()) && range.end.is_multiple_of(page::size());
        assert!(whole && range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.what);
        // SAFETY: the offset is inside the reservation, as was just checked.
        unsafe { self.base.add(range.start).cast() }
    }

    /// Changes what may be done with the pages of `range`; their contents stay.
    ///
    /// # Safety
    /// Nothing may use the range in a way that `access` forbids from now on, other than guest code, whose
    /// faults are caught. Bytes made executable must be what the caller means to run.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses: too many mappings, mostly.
    pub unsafe fn protect(&self, range: Range<usize>, access: Access) -> Result<(), MemError> {
        let at = self.at(&range);
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: the range is ours; its users are the caller's promise.
        unsafe { mman::mprotect(at, range.len(), access.flags()) }
            .map_err(|errno| MemError::system("protect", self.what, range.len(), errno))
    }

    /// Drops the contents of the pages of `range`, which are as first mapped when they are next touched:
    /// zero, or the image's. What may be done with them does not change.
    ///
    /// # Safety
    /// Nothing may rely on the contents.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses.
    pub unsafe fn discard(&self, range: Range<usize>) -> Result<(), MemError> {
        let at = self.at(&range);
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: the range is ours and private; its contents are the caller's promise.
        unsafe { mman::madvise(at, range.len(), MmapAdvise::MADV_DONTNEED) }
            .map_err(|errno| MemError::system("discard", self.what, range.len(), errno))
    }

    /// Makes the pages of `range` as they were when reserved: inaccessible, backed by nothing.
    ///
    /// # Safety
    /// Nothing may use the range any more, other than guest code, whose faults are caught.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses: too many mappings, mostly.
    pub unsafe fn clear(&self, range: Range<usize>) -> Result<(), MemError> {
        let at = self.at(&range);
        let Some(len) = NonZeroUsize::new(range.len()) else { return Ok(()) };
        let address = NonZeroUsize::new(at.as_ptr() as usize);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
        // SAFETY: replaces only pages of this reservation, which nobody uses, as the caller promises.
        unsafe { mman::mmap_anonymous(address, len, ProtFlags::PROT_NONE, flags) }
            .map_err(|errno| MemError::system("clear", self.what, len.get(), errno))?;
        Ok(())
    }

    /// Maps `file` from `offset` on over the pages of `range`, privately: stores stay here.
    ///
    /// # Safety
    /// Nothing may rely on what was there, and the file must not become shorter while it is mapped.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses: too many mappings, mostly.
    pub unsafe fn map(&self, range: Range<usize>, file: BorrowedFd, offset: usize) -> Result<(), MemError> {
        let at = self.at(&range);
        let Some(len) = NonZeroUsize::new(range.len()) else { return Ok(()) };
        let address = NonZeroUsize::new(at.as_ptr() as usize);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
        let offset = i64::try_from(offset).expect("a file is shorter than 2^63 bytes");
        // SAFETY: replaces only pages of this reservation, on whose contents nothing relies.
        unsafe { mman::mmap(address, len, Access::ReadWrite.flags(), flags, file, offset) }
            .map_err(|errno| MemError::system("map", self.what, len.get(), errno))?;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the owner is gone, so nothing uses the range any more.
        let result = unsafe { mman::munmap(self.base.cast(), self.len) };
        debug_assert!(result.is_ok(), "unmapping {}: {result:?}", self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Reservation, page};

    #[test]
    fn pages_are_zero_again_after_discard_and_clear() {
        let page = page::size();
        let reservation = Reservation::new(4 * page, "a test").unwrap();
        // SAFETY: nobody else knows of the reservation.
        unsafe {
            reservation.protect(page..3 * page, Access::ReadWrite).unwrap();
            let byte = reservation.base().add(page);
            byte.write(7);
            reservation.discard(page..2 * page).unwrap();
            assert_eq!(byte.read(), 0);
            byte.write(8);
            reservation.clear(0..4 * page).unwrap();
            reservation.protect(page..2 * page, Access::ReadWrite).unwrap();
            assert_eq!(byte.read(), 0);
        }
    }

    #[test]
    fn an_absurd_length_is_an_error() {
        assert!(Reservation::new(usize::MAX, "a test").is_err());
        assert!(Reservation::new(1 << 60, "a test").is_err());
    }
}
