//! Where an input stream's bytes come from.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use kernel::sched::park::Interest;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread, read};

use super::shared_fd::{SharedFd, is_ready};

/// What a tree's standard input reads.
pub struct Input(Kind);

enum Kind {
    Fd(SharedFd),
    Bytes(VecDeque<u8>),
    Reader(Box<dyn Read + Send>),
}

/// What a read that may not block came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bytes; at least one, unless none were asked for.
    Bytes(Vec<u8>),
    /// There are none yet.
    Pending,
    /// There are no more.
    End,
}

impl Input {
    /// The standard input of this operating-system process.
    #[must_use]
    pub fn inherit() -> Input {
        Input(Kind::Fd(SharedFd::Inherited(rustix::stdio::stdin())))
    }

    /// A file, pipe or terminal.
    #[must_use]
    pub fn fd(fd: OwnedFd) -> Input {
        Input(Kind::Fd(fd.into()))
    }

    /// These bytes, then the end.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Input {
        Input(Kind::Bytes(VecDeque::from(bytes.into())))
    }

    /// Whatever a reader gives. It counts as ready at any time, so a guest that polls before it reads may block, and with
    /// it the worker that runs it: let one that waits for something feed a pipe, and give its other end as [`Input::fd`].
    #[must_use]
    pub fn reader(reader: impl Read + Send + 'static) -> Input {
        Input(Kind::Reader(Box::new(reader)))
    }

    /// What to wait for before there are bytes or the end; none if both are here already.
    pub(crate) fn awaited(&self) -> Option<&SharedFd> {
        match &self.0 {
            Kind::Fd(fd) => Some(fd),
            Kind::Bytes(_) | Kind::Reader(_) => None,
        }
    }

    /// What it is, for a person.
    pub(crate) fn what(&self) -> &'static str {
        match &self.0 {
            Kind::Fd(SharedFd::Inherited(_)) => "that of atoll",
            Kind::Fd(SharedFd::Owned(_)) => "a file or pipe",
            Kind::Bytes(_) => "bytes that its launcher gave",
            Kind::Reader(_) => "what its launcher feeds",
        }
    }

    /// Whether a person types it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.awaited().is_some_and(rustix::termios::isatty)
    }

    /// Reads up to `limit` bytes, at least one asked for.
    pub(crate) fn read(&mut self, limit: usize) -> io::Result<Progress> {
        let bytes = match &mut self.0 {
            Kind::Fd(fd) => return read_fd(fd.as_fd(), limit),
            Kind::Bytes(bytes) => bytes.drain(..limit.min(bytes.len())).collect(),
            Kind::Reader(reader) => {
                let mut buffer = vec![0; limit];
                let count = reader.read(&mut buffer)?;
                buffer.truncate(count);
                buffer
            }
        };
        Ok(progress(bytes))
    }
}

fn read_fd(fd: BorrowedFd<'_>, limit: usize) -> io::Result<Progress> {
    if !is_ready(fd, Interest::Readable)? {
        return Ok(Progress::Pending);
    }
    let mut bytes = Vec::with_capacity(limit);
    loop {
        match read(fd, spare_capacity(&mut bytes)) {
            Ok(_) => return Ok(progress(bytes)),
            Err(Errno::INTR) => {}
            // Somebody made the descriptor non-blocking, as terminals shared with other programs sometimes are.
            Err(Errno::AGAIN) => return Ok(Progress::Pending),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes, or the end if there are none.
pub(crate) fn progress(bytes: Vec<u8>) -> Progress {
    if bytes.is_empty() { Progress::End } else { Progress::Bytes(bytes) }
}

/// Reads a file from an offset on; other users of the file do not move it.
#[derive(Debug)]
pub(crate) struct FileReader {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
}

impl FileReader {
    /// Reads up to `limit` bytes, at least one asked for.
    pub(crate) fn read(&mut self, limit: usize) -> io::Result<Progress> {
        let bytes = read_at(&self.file, limit, self.offset)?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(progress(bytes))
    }
}

/// Reads up to `limit` bytes of a file at an offset; nothing at its end.
pub(crate) fn read_at(file: &File, limit: usize, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    loop {
        match pread(file, spare_capacity(&mut bytes), offset) {
            Ok(_) => return Ok(bytes),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
