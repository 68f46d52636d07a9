//! Linear memories. The base never moves and the length only grows, so compiled code may keep the base.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::MemError;
use super::cow::Image;
use super::extent::Extent;
use crate::limits::{MEMORY32_BYTES, MEMORY64_BYTES};
use crate::vm::{VmMemory, VmMemorySlot};

/// The type of a linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Pages at the beginning.
    pub minimum: u64,
    /// The most pages that it may have.
    pub maximum: Option<u64>,
    /// A page has `1 << page_log2` bytes: 16 usually, 0 with the custom-page-sizes proposal.
    pub page_log2: u32,
    /// Addresses have 64 bits.
    pub memory64: bool,
    /// Several threads may use it.
    pub shared: bool,
}

impl MemoryType {
    /// A memory with 32-bit addresses and the usual pages, used by one thread.
    #[must_use]
    pub const fn new(minimum: u64, maximum: Option<u64>) -> MemoryType {
        MemoryType { minimum, maximum, page_log2: 16, memory64: false, shared: false }
    }

    pub(crate) fn bytes(&self, pages: u64) -> u64 {
        if pages > u64::MAX >> self.page_log2 { u64::MAX } else { pages << self.page_log2 }
    }

    /// The most bytes that a memory of this type will ever have, whatever its maximum says.
    fn reach(&self) -> u64 {
        let reach = if self.memory64 { MEMORY64_BYTES } else { MEMORY32_BYTES } as u64;
        reach.min(self.maximum.map_or(u64::MAX, |max| self.bytes(max)))
    }

    /// What to reserve: always all that the index type can reach, because compiled code checks nothing below that.
    fn capacity(&self) -> usize {
        if self.memory64 { MEMORY64_BYTES } else { MEMORY32_BYTES }
    }
}

/// A linear memory.
#[derive(Debug)]
pub struct Memory {
    vm: VmMemory,
    ty: MemoryType,
    /// Taken when the memory is dropped. The lock orders growth.
    extent: Mutex<Option<Extent>>,
    addresses: std::ops::Range<usize>,
    /// The host has stored to it, or may have.
    written: AtomicBool,
    /// No guest code has stored to it.
    unvisited: AtomicBool,
}

// SAFETY: the length is atomic, growth is under a lock. The bytes are reached through raw pointers, by guest
// code whose races the wasm threads model defines, and by methods that are unsafe or atomic.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// A memory of its minimum size: zero, except for `image`.
    ///
    /// # Errors
    /// [`MemError`] if the minimum is more than the kernel reserves, or the system refuses.
    pub fn new(ty: MemoryType, image: Option<&Arc<Image>>) -> Result<Memory, MemError> {
        let (bytes, allowed) = (ty.bytes(ty.minimum), ty.reach());
        if bytes > allowed {
            return Err(MemError::Limit { what: "a linear memory", bytes, allowed });
        }
        let bytes = usize::try_from(bytes).expect("no more than MEMORY64_BYTES");
        let extent = Extent::take(ty.capacity(), bytes, image)?;
        let vm = VmMemory { base: extent.base(), bytes: AtomicUsize::new(bytes) };
        let (written, unvisited) = (AtomicBool::new(false), AtomicBool::new(false));
        let addresses = extent.addresses();
        Ok(Memory { vm, ty, addresses, extent: Mutex::new(Some(extent)), written, unvisited })
    }

    /// Its type, with the minimum that it began with.
    #[must_use]
    pub fn ty(&self) -> &MemoryType {
        &self.ty
    }

    /// What compiled code holds of it, valid as long as the memory lives.
    #[must_use]
    pub fn slot(&self) -> VmMemorySlot {
        VmMemorySlot { base: self.vm.base, memory: (&raw const self.vm).cast_mut() }
    }

    /// The first byte.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.vm.base
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.vm.bytes.load(Acquire)
    }

    /// Bytes of address space that are kept for it, the guard behind it included.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.addresses.len()
    }

    /// How many bytes that many of its pages are; as many as there can be, if that is more.
    #[must_use]
    pub fn bytes_of(&self, pages: u64) -> u64 {
        self.ty.bytes(pages)
    }

    /// Pages of its own size.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.bytes() as u64 >> self.ty.page_log2
    }

    /// Whether `address` belongs to the memory or its guard: a fault there is an access out of bounds.
    #[must_use]
    pub fn covers(&self, address: usize) -> bool {
        self.addresses.contains(&address)
    }

    /// Grows by `delta` pages and returns how many there were; `None` if that is not possible.
    pub fn grow(&self, delta: u64) -> Option<u64> {
        let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.pages();
        let bytes = self.ty.bytes(old.checked_add(delta)?);
        if bytes > self.ty.reach() {
            return None;
        }
        let bytes = usize::try_from(bytes).ok()?;
        extent.as_mut()?.set_accessible(bytes).ok()?;
        self.vm.bytes.store(bytes, Release);
        Some(old)
    }

    /// The address of `len` bytes from `at` on, if the memory has them.
    #[must_use]
    pub fn check(&self, at: u64, len: u64) -> Option<*mut u8> {
        let end = at.checked_add(len)?;
        if end > self.bytes() as u64 {
            return None;
        }
        // SAFETY: `at` is at most the length, so the address is inside the reservation.
        Some(unsafe { self.vm.base.add(usize::try_from(at).ok()?) })
    }

    /// Copies bytes from `at` on to `out`; `None`, and nothing copied, if the memory ends before.
    ///
    /// Byte for byte atomic, so that it may be used while other threads store.
    pub fn read(&self, at: u64, out: &mut [u8]) -> Option<()> {
        let from = self.check(at, out.len() as u64)?.cast::<AtomicU8>();
        for (index, byte) in out.iter_mut().enumerate() {
            // SAFETY: the bytes were just checked, and an accessible page stays so while the memory lives.
            *byte = unsafe { &*from.add(index) }.load(Ordering::Relaxed);
        }
        Some(())
    }

    /// Copies `bytes` to `at` on; `None`, and nothing copied, if the memory ends before.
    ///
    /// Byte for byte atomic, so that it may be used while other threads load.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Option<()> {
        let to = self.check(at, bytes.len() as u64)?.cast::<AtomicU8>();
        self.written.store(true, Ordering::Relaxed);
        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: the bytes were just checked, and an accessible page stays so while the memory lives.
            unsafe { &*to.add(index) }.store(*byte, Ordering::Relaxed);
        }
        Some(())
    }

    /// Nobody needs to empty it: no guest code has run that could store to it, and none will.
    pub(crate) fn stays_unvisited(&self) {
        self.unvisited.store(true, Ordering::Relaxed);
    }

    /// All bytes.
    ///
    /// # Safety
    /// Nothing may store to the memory while the slice lives: no guest code runs, and the memory is not
    /// shared.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the accessible bytes; that nothing changes them is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.vm.base, self.bytes()) }
    }

    /// All bytes.
    ///
    /// # Safety
    /// Nothing else may use the memory's bytes while the slice lives: no guest code runs, and the memory is
    /// not shared.
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "the bytes are outside of this object, as for a cell")]
    pub unsafe fn as_mut_slice(&self) -> &mut [u8] {
        self.written.store(true, Ordering::Relaxed);
        // SAFETY: the accessible bytes; that nothing else uses them is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.vm.base, self.bytes()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let pristine = *self.unvisited.get_mut() && !*self.written.get_mut();
        if let Some(extent) = self.extent.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            extent.give(pristine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Image, MEMORY64_BYTES, Memory, MemoryType};

    #[test]
    fn grows_to_its_maximum_and_no_further() {
        let memory = Memory::new(MemoryType::new(1, Some(3)), None).unwrap();
        assert_eq!(
            (memory.pages(), memory.grow(0), memory.grow(2), memory.grow(1)),
            (1, Some(1), Some(1), None)
        );
        assert_eq!(memory.bytes(), 3 << 16);
        assert_eq!(memory.grow(u64::MAX), None);
        assert!(memory.write((3 << 16) - 1, &[1]).is_some());
        assert!(memory.write((3 << 16) - 1, &[1, 2]).is_none());
        assert!(memory.write(u64::MAX, &[1, 2]).is_none());
    }

    #[test]
    fn a_full_32_bit_memory_is_possible() {
        let memory = Memory::new(MemoryType::new(0, None), None).unwrap();
        assert_eq!(memory.grow(65536), Some(0));
        assert_eq!(memory.grow(1), None);
        assert!(memory.write((1 << 32) - 1, &[1]).is_some());
    }

    #[test]
    fn pages_of_one_byte() {
        let ty = MemoryType { page_log2: 0, ..MemoryType::new(5, Some(5000)) };
        let memory = Memory::new(ty, None).unwrap();
        assert_eq!((memory.bytes(), memory.grow(4995), memory.grow(1)), (5, Some(5), None));
        assert!(memory.write(4999, &[1]).is_some() && memory.write(5000, &[1]).is_none());
    }

    #[test]
    fn a_64_bit_memory_stays_in_its_reservation() {
        let ty = MemoryType { memory64: true, ..MemoryType::new(1, Some(1 << 48)) };
        let memory = Memory::new(ty, None).unwrap();
        assert_eq!(memory.grow(1 << 47), None);
        assert_eq!(memory.grow((MEMORY64_BYTES as u64 >> 16) - 1), Some(1));
        assert_eq!(memory.grow(1), None);
        assert!(Memory::new(MemoryType { minimum: 1 << 40, ..ty }, None).is_err());
        assert!(Memory::new(MemoryType { minimum: u64::MAX, maximum: None, ..ty }, None).is_err());
    }

    #[test]
    fn what_one_user_wrote_is_never_seen_by_the_next() {
        let image = Arc::new(Image::new(&[(70_000, b"hello".as_slice()), (70_001, b"a")]).unwrap().unwrap());
        for round in 0..200_u64 {
            let ty = MemoryType::new(2 + round % 3, None);
            let image = (round % 2 == 0).then_some(&image);
            let memory = Memory::new(ty, image).unwrap();
            let mut bytes = [0xff; 7];
            memory.read(69_999, &mut bytes).unwrap();
            assert_eq!(&bytes, if image.is_some() { b"\0hallo\0" } else { b"\0\0\0\0\0\0\0" });
            memory.write(69_999, b"dirty!!").unwrap();
            memory.grow(round % 5).unwrap();
            memory.write(memory.bytes() as u64 - 1, &[1]).unwrap();
            let mut last = [0];
            memory.read((2 << 16) - 1, &mut last).unwrap();
            assert_eq!(last[0], u8::from(memory.bytes() == 2 << 16));
        }
    }

    #[test]
    fn an_image_beyond_the_minimum_is_refused() {
        let image = Arc::new(Image::new(&[(1 << 16, b"x".as_slice())]).unwrap().unwrap());
        assert!(Memory::new(MemoryType::new(1, None), Some(&image)).is_err());
        assert!(Image::new(&[(5, b"".as_slice())]).unwrap().is_none());
    }
}
