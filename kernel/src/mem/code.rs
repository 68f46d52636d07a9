//! The arena that holds all machine code of the OS process, and what is known of each piece.
//!
//! One reservation, so that all code reaches all other code by a 32-bit displacement, and "is this guest
//! code?" is two comparisons that a signal handler can make. Pages are writable or executable, never both.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use super::MemError;
use super::reservation::{Access, Reservation};
use crate::limits::CODE_ARENA_BYTES;
use crate::os::page;
use crate::trap::site::CodeInfo;

static ARENA: OnceLock<Arena> = OnceLock::new();
static INFOS: RwLock<BTreeMap<usize, Entry>> = RwLock::new(BTreeMap::new());

struct Arena {
    reservation: Reservation,
    /// Free ranges, as start → end offsets; neighbours are joined.
    free: Mutex<BTreeMap<usize, usize>>,
}

struct Entry {
    end: usize,
    info: Weak<dyn CodeInfo>,
}

/// A piece of the arena with code in it. The pages go back when it is dropped: whoever runs the code, or
/// holds an address of it, must hold the block.
#[derive(Debug)]
pub struct CodeBlock {
    range: Range<usize>,
    len: usize,
}

impl CodeBlock {
    /// Takes `len` bytes at a page boundary, lets `fill` write them, then makes them executable.
    ///
    /// `fill` gets the bytes, all zero, and the address they will run at (which is where they are).
    ///
    /// # Errors
    /// [`MemError`] if the arena has no room or the system refuses.
    pub fn publish(len: usize, fill: impl FnOnce(&mut [u8], *const u8)) -> Result<CodeBlock, MemError> {
        let arena = arena()?;
        let full =
            || MemError::Limit { what: "machine code", bytes: len as u64, allowed: CODE_ARENA_BYTES as u64 };
        let pages = page::round_up(len.max(1)).ok_or_else(full)?;
        // From here on the drop of `block` gives the pages back, on every way out.
        let block = CodeBlock { range: arena.take(pages).ok_or_else(full)?, len };
        let base = arena.reservation.base().wrapping_add(block.range.start);
        // SAFETY: the pages were just taken from the free ones: nobody else uses them, so they may be
        // written, and the slice is the only way to them until they are executable.
        unsafe {
            arena.reservation.protect(block.range.clone(), Access::ReadWrite)?;
            fill(std::slice::from_raw_parts_mut(base, len), base);
            arena.reservation.protect(block.range.clone(), Access::ReadExecute)?;
        }
        Ok(block)
    }

    /// Says who knows about the code, for [`lookup`].
    pub fn describe(&self, info: Weak<dyn CodeInfo>) {
        let addresses = self.addresses();
        let entry = Entry { end: addresses.end, info };
        INFOS.write().unwrap_or_else(PoisonError::into_inner).insert(addresses.start, entry);
    }

    /// The first address.
    #[must_use]
    pub fn base(&self) -> *const u8 {
        let arena = ARENA.get().expect("a block was taken from it");
        arena.reservation.base().wrapping_add(self.range.start)
    }

    /// Bytes of code.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no code in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The addresses of the code.
    #[must_use]
    pub fn addresses(&self) -> Range<usize> {
        let base = self.base() as usize;
        base..base + self.len
    }

    /// The code.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block's pages are readable and do not change until it is dropped.
        unsafe { std::slice::from_raw_parts(self.base(), self.len) }
    }
}

impl Drop for CodeBlock {
    fn drop(&mut self) {
        let arena = ARENA.get().expect("a block was taken from it");
        INFOS.write().unwrap_or_else(PoisonError::into_inner).remove(&(self.base() as usize));
        // SAFETY: nobody runs the code any more, as its owner is gone. If the pages cannot be cleared they
        // are never used again, which wastes address space and nothing else.
        if unsafe { arena.reservation.clear(self.range.clone()) }.is_ok() {
            arena.give(self.range.clone());
        }
    }
}

impl Arena {
    /// The lowest free range that is long enough.
    fn take(&self, len: usize) -> Option<Range<usize>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, end) =
            free.iter().find(|(start, end)| *end - *start >= len).map(|(start, end)| (*start, *end))?;
        free.remove(&start);
        if start + len < end {
            free.insert(start + len, end);
        }
        Some(start..start + len)
    }

    fn give(&self, mut range: Range<usize>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((&start, &end)) = free.range(..range.start).next_back()
            && end == range.start
        {
            free.remove(&start);
            range.start = start;
        }
        if let Some(end) = free.remove(&range.end) {
            range.end = end;
        }
        free.insert(range.start, range.end);
    }
}

fn arena() -> Result<&'static Arena, MemError> {
    if let Some(arena) = ARENA.get() {
        return Ok(arena);
    }
    let reservation = Reservation::new(CODE_ARENA_BYTES, "machine code")?;
    let free = Mutex::new(BTreeMap::from([(0, reservation.len())]));
    Ok(ARENA.get_or_init(|| Arena { reservation, free }))
}

/// The addresses of all code that was and will be published; empty before the first.
///
/// Safe to call in a signal handler.
#[must_use]
pub fn addresses() -> Range<usize> {
    ARENA.get().map_or(0..0, |arena| arena.reservation.addresses())
}

/// Who knows about the code at `pc`, and how many bytes into its block that is.
#[must_use]
pub fn lookup(pc: usize) -> Option<(Arc<dyn CodeInfo>, u32)> {
    let infos = INFOS.read().unwrap_or_else(PoisonError::into_inner);
    let (start, entry) = infos.range(..=pc).next_back()?;
    let offset = u32::try_from(pc - start).ok()?;
    (pc < entry.end).then(|| entry.info.upgrade()).flatten().map(|info| (info, offset))
}

#[cfg(test)]
mod tests {
    use cranelift_codegen::ir::TrapCode;

    use super::{
        Arc, Arena, BTreeMap, CODE_ARENA_BYTES, CodeBlock, CodeInfo, Mutex, Reservation, addresses, lookup,
    };
    use crate::trap::site::{Catch, CodeFrame};

    struct Nothing;
    impl CodeInfo for Nothing {
        fn trap(&self, _: u32) -> Option<TrapCode> {
            None
        }
        fn frame(&self, _: u32) -> Option<CodeFrame> {
            None
        }
        fn catches(&self, _: u32) -> Catch {
            Catch::Pass
        }
    }

    #[test]
    fn published_code_runs_and_is_known_until_it_is_dropped() {
        // mov eax, edi; inc eax; ret
        let code = [0x89, 0xf8, 0xff, 0xc0, 0xc3];
        let block = CodeBlock::publish(code.len(), |bytes, base| {
            assert!(addresses().contains(&(base as usize)));
            bytes.copy_from_slice(&code);
        })
        .unwrap();
        // SAFETY: the bytes are a function of this type.
        let function: extern "C" fn(u32) -> u32 = unsafe { std::mem::transmute(block.base()) };
        assert_eq!(function(41), 42);
        assert_eq!(block.bytes(), code);
        let info: Arc<dyn CodeInfo> = Arc::new(Nothing);
        block.describe(Arc::downgrade(&info));
        let pc = block.base() as usize;
        assert_eq!(lookup(pc + 4).unwrap().1, 4);
        assert!(lookup(pc + 5).is_none());
        drop(block);
        assert!(lookup(pc).is_none());
    }

    #[test]
    fn what_is_given_back_is_joined() {
        let reservation = Reservation::new(1 << 20, "a test").unwrap();
        let arena = Arena { free: Mutex::new(BTreeMap::from([(0, 1 << 20)])), reservation };
        let [a, b, c] = [0x1000, 0x2000, 0x3000].map(|len| arena.take(len).unwrap());
        assert_eq!((a.clone(), b.clone(), c.clone()), (0..0x1000, 0x1000..0x3000, 0x3000..0x6000));
        assert!(arena.take(1 << 20).is_none());
        arena.give(a);
        arena.give(c);
        arena.give(b);
        assert_eq!(arena.take(1 << 20), Some(0..1 << 20));
    }

    #[test]
    fn too_much_code_is_an_error() {
        assert!(CodeBlock::publish(CODE_ARENA_BYTES + 1, |_, _| ()).is_err());
        assert!(CodeBlock::publish(usize::MAX, |_, _| ()).is_err());
    }
}
