//! Where an output stream's bytes go.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ReadWriteFlags, pwrite, pwritev2, write};

use crate::clocks::wait_for;

/// What a tree's standard output or standard error writes to.
pub struct Output(Kind);

enum Kind {
    Inherited(BorrowedFd<'static>),
    Fd(OwnedFd),
    Discard,
    Buffer(Buffer),
    Closure(Box<Write>),
}

/// Takes what a write brings.
type Write = dyn FnMut(&[u8]) -> io::Result<()> + Send;

/// Bytes that a tree wrote, for whoever launched it.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// What was written until now.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        // A writer that panicked left whole writes behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

impl Output {
    /// The standard output of this operating-system process.
    #[must_use]
    pub fn inherit_stdout() -> Output {
        Output(Kind::Inherited(rustix::stdio::stdout()))
    }

    /// The standard error of this operating-system process.
    #[must_use]
    pub fn inherit_stderr() -> Output {
        Output(Kind::Inherited(rustix::stdio::stderr()))
    }

    /// A file, pipe or terminal.
    #[must_use]
    pub fn fd(fd: OwnedFd) -> Output {
        Output(Kind::Fd(fd))
    }

    /// Nowhere.
    #[must_use]
    pub fn discard() -> Output {
        Output(Kind::Discard)
    }

    /// A buffer that the caller keeps too.
    #[must_use]
    pub fn buffer(buffer: &Buffer) -> Output {
        Output(Kind::Buffer(buffer.clone()))
    }

    /// A function, called with what each write brings.
    #[must_use]
    pub fn closure(write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> Output {
        Output(Kind::Closure(Box::new(write)))
    }

    /// What to wait for before a write does not block; none if it never does.
    pub(crate) fn awaited(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Inherited(fd) => Some(*fd),
            Kind::Fd(fd) => Some(fd.as_fd()),
            Kind::Discard | Kind::Buffer(_) | Kind::Closure(_) => None,
        }
    }

    /// Whether a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.awaited().is_some_and(rustix::termios::isatty)
    }

    /// Writes all of `bytes`, blocking while there is no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Kind::Inherited(fd) => write_all(bytes, |rest| write(*fd, rest), Some(*fd)),
            Kind::Fd(fd) => write_all(bytes, |rest| write(&*fd, rest), Some(fd.as_fd())),
            Kind::Discard => Ok(()),
            Kind::Buffer(buffer) => {
                buffer.push(bytes);
                Ok(())
            }
            Kind::Closure(closure) => closure(bytes),
        }
    }
}

/// Writes a file at an offset or at its end; other users of the file do not move it.
#[derive(Debug)]
pub(crate) struct FileWriter {
    pub(crate) file: Arc<File>,
    pub(crate) place: Place,
}

/// Where the next write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(u64),
    End,
}

impl FileWriter {
    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let FileWriter { file, place } = self;
        let step = |rest: &[u8]| match place {
            Place::At(offset) => {
                let written = pwrite(&**file, rest, *offset)?;
                *offset = offset.saturating_add(written as u64);
                Ok(written)
            }
            Place::End => pwritev2(&**file, &[IoSlice::new(rest)], 0, ReadWriteFlags::APPEND),
        };
        write_all(bytes, step, None)
    }
}

/// Repeats `step` until all is written; waits for `fd` where it would block.
fn write_all(
    mut bytes: &[u8],
    mut step: impl FnMut(&[u8]) -> Result<usize, Errno>,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match (step(bytes), fd) {
            (Ok(0), _) => return Err(io::ErrorKind::WriteZero.into()),
            (Ok(written), _) => bytes = bytes.get(written..).unwrap_or_default(),
            (Err(Errno::INTR), _) => {}
            (Err(Errno::AGAIN), Some(fd)) => wait_for(&mut [PollFd::new(&fd, PollFlags::OUT)], None)?,
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(())
}
