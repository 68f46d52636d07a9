//! `wasi:io/poll`: waiting, without a loop that asks again and again.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use kernel::sched::park::Interest;

use super::shared_fd::{SharedFd, is_ready};
use crate::Wasi;
use crate::bindings::wasi::io::poll::{Host, HostPollable, Pollable};
use crate::slab::Key;
use crate::turn::Turn;

/// Subjects looked at between two checkpoints.
const AT_ONCE: usize = 4096;

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
    /// A TCP socket to get on with what is in progress, or to have a connection to accept.
    Tcp(Key),
    /// A UDP socket to have datagrams.
    Datagrams(Key),
    /// A UDP socket to have room for datagrams.
    RoomForDatagrams(Key),
    /// The lookup of a name to have come to something.
    Lookup(Key),
}

/// What is waited for, and what has come of it.
#[derive(Default)]
struct Look {
    /// Positions of the subjects that are ready.
    ready: Vec<u32>,
    /// The deadline that comes first, as the guest's clock shows it.
    earliest: Option<u64>,
    /// What the subjects wait for, each once.
    files: Vec<(SharedFd, Interest)>,
    /// Whether it is ready, by its number and whether it is to be written.
    seen: HashMap<(RawFd, bool), bool>,
}

impl Look {
    /// Whether a file is ready.
    fn is_ready(&mut self, fd: SharedFd, interest: Interest) -> Result<bool, Trap> {
        let key = (fd.as_fd().as_raw_fd(), interest == Interest::Writable);
        if let Some(ready) = self.seen.get(&key) {
            return Ok(*ready);
        }
        let ready = is_ready(fd.as_fd(), interest)
            .map_err(|error| Trap::Host(format!("wasi:io/poll: cannot wait: {error}")))?;
        self.seen.insert(key, ready);
        self.files.push((fd, interest));
        Ok(ready)
    }
}

impl Wasi {
    /// Looks at some of the subjects, `first` being the position of the first.
    fn look(&mut self, look: &mut Look, first: usize, subjects: &[Subject]) -> Result<(), Trap> {
        let now = self.monotonic.now_ns();
        for (index, subject) in (first..).zip(subjects) {
            let awaited = match *subject {
                Subject::Deadline(when) if when > now => {
                    look.earliest = Some(look.earliest.map_or(when, |earlier| earlier.min(when)));
                    continue;
                }
                Subject::Ready | Subject::Deadline(_) => None,
                Subject::Input(key) => self.streams.input_awaits(key).map(|fd| (fd, Interest::Readable)),
                Subject::Output(key) => self.streams.output_awaits(key).map(|fd| (fd, Interest::Writable)),
                Subject::Tcp(_)
                | Subject::Datagrams(_)
                | Subject::RoomForDatagrams(_)
                | Subject::Lookup(_) => self.sockets.awaits(*subject),
            };
            if awaited.map_or(Ok(true), |(fd, interest)| look.is_ready(fd, interest))? {
                look.ready.push(u32::try_from(index).expect("the list's length is 32 bits"));
            }
        }
        Ok(())
    }

    /// Waits until one of `subjects` is ready, and gives the positions of those that are.
    fn wait(turn: &mut Turn<'_, Wasi>, subjects: &[Subject]) -> Result<Vec<u32>, Trap> {
        loop {
            let mut look = Look::default();
            for (first, some) in (0..).step_by(AT_ONCE).zip(subjects.chunks(AT_ONCE)) {
                turn.state().look(&mut look, first, some)?;
                turn.checkpoint()?;
            }
            if !look.ready.is_empty() {
                return Ok(look.ready);
            }
            let deadline_ns = match look.earliest {
                None => None,
                Some(when) => match turn.state().monotonic.wait_until(when) {
                    Some(at_ns) => Some(at_ns),
                    None => continue,
                },
            };
            let files: Vec<_> = look.files.iter().map(|(fd, interest)| (fd.as_fd(), *interest)).collect();
            turn.wait(&files, deadline_ns)?;
        }
    }
}

impl HostPollable for Wasi {
    fn ready(&mut self, this: Borrow<Pollable>) -> Result<bool, Trap> {
        let (subject, mut look) = (*self.pollables.get(this.rep)?, Look::default());
        self.look(&mut look, 0, &[subject])?;
        Ok(!look.ready.is_empty())
    }

    fn block(turn: &mut Turn<'_, Wasi>, this: Borrow<Pollable>) -> Result<(), Trap> {
        let subject = *turn.state().pollables.get(this.rep)?;
        Wasi::wait(turn, &[subject]).map(drop)
    }

    fn dropped(&mut self, this: Own<Pollable>) -> Result<(), Trap> {
        self.pollables.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {
    fn poll(turn: &mut Turn<'_, Wasi>, r#in: Vec<Borrow<Pollable>>) -> Result<Vec<u32>, Trap> {
        if r#in.is_empty() {
            return Err(Trap::Host(
                "wasi:io/poll#poll: the list is empty, so none of it would ever be ready".into(),
            ));
        }
        let wasi = turn.state();
        let subjects = r#in.iter().map(|pollable| wasi.pollables.get(pollable.rep).copied());
        let subjects = subjects.collect::<Result<Vec<_>, _>>()?;
        Wasi::wait(turn, &subjects)
    }
}
