//! File descriptors that streams lead to, held by whoever waits for them too.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use kernel::sched::park::Interest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A file, pipe or terminal.
#[derive(Clone, Debug)]
pub(crate) enum SharedFd {
    /// One of the three that this operating-system process was started with.
    Inherited(BorrowedFd<'static>),
    /// Any other one.
    Owned(Arc<OwnedFd>),
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> SharedFd {
        SharedFd::Owned(Arc::new(fd))
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            SharedFd::Inherited(fd) => *fd,
            SharedFd::Owned(fd) => fd.as_fd(),
        }
    }
}

/// Whether a descriptor is ready now, or broken, so that waiting for it makes no sense.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<bool> {
    let flags = match interest {
        Interest::Readable => PollFlags::IN,
        Interest::Writable => PollFlags::OUT,
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) | Err(Errno::INTR | Errno::AGAIN) => Ok(!fds[0].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}
