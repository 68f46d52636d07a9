//! Core exceptions: objects that guests make and hold by address, dropped when no address of them is left.
//!
//! An object is its tag, 16 bytes before its address, and its payload. Guests hold addresses on their stacks,
//! in tables, in globals and in payloads. A collection takes every word there that is an object's address for
//! a reference to it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{HashMap, HashSet};

use crate::limits::{EXCEPTION_BYTES, EXCEPTIONS, EXCEPTIONS_BETWEEN_COLLECTIONS};
use crate::vm::exception;

const HEADER: usize = exception::TAG.unsigned_abs() as usize;

/// The exceptions of a domain.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// Payload bytes by address.
    alive: HashMap<usize, u32>,
    /// Those that the host was given: it may give them back at any time.
    pinned: HashSet<usize>,
    since_collection: usize,
}

impl Exceptions {
    /// Whether it is time to collect before the next one is made.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.since_collection >= EXCEPTIONS_BETWEEN_COLLECTIONS.max(self.alive.len() / 2)
    }

    /// A new exception of the tag at an address, with a payload of zeros; its own address. `None` if there
    /// are too many, or it is too large.
    pub fn add(&mut self, tag: usize, bytes: u32) -> Option<usize> {
        if self.alive.len() >= EXCEPTIONS || bytes > EXCEPTION_BYTES {
            return None;
        }
        // SAFETY: the header's size is not 0.
        let header = unsafe { alloc_zeroed(layout(bytes)) };
        if header.is_null() {
            return None;
        }
        // SAFETY: the tag is at the object's beginning; its address is behind the header.
        let address = unsafe {
            header.cast::<usize>().write(tag);
            header.add(HEADER) as usize
        };
        self.alive.insert(address, bytes);
        self.since_collection += 1;
        Some(address)
    }

    /// Whether a word is the address of an exception.
    #[must_use]
    pub fn contains(&self, word: usize) -> bool {
        self.alive.contains_key(&word)
    }

    /// Keeps an exception as long as the domain.
    pub fn pin(&mut self, word: usize) {
        if self.contains(word) {
            self.pinned.insert(word);
        }
    }

    /// Drops every exception whose address is neither among `roots` nor in the payload of one that stays.
    pub fn collect(&mut self, roots: impl Iterator<Item = usize>) {
        let mut reached = HashSet::new();
        let mut open: Vec<usize> =
            roots.chain(self.pinned.iter().copied()).filter(|word| self.contains(*word)).collect();
        while let Some(address) = open.pop() {
            if reached.insert(address) {
                let words = self.alive[&address] as usize / size_of::<usize>();
                for index in 0..words {
                    // SAFETY: inside the payload of an exception that is alive.
                    let word = unsafe { (address as *const usize).add(index).read() };
                    if self.contains(word) && !reached.contains(&word) {
                        open.push(word);
                    }
                }
            }
        }
        self.alive.retain(|address, bytes| {
            let stays = reached.contains(address);
            if !stays {
                // SAFETY: allocated in `add` with this layout, and nobody has its address any more.
                unsafe { dealloc((*address as *mut u8).sub(HEADER), layout(*bytes)) };
            }
            stays
        });
        self.since_collection = 0;
    }
}

impl Drop for Exceptions {
    fn drop(&mut self) {
        self.pinned.clear();
        self.collect(std::iter::empty());
    }
}

fn layout(bytes: u32) -> Layout {
    Layout::from_size_align(HEADER + bytes as usize, 16).expect("no more than EXCEPTION_BYTES")
}

#[cfg(test)]
mod tests {
    use super::{EXCEPTION_BYTES, EXCEPTIONS_BETWEEN_COLLECTIONS, Exceptions};

    #[test]
    fn what_is_reached_stays() {
        let mut exceptions = Exceptions::default();
        let [inner, outer, pinned, lost] = [(); 4].map(|()| exceptions.add(0, 16).unwrap());
        // SAFETY: the payload of an exception that is alive.
        unsafe { (outer as *mut usize).add(1).write(inner) };
        exceptions.pin(pinned);
        exceptions.collect([outer, 1, outer, usize::MAX].into_iter());
        assert_eq!(
            [inner, outer, pinned, lost].map(|word| exceptions.contains(word)),
            [true, true, true, false]
        );
        assert!(exceptions.add(0, EXCEPTION_BYTES + 1).is_none());
    }

    #[test]
    fn a_collection_is_due_after_many() {
        let mut exceptions = Exceptions::default();
        for _ in 0..EXCEPTIONS_BETWEEN_COLLECTIONS {
            assert!(!exceptions.is_due());
            exceptions.add(0, 0).unwrap();
        }
        assert!(exceptions.is_due());
        exceptions.collect(std::iter::empty());
        assert!(!exceptions.is_due());
    }
}
