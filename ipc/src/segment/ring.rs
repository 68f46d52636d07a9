//! A stream of frames through shared memory, one way.
//!
//! ```text
//!   0  tail         u32   bytes that were ever written, modulo 2^32      the writer's
//!   4  reader naps  u32   the reader sleeps until `tail` moves
//!  64  head         u32   bytes that were ever read                      the reader's
//!  68  writer naps  u32   the writer sleeps until `head` moves
//! 128  bytes              [`RING_BYTES`], a power of two
//! ```
//! A frame is a sequence number, a length, and so many bytes; it may be longer than the ring. Each side keeps its own index
//! for itself: of the memory it reads only the other's, once, and believes it if it is between what was there before and
//! what there can be. Bytes are copied out, and only the copy is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kernel::component::apart::Cut;
use kernel::mem::shared::SharedMemory;

use super::gate;
use crate::limits::{FRAME_BYTES, FRAME_BYTES_AT_ONCE, RING_BYTES};

const TAIL: usize = 0;
const READER_NAPS: usize = 4;
const HEAD: usize = 64;
const WRITER_NAPS: usize = 68;
const DATA: usize = 128;

/// Bytes of shared memory that a ring takes.
pub const WHOLE: usize = DATA + RING_BYTES;
const CAPACITY: u32 = RING_BYTES as u32;
const FRAME_HEAD: usize = 8;
/// Bytes of a long frame after which the reader is told.
const PIECE: usize = RING_BYTES / 4;

const _: () = assert!(RING_BYTES.is_power_of_two() && RING_BYTES <= 1 << 31);

/// How one side waits for the other.
pub trait Pause {
    /// Waits until `index` may have moved from `seen`; `naps` says meanwhile that somebody sleeps. A frame that has begun is
    /// `urgent`: whoever writes it is to go on.
    ///
    /// # Errors
    /// The other side will never move it.
    fn wait(&mut self, index: &AtomicU32, naps: &AtomicU32, seen: u32, urgent: bool) -> Result<(), Cut>;

    /// Wakes the other side, which sleeps until `index` moves.
    fn wake(&self, index: &AtomicU32);
}

/// The end that frames go into.
#[derive(Debug)]
pub struct Sender {
    memory: Arc<SharedMemory>,
    base: usize,
    tail: u32,
    /// Where the reader was last seen.
    head: u32,
    sequence: u32,
}

/// The end that frames come out of.
#[derive(Debug)]
pub struct Receiver {
    memory: Arc<SharedMemory>,
    base: usize,
    head: u32,
    /// Where the writer was last seen.
    tail: u32,
    sequence: u32,
}

impl Sender {
    /// The end of a ring that is new, at byte `base` of the memory.
    #[must_use]
    pub fn new(memory: Arc<SharedMemory>, base: usize) -> Sender {
        Sender { memory, base, tail: 0, head: 0, sequence: 0 }
    }

    /// Sends a frame, which is in two parts.
    ///
    /// # Errors
    /// The reader is no more, or does not do what readers do; the frame is longer than [`FRAME_BYTES`].
    pub fn send(&mut self, frame: [&[u8]; 2], pause: &mut dyn Pause) -> Result<(), Cut> {
        let bytes = frame[0].len().saturating_add(frame[1].len());
        let len = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES);
        let too_long = || Cut::TooLong { bytes: bytes as u64, allowed: FRAME_BYTES as u64 };
        let len = len.ok_or_else(too_long)?;
        let mut head = [0; FRAME_HEAD];
        head[..4].copy_from_slice(&self.sequence.to_le_bytes());
        head[4..].copy_from_slice(&len.to_le_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.write(&head, pause)?;
        self.write(frame[0], pause)?;
        self.write(frame[1], pause)?;
        self.publish(pause);
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8], pause: &mut dyn Pause) -> Result<(), Cut> {
        while !bytes.is_empty() {
            let room = CAPACITY - self.tail.wrapping_sub(self.head);
            if room == 0 {
                self.publish(pause);
                self.wait(pause)?;
                continue;
            }
            let at = self.tail as usize % RING_BYTES;
            let count = bytes.len().min(room as usize).min(RING_BYTES - at).min(PIECE);
            let (now, later) = bytes.split_at(count);
            self.memory.copy_in(self.base + DATA + at, now);
            self.tail = self.tail.wrapping_add(count as u32);
            bytes = later;
            if count == PIECE {
                self.publish(pause); // the reader copies while we do
            }
        }
        Ok(())
    }

    fn publish(&self, pause: &dyn Pause) {
        let tail = self.memory.word(self.base + TAIL);
        if gate::publish(tail, self.memory.word(self.base + READER_NAPS), self.tail) {
            pause.wake(tail);
        }
    }

    /// Waits until there is room.
    fn wait(&mut self, pause: &mut dyn Pause) -> Result<(), Cut> {
        let (head, naps) = (self.memory.word(self.base + HEAD), self.memory.word(self.base + WRITER_NAPS));
        loop {
            let seen = head.load(Ordering::Acquire);
            if seen != self.head {
                // It can have read what was written, and no more.
                if seen.wrapping_sub(self.head) > self.tail.wrapping_sub(self.head) {
                    return Err(corrupt("the reader's index", self.head, self.tail, seen));
                }
                self.head = seen;
                return Ok(());
            }
            pause.wait(head, naps, seen, true)?;
        }
    }
}

impl Receiver {
    /// The end of a ring that is new, at byte `base` of the memory.
    #[must_use]
    pub fn new(memory: Arc<SharedMemory>, base: usize) -> Receiver {
        Receiver { memory, base, head: 0, tail: 0, sequence: 0 }
    }

    /// Receives a frame into `frame`, whose contents are replaced.
    ///
    /// # Errors
    /// The writer is no more, or writes no frames.
    pub fn receive(&mut self, frame: &mut Vec<u8>, pause: &mut dyn Pause) -> Result<(), Cut> {
        frame.clear();
        let mut head = [0; FRAME_HEAD];
        self.read(&mut head, pause, false)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (sequence, len) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]) as usize);
        if sequence != self.sequence {
            let text = format!("expected frame {} of the ring, found {sequence}", self.sequence);
            return Err(Cut::Corrupt(text));
        }
        if len > FRAME_BYTES {
            let text = format!("expected a frame of at most {FRAME_BYTES} bytes, found one of {len}");
            return Err(Cut::Corrupt(text));
        }
        self.sequence = self.sequence.wrapping_add(1);
        // Room is made for what comes, not for what was promised.
        while frame.len() < len {
            let (from, more) = (frame.len(), (len - frame.len()).min(FRAME_BYTES_AT_ONCE));
            frame.reserve(more);
            while frame.len() < from + more {
                let (at, count) = self.some(from + more - frame.len(), pause, true)?;
                self.memory.append_out(at, count, frame);
            }
        }
        self.publish(pause);
        Ok(())
    }

    fn read(&mut self, mut into: &mut [u8], pause: &mut dyn Pause, mut urgent: bool) -> Result<(), Cut> {
        while !into.is_empty() {
            let (at, count) = self.some(into.len(), pause, urgent)?;
            urgent = true;
            let (now, later) = into.split_at_mut(count);
            self.memory.copy_out(at, now);
            into = later;
        }
        Ok(())
    }

    /// Waits until there is something, and takes it: where it is, and how much, `most` at most. The writer gets the room when
    /// the next is waited for, or the frame is read.
    fn some(&mut self, most: usize, pause: &mut dyn Pause, urgent: bool) -> Result<(usize, usize), Cut> {
        loop {
            let there = self.tail.wrapping_sub(self.head) as usize;
            if there != 0 {
                let at = self.head as usize % RING_BYTES;
                let count = most.min(there).min(RING_BYTES - at);
                self.head = self.head.wrapping_add(count as u32);
                return Ok((self.base + DATA + at, count));
            }
            self.publish(pause);
            self.wait(pause, urgent)?;
        }
    }

    /// Lets the writer have the room of what was read. Reading happens before it, as the copy is made of loads.
    fn publish(&self, pause: &dyn Pause) {
        let head = self.memory.word(self.base + HEAD);
        if head.load(Ordering::Relaxed) == self.head {
            return;
        }
        if gate::publish(head, self.memory.word(self.base + WRITER_NAPS), self.head) {
            pause.wake(head);
        }
    }

    /// Waits until there is something.
    fn wait(&mut self, pause: &mut dyn Pause, urgent: bool) -> Result<(), Cut> {
        let (tail, naps) = (self.memory.word(self.base + TAIL), self.memory.word(self.base + READER_NAPS));
        loop {
            let seen = tail.load(Ordering::Acquire);
            if seen != self.tail {
                // It can have written as much as there is room for, and no more.
                if seen.wrapping_sub(self.head) > CAPACITY {
                    return Err(corrupt("the writer's index", self.head, self.tail, seen));
                }
                self.tail = seen;
                return Ok(());
            }
            pause.wait(tail, naps, seen, urgent)?;
        }
    }
}

fn corrupt(what: &str, head: u32, tail: u32, found: u32) -> Cut {
    Cut::Corrupt(format!("{what} went to {found}, with bytes {head} to {tail} in a ring of {CAPACITY}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Waits by yielding, a second at most.
    struct Yielding;

    impl Pause for Yielding {
        fn wait(&mut self, index: &AtomicU32, _: &AtomicU32, seen: u32, _: bool) -> Result<(), Cut> {
            for _ in 0..10_000 {
                if index.load(Ordering::Acquire) != seen {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            Err(Cut::Late)
        }

        fn wake(&self, _: &AtomicU32) {}
    }

    /// The shortest frame that there is something in.
    const X: [&[u8]; 2] = [b"x", b""];

    /// Waits for nobody.
    struct Impatient;

    impl Pause for Impatient {
        fn wait(&mut self, _: &AtomicU32, _: &AtomicU32, _: u32, _: bool) -> Result<(), Cut> {
            Err(Cut::Late)
        }

        fn wake(&self, _: &AtomicU32) {}
    }

    fn ring() -> (Arc<SharedMemory>, Sender, Receiver) {
        let memory = Arc::new(SharedMemory::create(WHOLE).unwrap());
        (Arc::clone(&memory), Sender::new(Arc::clone(&memory), 0), Receiver::new(memory, 0))
    }

    #[test]
    fn frames_of_any_length_arrive_in_order() {
        let (_, mut sender, mut receiver) = ring();
        let lengths = [0, 1, 7, 8, 100, RING_BYTES - 8, RING_BYTES, RING_BYTES + 1, 3 * RING_BYTES + 5, 2];
        let frame = |len: usize| -> Vec<u8> { (0..len).map(|i| (i * 31 + len) as u8).collect() };
        let writer = std::thread::spawn(move || {
            for _ in 0..3 {
                for len in lengths {
                    let frame = frame(len);
                    let (head, values) = frame.split_at(len / 3);
                    sender.send([head, values], &mut Yielding).unwrap();
                }
            }
        });
        let mut read = Vec::new();
        for _ in 0..3 {
            for len in lengths {
                receiver.receive(&mut read, &mut Yielding).unwrap();
                assert!(read == frame(len), "a frame of {len} bytes");
            }
        }
        writer.join().unwrap();
        assert_eq!(receiver.receive(&mut read, &mut Impatient), Err(Cut::Late));
    }

    #[test]
    fn indices_go_round() {
        let (_, mut sender, mut receiver) = ring();
        for index in [&mut sender.tail, &mut sender.head, &mut receiver.head, &mut receiver.tail] {
            *index = u32::MAX - 20;
        }
        let (tail, head) = (sender.memory.word(TAIL), sender.memory.word(HEAD));
        tail.store(u32::MAX - 20, Ordering::Relaxed);
        head.store(u32::MAX - 20, Ordering::Relaxed);
        let mut read = Vec::new();
        for i in 0..50_u8 {
            sender.send([&[i; 4], &[i; 5]], &mut Impatient).unwrap();
            receiver.receive(&mut read, &mut Impatient).unwrap();
            assert_eq!(read, [i; 9]);
        }
    }

    #[test]
    fn what_no_writer_does_is_noticed() {
        let mut read = Vec::new();
        let refused = |memory: &SharedMemory, receiver: &mut Receiver, read: &mut Vec<u8>| {
            let _ = memory;
            match receiver.receive(read, &mut Impatient) {
                Err(Cut::Corrupt(why)) => why,
                other => panic!("{other:?}"),
            }
        };
        let (memory, mut sender, mut receiver) = ring();
        memory.word(TAIL).store(CAPACITY + 1, Ordering::Relaxed);
        let why = refused(&memory, &mut receiver, &mut read);
        assert!(why.contains("the writer's index went to"), "{why}");
        memory.word(TAIL).store(u32::MAX, Ordering::Relaxed);
        refused(&memory, &mut receiver, &mut read);
        memory.word(TAIL).store(0, Ordering::Relaxed);
        sender.sequence = 7;
        sender.send(X, &mut Impatient).unwrap();
        let why = refused(&memory, &mut receiver, &mut read);
        assert_eq!(why, "expected frame 0 of the ring, found 7");
        let (memory, mut sender, mut receiver) = ring();
        sender.send(X, &mut Impatient).unwrap();
        memory.copy_in(DATA + 4, &u32::MAX.to_le_bytes());
        let why = refused(&memory, &mut receiver, &mut read);
        assert!(why.contains("found one of 4294967295"), "{why}");
        // More is promised than comes: no room is made for it.
        let (memory, mut sender, mut receiver) = ring();
        sender.send(X, &mut Impatient).unwrap();
        memory.copy_in(DATA + 4, &(FRAME_BYTES as u32).to_le_bytes());
        assert_eq!(receiver.receive(&mut read, &mut Impatient), Err(Cut::Late));
        assert!(read.capacity() <= 2 * FRAME_BYTES_AT_ONCE);
    }

    #[test]
    fn what_no_reader_does_is_noticed() {
        let (memory, mut sender, _) = ring();
        let whole = vec![1; RING_BYTES - FRAME_HEAD];
        sender.send([&whole, &[]], &mut Impatient).unwrap();
        assert_eq!(sender.send(X, &mut Impatient), Err(Cut::Late));
        memory.word(HEAD).store(CAPACITY + 1, Ordering::Relaxed);
        assert!(matches!(sender.send(X, &mut Impatient), Err(Cut::Corrupt(_))));
        memory.word(HEAD).store(u32::MAX, Ordering::Relaxed);
        assert!(matches!(sender.send(X, &mut Impatient), Err(Cut::Corrupt(_))));
        let long = vec![0; FRAME_BYTES + 1];
        assert!(matches!(sender.send([&[], &long], &mut Impatient), Err(Cut::TooLong { .. })));
    }
}
