//! What watched code notes while it runs: the edges it took, the integers it compared, the steps it has left.
//!
//! The addresses are constants in the code, so a board belongs to one engine, and every library of that engine keeps it
//! alive. One thread at a time runs watched code; what two would note at once is not wrong, only not exact.
//!
//! ```text
//!  0   steps left            i64, counted down at every function's and loop's beginning, and for each 64 bytes that one
//!                            operator copies or fills; below 0 the code traps
//!  8   comparisons so far    u64
//! 16   comparisons           a ring of COMPARES × { site u32, bits u32, left u64, right u64 }
//!  …   edges                 a byte each, stops at 255
//! ```

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::limits::{WATCHED_COMPARES, WATCHED_EDGES, WATCHED_TEXT_BYTES, WATCHED_TEXTS};

/// What an engine makes code note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// Nothing: the code is as if nobody could watch.
    #[default]
    Nothing,
    /// The edges it takes and the steps it has left.
    Edges,
    /// That, and what it compares with what: slow.
    Compares,
}

/// Where watched code notes.
pub struct Board {
    base: NonNull<u8>,
    compares: bool,
    /// Edge numbers given out.
    given: AtomicU32,
    texts: Mutex<Vec<[Vec<u8>; 2]>>,
}

// SAFETY: the bytes are on the heap; all threads reach them through atomics or as compiled code does.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

/// Two integers that code compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Compared {
    /// Where: the byte offset of the operator in its module.
    pub site: u32,
    /// Bits of each operand: 32 or 64.
    pub bits: u32,
    /// The first operand, zero-extended.
    pub left: u64,
    /// The second operand, zero-extended.
    pub right: u64,
}

/// Offset of the steps left.
pub(super) const STEPS: i32 = 0;
/// How many bytes that are copied or filled are a step: about as long as a loop takes to come around.
pub(super) const STEP_BYTES_LOG2: i64 = 6;
/// Offset of the number of comparisons.
pub(super) const COUNT: i32 = 8;
/// Offset of the ring of comparisons.
pub(super) const RING: i32 = 16;
/// Bytes of an entry of the ring.
pub(super) const ENTRY_BYTES: i64 = 24;
const EDGES: usize = RING as usize + WATCHED_COMPARES * ENTRY_BYTES as usize;
const BYTES: usize = EDGES + WATCHED_EDGES;

const _: () = assert!(WATCHED_COMPARES.is_power_of_two() && EDGES.is_multiple_of(8));

impl Board {
    /// An empty board, or none if nothing is watched.
    pub(super) fn new(watch: Watch) -> Option<Board> {
        if watch == Watch::Nothing {
            return None;
        }
        let layout = Board::layout();
        // SAFETY: the size is not 0.
        let base =
            NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        let compares = watch == Watch::Compares;
        let board = Board { base, compares, given: AtomicU32::new(0), texts: Mutex::default() };
        board.allow(i64::MAX);
        Some(board)
    }

    fn layout() -> Layout {
        Layout::from_size_align(BYTES, 16).expect("a constant of a few MiB")
    }

    /// The address that code is compiled with.
    pub(super) fn address(&self) -> i64 {
        (self.base.as_ptr() as usize).cast_signed() as i64
    }

    /// Whether comparisons are noted.
    pub(super) fn notes_compares(&self) -> bool {
        self.compares
    }

    /// Gives out the next edge number: the offset of its byte. When there are no more, edges share.
    pub(super) fn edge(&self) -> i32 {
        let number = self.given.fetch_add(1, Relaxed) as usize % WATCHED_EDGES;
        i32::try_from(EDGES + number).expect("a constant of a few MiB")
    }

    /// How many edges the code that was compiled so far has.
    #[must_use]
    pub fn edges(&self) -> u32 {
        self.given.load(Relaxed).min(WATCHED_EDGES as u32)
    }

    /// Lets code take `steps` steps from now on.
    pub fn allow(&self, steps: i64) {
        self.long(STEPS).store(steps.cast_unsigned(), Relaxed);
    }

    /// Steps that are left; below 0 if code was stopped.
    #[must_use]
    pub fn steps_left(&self) -> i64 {
        self.long(STEPS).load(Relaxed).cast_signed()
    }

    /// Calls `each` with the number and count (1 to 255) of every edge taken since the last time, and forgets them.
    pub fn take_edges(&self, mut each: impl FnMut(u32, u8)) {
        let words = (self.edges() as usize).div_ceil(8);
        for word in 0..words {
            let at = EDGES + word * 8;
            let counts = self.long(i32::try_from(at).expect("a constant of a few MiB"));
            let bytes = counts.load(Relaxed);
            if bytes == 0 {
                continue;
            }
            counts.store(0, Relaxed);
            for (byte, count) in (0..).zip(bytes.to_le_bytes()) {
                if count != 0 {
                    each(word as u32 * 8 + byte, count);
                }
            }
        }
    }

    /// The last comparisons made since the last time, oldest first, and forgets them.
    #[must_use]
    pub fn take_compares(&self) -> Vec<Compared> {
        let count = self.long(COUNT).swap(0, Relaxed);
        let kept = count.min(WATCHED_COMPARES as u64);
        (count - kept..count).map(|index| self.compared(index as usize % WATCHED_COMPARES)).collect()
    }

    fn compared(&self, index: usize) -> Compared {
        let at = RING + i32::try_from(index * ENTRY_BYTES as usize).expect("a constant of a few MiB");
        let head = self.long(at).load(Relaxed);
        let (left, right) = (self.long(at + 8).load(Relaxed), self.long(at + 16).load(Relaxed));
        Compared { site: head as u32, bits: (head >> 32) as u32, left, right }
    }

    /// Notes two texts that a function got which looks as if it compared them.
    pub(crate) fn note_texts(&self, left: &[u8], right: &[u8]) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() < WATCHED_TEXTS && left != right {
            let cut = |text: &[u8]| text[..text.len().min(WATCHED_TEXT_BYTES)].to_vec();
            texts.push([cut(left), cut(right)]);
        }
    }

    /// The pairs of texts that functions got which look as if they compared them, since the last time.
    #[must_use]
    pub fn take_texts(&self) -> Vec<[Vec<u8>; 2]> {
        std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn long(&self, offset: i32) -> &AtomicU64 {
        let offset = offset as usize;
        debug_assert!(offset + 8 <= BYTES && offset.is_multiple_of(8));
        // SAFETY: inside the allocation and aligned to 8, as every caller's constants are; compiled code on this
        // thread does not run now, and another thread's makes counts less exact at worst.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the libraries whose code has the address are gone.
        unsafe { dealloc(self.base.as_ptr(), Board::layout()) }
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("edges", &self.edges()).finish_non_exhaustive()
    }
}
