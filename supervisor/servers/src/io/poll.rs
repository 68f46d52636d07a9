//! `wasi:io/poll`: waiting, without a loop that asks again and again.

use std::os::fd::BorrowedFd;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use rustix::event::{PollFd, PollFlags};

use crate::Wasi;
use crate::bindings::wasi::io::poll::{Host, HostPollable, Pollable};
use crate::slab::Key;

/// What a pollable waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nothing: it is ready.
    Ready,
    /// The monotonic clock to show this many nanoseconds.
    Deadline(u64),
    /// An input stream to have bytes, or to end; ready when the stream is gone.
    Input(Key),
    /// An output stream to have room, or to fail; ready when the stream is gone.
    Output(Key),
}

/// What a subject comes down to at the moment.
enum Wait<'w> {
    Over,
    Until(u64),
    For(BorrowedFd<'w>, PollFlags),
}

impl Wasi {
    fn wait_of(&self, subject: Subject) -> Wait<'_> {
        let (fd, flags) = match subject {
            Subject::Ready => return Wait::Over,
            Subject::Deadline(when) => return Wait::Until(when),
            Subject::Input(key) => (self.streams.input_awaits(key), PollFlags::IN),
            Subject::Output(key) => (self.streams.output_awaits(key), PollFlags::OUT),
        };
        fd.map_or(Wait::Over, |fd| Wait::For(fd, flags))
    }

    /// Waits until one of `subjects` is ready, or not at all, and gives the positions of those that are.
    pub(crate) fn wait(&mut self, subjects: &[Subject], block: bool) -> Result<Vec<u32>, Trap> {
        // The clock is taken out, so that it can be told to wait while the descriptors are borrowed.
        let mut clock = std::mem::replace(&mut self.monotonic, Box::new(crate::clocks::SystemClock));
        let ready = loop {
            match self.look(&mut *clock, subjects, block) {
                Ok(ready) if ready.is_empty() && block => {}
                ready => break ready,
            }
        };
        self.monotonic = clock;
        ready
    }

    /// Waits once.
    fn look(
        &self,
        clock: &mut dyn crate::clocks::MonotonicClock,
        subjects: &[Subject],
        block: bool,
    ) -> Result<Vec<u32>, Trap> {
        let waits: Vec<Wait<'_>> = subjects.iter().map(|subject| self.wait_of(*subject)).collect();
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let mut earliest: Option<u64> = None;
        let mut over = !block;
        for wait in &waits {
            match wait {
                Wait::Over => over = true,
                Wait::Until(when) => earliest = Some(earliest.map_or(*when, |earlier| earlier.min(*when))),
                Wait::For(fd, flags) => fds.push(PollFd::from_borrowed_fd(*fd, *flags)),
            }
        }
        let timeout = if over { Some(0) } else { earliest.map(|when| when.saturating_sub(clock.now_ns())) };
        // Only a deadline in the future or a descriptor is worth a system call.
        if !fds.is_empty() || timeout != Some(0) {
            let waited = clock.wait(&mut fds, timeout);
            waited.map_err(|error| Trap::Host(format!("wasi:io/poll: cannot wait: {error}")))?;
        }
        let now = if earliest.is_some() { clock.now_ns() } else { 0 };
        let mut polled = fds.iter();
        let mut ready = Vec::new();
        for (index, wait) in (0..).zip(&waits) {
            let is_ready = match wait {
                Wait::Over => true,
                Wait::Until(when) => *when <= now,
                Wait::For(..) => polled.next().is_some_and(|fd| !fd.revents().is_empty()),
            };
            if is_ready {
                ready.push(index);
            }
        }
        Ok(ready)
    }
}

impl HostPollable for Wasi {
    fn ready(&mut self, this: Borrow<Pollable>) -> Result<bool, Trap> {
        let subject = *self.pollables.get(this.rep)?;
        Ok(!self.wait(&[subject], false)?.is_empty())
    }

    fn block(&mut self, this: Borrow<Pollable>) -> Result<(), Trap> {
        let subject = *self.pollables.get(this.rep)?;
        self.wait(&[subject], true).map(drop)
    }

    fn dropped(&mut self, this: Own<Pollable>) -> Result<(), Trap> {
        self.pollables.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {
    fn poll(&mut self, r#in: Vec<Borrow<Pollable>>) -> Result<Vec<u32>, Trap> {
        if r#in.is_empty() {
            return Err(Trap::Host(
                "wasi:io/poll#poll: the list is empty, so none of it would ever be ready".into(),
            ));
        }
        let subjects = r#in.iter().map(|pollable| self.pollables.get(pollable.rep).copied());
        let subjects = subjects.collect::<Result<Vec<_>, _>>()?;
        self.wait(&subjects, true)
    }
}
