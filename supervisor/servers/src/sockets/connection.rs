//! A TCP connection, as its socket and its two streams share it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kernel::sched::park::Interest;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::sockopt::socket_send_buffer_size;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::Charge;
use crate::io::input::{Progress, progress};
use crate::io::shared_fd::{SharedFd, is_ready};
use crate::limits::{MAX_SOCKET_PERMIT, MIN_SOCKET_PERMIT};

/// A connection. It is closed when neither its socket nor one of its streams is held any more.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    fd: SharedFd,
    _charge: Arc<Charge>,
    shut: Arc<Shut>,
}

/// Which directions were shut down from here.
#[derive(Debug, Default)]
struct Shut {
    receive: AtomicBool,
    send: AtomicBool,
}

impl Connection {
    /// Of a socket that is connected.
    pub(crate) fn new(fd: SharedFd, charge: Arc<Charge>) -> Connection {
        Connection { fd, _charge: charge, shut: Arc::default() }
    }

    /// What to wait for before there is something to read, or the end; none if that is here already.
    pub(crate) fn input_awaits(&self) -> Option<&SharedFd> {
        (!self.shut.receive.load(Ordering::Relaxed)).then_some(&self.fd)
    }

    /// What to wait for before there is room to write; none if nothing can be written any more.
    pub(crate) fn output_awaits(&self) -> Option<&SharedFd> {
        (!self.is_shut_to_send()).then_some(&self.fd)
    }

    /// Reads up to `limit` bytes, at least one asked for.
    pub(crate) fn read(&self, limit: usize) -> io::Result<Progress> {
        if self.shut.receive.load(Ordering::Relaxed) {
            return Ok(Progress::End);
        }
        let mut bytes = Vec::with_capacity(limit);
        loop {
            match recv(&self.fd, spare_capacity(&mut bytes), RecvFlags::DONTWAIT) {
                Ok(_) => return Ok(progress(bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Progress::Pending),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many bytes can be written now without waiting. A socket that the system calls writable has room for a third of
    /// its buffer, of which its own bookkeeping takes some.
    pub(crate) fn permit(&self) -> io::Result<u64> {
        if !is_ready(self.fd.as_fd(), Interest::Writable)? {
            return Ok(0);
        }
        let buffer = socket_send_buffer_size(&self.fd)? as u64;
        Ok((buffer / 8).clamp(MIN_SOCKET_PERMIT, MAX_SOCKET_PERMIT))
    }

    /// Writes some of `bytes`; how many, none if there is no room now.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(written) => return Ok(written),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether nothing more can be written: it was shut down from here.
    pub(crate) fn is_shut_to_send(&self) -> bool {
        self.shut.send.load(Ordering::Relaxed)
    }

    /// Ends one direction, or both. Once more does nothing.
    pub(crate) fn shut_down(&self, receive: bool, send: bool) -> Result<(), Errno> {
        for (wanted, done, how) in
            [(receive, &self.shut.receive, Shutdown::Read), (send, &self.shut.send, Shutdown::Write)]
        {
            if wanted && !done.swap(true, Ordering::Relaxed) {
                match shutdown(&self.fd, how) {
                    // The peer has ended it already.
                    Ok(()) | Err(Errno::NOTCONN) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
