//! Where an output stream's bytes go.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use kernel::sched::park::Interest;
use rustix::io::{Errno, ReadWriteFlags, pwrite, pwritev2, write};

use super::shared_fd::{SharedFd, is_ready};

/// A pipe that is ready has room for this many bytes; more would block, until somebody has read the rest.
const PIECE: usize = 4096;

/// What a tree's standard output or standard error writes to.
pub struct Output(Kind);

enum Kind {
    Fd(SharedFd),
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
        Output(Kind::Fd(SharedFd::Inherited(rustix::stdio::stdout())))
    }

    /// The standard error of this operating-system process.
    #[must_use]
    pub fn inherit_stderr() -> Output {
        Output(Kind::Fd(SharedFd::Inherited(rustix::stdio::stderr())))
    }

    /// A file, pipe or terminal.
    #[must_use]
    pub fn fd(fd: OwnedFd) -> Output {
        Output(Kind::Fd(fd.into()))
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
    pub(crate) fn awaited(&self) -> Option<&SharedFd> {
        match &self.0 {
            Kind::Fd(fd) => Some(fd),
            Kind::Discard | Kind::Buffer(_) | Kind::Closure(_) => None,
        }
    }

    /// What it is, for a person.
    pub(crate) fn what(&self) -> &'static str {
        match &self.0 {
            Kind::Fd(SharedFd::Inherited(_)) => "that of atoll",
            Kind::Fd(SharedFd::Owned(_)) => "a file or pipe",
            Kind::Discard => "thrown away",
            Kind::Buffer(_) | Kind::Closure(_) => "kept by its launcher",
        }
    }

    /// Whether a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.awaited().is_some_and(rustix::termios::isatty)
    }

    /// Writes some of `bytes`; how many, none if there is no room now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Fd(fd) => return write_fd(fd.as_fd(), bytes),
            Kind::Discard => (),
            Kind::Buffer(buffer) => buffer.push(bytes),
            Kind::Closure(closure) => closure(bytes)?,
        }
        Ok(bytes.len())
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
        write_all(bytes, step)
    }
}

/// Repeats `step` until all is written.
fn write_all(mut bytes: &[u8], mut step: impl FnMut(&[u8]) -> Result<usize, Errno>) -> io::Result<()> {
    while !bytes.is_empty() {
        match step(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn write_fd(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let piece = &bytes[..bytes.len().min(PIECE)];
    if piece.is_empty() || !is_ready(fd, Interest::Writable)? {
        return Ok(0);
    }
    loop {
        match write(fd, piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(Errno::INTR) => {}
            // Somebody made the descriptor non-blocking, as terminals shared with other programs sometimes are.
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}
