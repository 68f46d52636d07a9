//! A segment: two rings, one each way, and what either side does while it waits.
//!
//! The supervisor's side is a guest thread: it leaves its worker to others, and is woken by a bell, or by the end of the
//! process. The other side is a process that has nothing else to do: it sleeps on the ring itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kernel::component::apart::{Cut, Line};
use kernel::mem::shared::SharedMemory;
use kernel::os::doorbell::Doorbell;
use kernel::os::futex;
use kernel::os::offspring::Offspring;
use kernel::sched::park::{self, Interest};

use super::gate;
use super::ring::{Pause, Receiver, Sender, WHOLE};
use super::spin::Spin;
use crate::limits::{FRAME_STALL_NS, IDLE_RINGS, START_NS, VERDICT_GRACE_NS};

/// Bytes of a segment.
pub const SEGMENT_BYTES: usize = 2 * WHOLE;

/// One side's ends of both rings.
#[derive(Debug)]
pub struct Segment<P> {
    sender: Sender,
    receiver: Receiver,
    pause: P,
}

/// How the supervisor waits for a process.
#[derive(Debug)]
pub struct Watch {
    bell: Doorbell,
    child: Offspring,
    spin: Spin,
    /// How often it rang since it last wrote something.
    idle_rings: u32,
    /// When it was first seen that whoever waits here is to end what it does.
    condemned_ns: Option<u64>,
    /// When the process must have said that it is up, until it has.
    start_by_ns: Option<u64>,
}

/// How a process waits for its supervisor, which it trusts.
#[derive(Debug)]
pub struct Sleep {
    bell: Doorbell,
    spin: Spin,
}

impl Segment<Watch> {
    /// The supervisor's side.
    #[must_use]
    pub fn supervisor(memory: &Arc<SharedMemory>, bell: Doorbell, child: Offspring) -> Segment<Watch> {
        let start_by_ns = Some(park::now_ns().saturating_add(START_NS));
        let pause = Watch { bell, child, spin: Spin::new(), idle_rings: 0, condemned_ns: None, start_by_ns };
        Segment {
            sender: Sender::new(Arc::clone(memory), 0),
            receiver: Receiver::new(Arc::clone(memory), WHOLE),
            pause,
        }
    }
}

impl Segment<Sleep> {
    /// The side of the process.
    #[must_use]
    pub fn process(memory: &Arc<SharedMemory>, bell: Doorbell) -> Segment<Sleep> {
        Segment {
            sender: Sender::new(Arc::clone(memory), WHOLE),
            receiver: Receiver::new(Arc::clone(memory), 0),
            pause: Sleep { bell, spin: Spin::new() },
        }
    }
}

impl Line for Segment<Watch> {
    fn send(&mut self, head: &[u8], values: &[u8]) -> Result<(), Cut> {
        self.pause.condemned_ns = None;
        self.sender.send([head, values], &mut self.pause)
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> Result<(), Cut> {
        self.receiver.receive(frame, &mut self.pause)?;
        (self.pause.idle_rings, self.pause.start_by_ns) = (0, None);
        Ok(())
    }

    fn cpu_ns(&self) -> u64 {
        self.pause.child.cpu_ns()
    }

    fn process_id(&self) -> Option<u32> {
        Some(self.pause.child.id())
    }

    fn end(&mut self) -> String {
        self.pause.child.end()
    }
}

impl Line for Segment<Sleep> {
    fn send(&mut self, head: &[u8], values: &[u8]) -> Result<(), Cut> {
        self.sender.send([head, values], &mut self.pause)
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> Result<(), Cut> {
        self.receiver.receive(frame, &mut self.pause)
    }
}

impl Watch {
    /// Checks that there still is a reason to wait; gives until when.
    fn patience(&mut self, began_ns: u64, urgent: bool) -> Result<Option<u64>, Cut> {
        let now_ns = park::now_ns();
        let stalled_ns = urgent.then(|| began_ns.saturating_add(FRAME_STALL_NS));
        let mut until_ns = [stalled_ns, self.start_by_ns].into_iter().flatten().min();
        if until_ns.is_some_and(|until_ns| now_ns >= until_ns) {
            return Err(Cut::Late);
        }
        if let Some((thread, trap)) = park::current_thread().and_then(|thread| {
            let trap = thread.verdict()?;
            Some((thread, trap))
        }) {
            // What ends only this call, the process ends itself, as it was told to. It gets a while for that.
            let by_ns = self.condemned_ns.get_or_insert(now_ns).saturating_add(VERDICT_GRACE_NS);
            if thread.is_ending() || now_ns >= by_ns {
                return Err(Cut::Ended(trap));
            }
            until_ns = Some(until_ns.map_or(by_ns, |until_ns| until_ns.min(by_ns)));
        }
        Ok(until_ns)
    }
}

impl Pause for Watch {
    fn wait(&mut self, index: &AtomicU32, naps: &AtomicU32, seen: u32, urgent: bool) -> Result<(), Cut> {
        if self.spin.until(|| index.load(Ordering::Acquire) != seen) {
            return Ok(());
        }
        let began_ns = park::now_ns();
        loop {
            let until_ns = self.patience(began_ns, urgent)?;
            if gate::doze(index, naps) != seen {
                break;
            }
            let (bell, child) = (self.bell.file(), self.child.file());
            let files = [(bell, Interest::Readable), (child, Interest::Readable)];
            park::linger(&files, until_ns).map_err(|trap| Cut::Corrupt(trap.to_string()))?;
            self.bell.quiet();
            if index.load(Ordering::Acquire) != seen {
                break;
            }
            if let Some(told) = self.child.ended() {
                // What it wrote before counts.
                return if index.load(Ordering::Acquire) == seen { Err(Cut::Died(told)) } else { Ok(()) };
            }
            self.idle_rings += 1;
            if self.idle_rings > IDLE_RINGS {
                return Err(Cut::Corrupt(format!("it rang {IDLE_RINGS} times without a word")));
            }
        }
        gate::rise(naps);
        Ok(())
    }

    fn wake(&self, index: &AtomicU32) {
        futex::wake(index, 1);
    }
}

impl Pause for Sleep {
    fn wait(&mut self, index: &AtomicU32, naps: &AtomicU32, seen: u32, _: bool) -> Result<(), Cut> {
        if self.spin.until(|| index.load(Ordering::Acquire) != seen) {
            return Ok(());
        }
        while gate::doze(index, naps) == seen {
            futex::wait(index, seen, None);
        }
        gate::rise(naps);
        Ok(())
    }

    fn wake(&self, _: &AtomicU32) {
        self.bell.ring();
    }
}
