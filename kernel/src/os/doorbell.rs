//! A bell between OS processes: whoever waits for files hears it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A bell. Whoever has it may ring it.
#[derive(Debug)]
pub struct Doorbell(File);

impl Doorbell {
    /// A bell that nobody has rung.
    ///
    /// # Errors
    /// What the system says: too many files.
    pub fn new() -> io::Result<Doorbell> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_value_and_flags(0, flags)?;
        Ok(Doorbell(File::from(OwnedFd::from(bell))))
    }

    /// One that was handed over.
    #[must_use]
    pub fn from_file(file: OwnedFd) -> Doorbell {
        Doorbell(File::from(file))
    }

    /// Rings. One that rings already goes on.
    pub fn ring(&self) {
        // It can only fail because it was rung 2^64 times and nobody has listened.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Lets it be silent.
    pub fn quiet(&self) {
        // It is silent already if there is nothing to read.
        let _ = (&self.0).read(&mut [0; 8]);
    }

    /// Ready to be read while it rings.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
