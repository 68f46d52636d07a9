//! To another OS process and back: a ball in memory that both see, and a futex for each to sleep on.
//!
//! ```text
//! 0          64         128        4096
//! ├─ ping ───┼─ pong ───┼─ length ─┼─ bytes ──────
//!   written    written    written by one
//!   by one     by other
//! ```
//!
//! Both trust each other: it is one program, that measures.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::ftruncate;

/// Bytes before those that are carried.
const HEAD: usize = 4096;
/// Where the second word is: on a cache line of its own.
const PONG: usize = 64;
/// Where the length is.
const LENGTH: usize = 128;
/// What `ping` is when the game is over.
const OVER: u32 = u32::MAX;
/// How long one waits before it looks whether the other is still there.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks before it gives up.
const LOOKS: u32 = 10;

/// Memory that two processes see, and whose turn it is.
pub struct PingPong {
    base: NonNull<u8>,
    bytes: usize,
    file: OwnedFd,
}

// SAFETY: it owns its mapping, and nothing of it belongs to a thread.
unsafe impl Send for PingPong {}

impl PingPong {
    /// Makes one that carries up to so many bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(bytes: usize) -> io::Result<PingPong> {
        let file = memfd_create(c"atoll-pingpong", MFdFlags::empty())?;
        ftruncate(&file, i64::try_from(HEAD + bytes).map_err(io::Error::other)?)?;
        PingPong::open(file)
    }

    /// The other's end of one that was made, by its file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(file: OwnedFd) -> io::Result<PingPong> {
        let len = usize::try_from(nix::sys::stat::fstat(&file)?.st_size).map_err(io::Error::other)?;
        let short = || io::Error::other("a file that is no ping-pong");
        let bytes = len.checked_sub(HEAD).ok_or_else(short)?;
        let length = std::num::NonZeroUsize::new(len).ok_or_else(short)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the system picks.
        let base = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0)? };
        Ok(PingPong { base: base.cast(), bytes, file })
    }

    /// The file, for the other.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Puts `bytes` in front of the other, wakes it, and waits until it has taken them.
    ///
    /// # Errors
    /// They are too many; the other has gone.
    pub fn round_trip(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.bytes {
            return Err(io::Error::other("more bytes than the memory has"));
        }
        // SAFETY: so many bytes are there, and it is our turn: the other does not look.
        unsafe { self.base.add(HEAD).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.word(LENGTH).store(length, Ordering::Relaxed);
        let turn = self.ping().load(Ordering::Relaxed).wrapping_add(1) % OVER;
        self.ping().store(turn, Ordering::Release);
        futex_wake(self.ping());
        self.until(self.pong(), |pong| pong == turn)
    }

    /// Takes whatever the other sends into `place`, as much as that holds, until it ends the game or has gone.
    ///
    /// # Errors
    /// The other has gone.
    pub fn serve(&mut self, place: &mut [u8]) -> io::Result<()> {
        let mut served = 0;
        loop {
            self.until(self.ping(), |ping| ping != served)?;
            served = self.ping().load(Ordering::Acquire);
            if served == OVER {
                return Ok(());
            }
            let length = self.word(LENGTH).load(Ordering::Relaxed) as usize;
            let length = length.min(place.len()).min(self.bytes);
            // SAFETY: so many bytes are there and here, and it is our turn: the other waits.
            unsafe { self.base.add(HEAD).copy_to_nonoverlapping(NonNull::from(&mut *place).cast(), length) };
            self.pong().store(served, Ordering::Release);
            futex_wake(self.pong());
        }
    }

    /// How many bytes it carries.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes
    }

    /// Ends the game: the other's [`Self::serve`] returns.
    pub fn end(&self) {
        self.ping().store(OVER, Ordering::Release);
        futex_wake(self.ping());
    }

    fn ping(&self) -> &AtomicU32 {
        self.word(0)
    }

    fn pong(&self) -> &AtomicU32 {
        self.word(PONG)
    }

    /// A word of the head.
    fn word(&self, at: usize) -> &AtomicU32 {
        debug_assert!(at < HEAD && at.is_multiple_of(PONG), "the head has three words");
        // SAFETY: the head of the mapping, which is aligned and lives as long as this; both ends use it as atomics.
        unsafe { self.base.add(at).cast::<AtomicU32>().as_ref() }
    }

    /// Sleeps until the word is as it should be.
    fn until(&self, word: &AtomicU32, arrived: impl Fn(u32) -> bool) -> io::Result<()> {
        let mut looks = 0;
        loop {
            let value = word.load(Ordering::Acquire);
            if arrived(value) {
                return Ok(());
            }
            if futex_wait(word, value) == Some(libc::ETIMEDOUT) {
                looks += 1;
                if looks == LOOKS {
                    return Err(io::Error::other("the other process does not answer"));
                }
            }
        }
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `open`, with this length, and nobody has a reference into it any more.
        let unmapped = unsafe { munmap(self.base.cast(), HEAD + self.bytes) };
        debug_assert!(unmapped.is_ok(), "what was mapped can be unmapped");
    }
}

impl std::fmt::Debug for PingPong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PingPong").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Sleeps while the word is `value`, for [`PATIENCE`] at most; gives the error's number.
fn futex_wait(word: &AtomicU32, value: u32) -> Option<i32> {
    let patience = libc::timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    // SAFETY: the word and the time are there for the length of the call. Not private: another process wakes us.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const patience)
    };
    (result < 0).then(nix::errno::Errno::last_raw)
}

fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is there for the length of the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

#[cfg(test)]
mod tests {
    use super::PingPong;

    #[test]
    fn bytes_get_to_the_other_end() {
        let mut here = PingPong::create(64).expect("memory");
        let mut there = PingPong::open(here.file().try_clone_to_owned().expect("a file")).expect("memory");
        let serving = std::thread::spawn(move || {
            let mut place = [0; 8];
            there.serve(&mut place).map(|()| place)
        });
        for turn in 0..100 {
            here.round_trip(&[turn; 8]).expect("it is there");
        }
        assert!(here.round_trip(&[0; 65]).is_err());
        here.end();
        assert_eq!(serving.join().expect("it ends").expect("it was told to"), [99; 8]);
    }
}
