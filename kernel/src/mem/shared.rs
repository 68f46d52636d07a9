//! Memory shared with another OS process, which may write any of it at any time.
//!
//! Nothing here gives a reference to bytes of it: they are copied out, and what was copied is looked at. Words are
//! atomics. Its file can be neither shortened nor lengthened, so no access faults.

use std::ffi::CStr;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::MemError;
use crate::arch::copy_bytes;

const NAME: &CStr = c"atoll-segment";
const WHAT: &str = "a shared segment";
/// Bytes of a word that is copied at a time.
const WORD: usize = size_of::<u64>();
/// So many bytes are copied by one instruction of the processor, which takes longer to begin.
const MANY: usize = 256;

/// Memory shared with another OS process. Unmapped on drop; the file lives as long as somebody has it.
#[derive(Debug)]
pub struct SharedMemory {
    base: NonNull<u8>,
    len: usize,
    file: File,
}

// SAFETY: an address range and a file; every access is atomic.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// New memory of `len` bytes, all zero.
    ///
    /// # Errors
    /// [`MemError`] if the system has no room for it.
    pub fn create(len: usize) -> Result<SharedMemory, MemError> {
        let file = sized(NAME, len)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        seal(&file, seals, len)?;
        SharedMemory::map(file, len)
    }

    /// The memory of a file that somebody else has created.
    ///
    /// # Errors
    /// It has another size, or could get one.
    pub fn open(file: OwnedFd, len: usize) -> Result<SharedMemory, MemError> {
        let file = File::from(file);
        let fixed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS).map_err(|errno| refused("ask for", len, errno))?;
        let found = file.metadata().map_err(|source| system("ask for", len, source))?.len();
        if !SealFlag::from_bits_truncate(seals).contains(fixed) || found != len as u64 {
            return Err(MemError::Limit { what: WHAT, bytes: found, allowed: len as u64 });
        }
        SharedMemory::map(file, len)
    }

    fn map(file: File, len: usize) -> Result<SharedMemory, MemError> {
        let none = || MemError::Limit { what: WHAT, bytes: 0, allowed: usize::MAX as u64 };
        let size = NonZeroUsize::new(len).ok_or_else(none)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        let base = unsafe { mmap(None, size, access, flags, &file, 0) };
        let base = base.map_err(|errno| refused("map", len, errno))?;
        Ok(SharedMemory { base: base.cast(), len, file })
    }

    /// Its file, for whoever it is shared with.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: it holds at least a byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The word at byte `at`.
    ///
    /// # Panics
    /// If that is outside, or not a multiple of four: offsets are the caller's own.
    #[must_use]
    pub fn word(&self, at: usize) -> &AtomicU32 {
        assert!(
            at.is_multiple_of(size_of::<u32>()) && at + size_of::<u32>() <= self.len,
            "a word of {WHAT} at {at}"
        );
        // SAFETY: inside the mapping and aligned, as was just checked; atomics are how it may be accessed while others
        // write it.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// Copies bytes from `at` on out of it.
    ///
    /// # Panics
    /// If some are outside: offsets are the caller's own.
    pub fn copy_out(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        if into.len() >= MANY {
            // SAFETY: inside the mapping, as was just checked, and what is copied to is the caller's alone.
            return unsafe { copy_bytes(self.base.as_ptr().add(at), into.as_mut_ptr(), into.len()) };
        }
        let lead = lead(at, into.len());
        let (head, rest) = into.split_at_mut(lead);
        let (words, tail) = rest.as_chunks_mut::<WORD>();
        for (byte, from) in head.iter_mut().zip(at..) {
            *byte = self.byte(from).load(Ordering::Relaxed);
        }
        let first = at + lead;
        for (word, from) in words.iter_mut().zip((first..).step_by(WORD)) {
            *word = self.wide(from).load(Ordering::Relaxed).to_ne_bytes();
        }
        let last = first + words.len() * WORD;
        for (byte, from) in tail.iter_mut().zip(last..) {
            *byte = self.byte(from).load(Ordering::Relaxed);
        }
    }

    /// Appends `count` bytes from `at` on to `into`.
    ///
    /// # Panics
    /// If some are outside: offsets are the caller's own.
    pub fn append_out(&self, at: usize, count: usize, into: &mut Vec<u8>) {
        self.check(at, count);
        into.reserve(count);
        let len = into.len();
        // SAFETY: inside the mapping, as was just checked; there is room for them behind what the vector has, and after
        // that they are bytes of it.
        unsafe {
            copy_bytes(self.base.as_ptr().add(at), into.as_mut_ptr().add(len), count);
            into.set_len(len + count);
        }
    }

    /// Copies bytes into it, from `at` on.
    ///
    /// # Panics
    /// If some are outside: offsets are the caller's own.
    pub fn copy_in(&self, at: usize, from: &[u8]) {
        self.check(at, from.len());
        if from.len() >= MANY {
            // SAFETY: inside the mapping, as was just checked; no reference to bytes of it exists.
            return unsafe { copy_bytes(from.as_ptr(), self.base.as_ptr().add(at), from.len()) };
        }
        let lead = lead(at, from.len());
        let (head, rest) = from.split_at(lead);
        let (words, tail) = rest.as_chunks::<WORD>();
        for (byte, to) in head.iter().zip(at..) {
            self.byte(to).store(*byte, Ordering::Relaxed);
        }
        let first = at + lead;
        for (word, to) in words.iter().zip((first..).step_by(WORD)) {
            self.wide(to).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        let last = first + words.len() * WORD;
        for (byte, to) in tail.iter().zip(last..) {
            self.byte(to).store(*byte, Ordering::Relaxed);
        }
    }

    fn check(&self, at: usize, len: usize) {
        let end = at.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len), "{len} bytes of {WHAT} at {at}");
    }

    /// To be called for what was checked.
    fn byte(&self, at: usize) -> &AtomicU8 {
        debug_assert!(at < self.len);
        // SAFETY: inside the mapping, as the caller checked; atomics are how it may be accessed.
        unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(at)) }
    }

    /// To be called for what was checked, at a multiple of eight.
    fn wide(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + WORD <= self.len && at.is_multiple_of(WORD));
        // SAFETY: as above, and aligned: mappings begin at a page.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
    }
}

/// Bytes before the first that is at a multiple of a word's size.
fn lead(at: usize, len: usize) -> usize {
    (at.next_multiple_of(WORD) - at).min(len)
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives us.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}

/// A file in memory with these contents, which nobody can change any more.
///
/// # Errors
/// [`MemError`] if the system has no room for it.
pub fn sealed_file(name: &CStr, contents: &[u8]) -> Result<File, MemError> {
    let len = contents.len();
    let file = sized(name, len)?;
    file.write_all_at(contents, 0).map_err(|source| system("fill", len, source))?;
    let fixed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    seal(&file, fixed | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL, len)?;
    Ok(file)
}

fn sized(name: &CStr, len: usize) -> Result<File, MemError> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create(name, flags).map_err(|errno| refused("create", len, errno))?);
    file.set_len(len as u64).map_err(|source| system("size", len, source))?;
    Ok(file)
}

fn seal(file: &File, seals: SealFlag, len: usize) -> Result<(), MemError> {
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map_err(|errno| refused("seal", len, errno))?;
    Ok(())
}

fn refused(action: &'static str, bytes: usize, errno: nix::Error) -> MemError {
    MemError::system(action, WHAT, bytes, errno)
}

fn system(action: &'static str, bytes: usize, source: std::io::Error) -> MemError {
    MemError::System { action, what: WHAT, bytes, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_in_at_any_place_is_copied_out() {
        let ours = SharedMemory::create(4096).unwrap();
        let theirs = SharedMemory::open(ours.file().try_clone_to_owned().unwrap(), 4096).unwrap();
        for at in 0..20_u8 {
            for len in 0..40_u8 {
                let bytes: Vec<u8> = (0..len).map(|i| i.wrapping_mul(7).wrapping_add(at)).collect();
                ours.copy_in(usize::from(at), &bytes);
                let mut read = vec![0; usize::from(len)];
                theirs.copy_out(usize::from(at), &mut read);
                assert_eq!(read, bytes);
            }
        }
        for len in [MANY - 1, MANY, MANY + 13, 3000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            ours.copy_in(3, &bytes);
            let (mut read, mut appended) = (vec![0; len], b"ab".to_vec());
            theirs.copy_out(3, &mut read);
            theirs.append_out(3, len, &mut appended);
            assert_eq!((&read, &appended[2..], &appended[..2]), (&bytes, &bytes[..], &b"ab"[..]));
        }
        ours.word(64).store(0x0102_0304, Ordering::Relaxed);
        assert_eq!(theirs.word(64).load(Ordering::Relaxed), 0x0102_0304);
    }

    #[test]
    fn a_file_that_could_shrink_or_has_another_size_is_refused() {
        let loose = sized(NAME, 4096).unwrap();
        assert!(SharedMemory::open(loose.into(), 4096).is_err());
        let other = SharedMemory::create(8192).unwrap();
        assert!(SharedMemory::open(other.file().try_clone_to_owned().unwrap(), 4096).is_err());
    }

    #[test]
    fn a_sealed_file_stays_as_it_is() {
        let file = sealed_file(NAME, b"image").unwrap();
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
        let mut read = [0; 5];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"image");
    }

    #[test]
    #[should_panic(expected = "bytes of a shared segment")]
    fn nothing_outside_is_reached() {
        SharedMemory::create(64).unwrap().copy_out(60, &mut [0; 5]);
    }

    #[test]
    #[should_panic(expected = "bytes of a shared segment")]
    fn nothing_outside_is_appended() {
        SharedMemory::create(4096).unwrap().append_out(4000, 97, &mut Vec::new());
    }
}
