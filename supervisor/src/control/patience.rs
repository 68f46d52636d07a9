//! Reading and writing with a time limit, over a socket or what stands for one.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A line between a client and a supervisor.
pub trait Line {
    /// Reads what has arrived, at least a byte; 0 if the other side has hung up.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if nothing has come until then; or the line is broken.
    fn receive(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if they are not taken until then; or the line is broken.
    fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()>;

    /// Whether the other side has hung up: whoever works long for it asks now and then.
    fn has_hung_up(&mut self) -> bool;
}

impl Line for UnixStream {
    fn receive(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            self.set_read_timeout(Some(left(until)?))?;
            match self.read(bytes) {
                Err(error) if is_passing(&error) => {}
                done => return done,
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8], until: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.set_write_timeout(Some(left(until)?))?;
            match self.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn has_hung_up(&mut self) -> bool {
        // That it has hung up is told unasked.
        let mut polled = [PollFd::new(self.as_fd(), PollFlags::empty())];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// Whether to look at the clock and try again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// How long it is until then.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
