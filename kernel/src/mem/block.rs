//! Heap objects whose addresses compiled code holds: they do not move while they live.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::vm::{VmFuncImport, VmFuncRef, VmGlobal, VmMemorySlot, VmTable, VmTag};

/// A type for which every pattern of bits is a value.
///
/// # Safety
/// As the first line says; and it holds nothing that must be dropped.
pub unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u8 {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for usize {}
// SAFETY: any bits are some address.
unsafe impl<T> Plain for *mut T {}
// SAFETY: any bits are some address.
unsafe impl<T> Plain for *const T {}
// SAFETY: two addresses.
unsafe impl Plain for VmFuncImport {}
// SAFETY: two addresses and an integer.
unsafe impl Plain for VmFuncRef {}
// SAFETY: two addresses.
unsafe impl Plain for VmMemorySlot {}
// SAFETY: an address and an integer.
unsafe impl Plain for VmTable {}
// SAFETY: bytes.
unsafe impl Plain for VmGlobal {}
// SAFETY: an integer.
unsafe impl Plain for VmTag {}

/// A record of a size known at run time, zero at first, that compiled code addresses by offsets: a `VmCtx`, a
/// `VmDomain`.
#[derive(Debug)]
pub struct Block {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: bytes on the heap; what the addresses among them point to is the owner's concern.
unsafe impl Send for Block {}

impl Block {
    /// A record of `bytes`, aligned to 16.
    #[must_use]
    pub fn new(bytes: u32) -> Block {
        let layout =
            Layout::from_size_align(bytes.max(16) as usize, 16).expect("32 bits of size, a small alignment");
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // Not `alloc_zeroed`: an allocator keeps small blocks that were given back, but gives them out again faster if they
        // need not be zero.
        // SAFETY: just allocated with this size.
        unsafe { base.write_bytes(0, layout.size()) };
        Block { base, layout }
    }

    /// Its first byte.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Never: it holds at least 16 bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address of the `T` at `offset`.
    ///
    /// # Panics
    /// If it is not inside, or not aligned.
    #[inline]
    #[must_use]
    pub fn at<T: Plain>(&self, offset: u32) -> *mut T {
        let offset = offset as usize;
        let inside = offset + size_of::<T>() <= self.layout.size() && offset.is_multiple_of(align_of::<T>());
        if !inside {
            outside(offset, self.layout.size());
        }
        // SAFETY: inside, as was just checked.
        unsafe { self.base.as_ptr().add(offset).cast() }
    }

    /// The `T` at `offset`.
    #[inline]
    #[must_use]
    pub fn get<T: Plain>(&self, offset: u32) -> T {
        // SAFETY: `at` checks the place; any bits are a `T`. Compiled code that stores here does not run now,
        // or on this thread only.
        unsafe { self.at::<T>(offset).read() }
    }

    /// Stores a `T` at `offset`.
    #[inline]
    pub fn set<T: Plain>(&mut self, offset: u32, value: T) {
        // SAFETY: `at` checks the place. Compiled code that loads from here does not run now, or on this
        // thread only.
        unsafe { self.at::<T>(offset).write(value) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

#[cold]
#[inline(never)]
fn outside(offset: usize, bytes: usize) -> ! {
    panic!("offset {offset} of a record of {bytes} bytes")
}

/// A heap object that compiled code, or a record that it uses, points to. Unlike a `Box`, it may be pointed
/// to while the owner is moved or borrowed.
#[derive(Debug)]
pub struct Pinned<T>(NonNull<T>);

// SAFETY: owns its object.
unsafe impl<T: Send> Send for Pinned<T> {}

impl<T> Pinned<T> {
    /// Moves `value` to the heap, where it stays.
    #[must_use]
    pub fn new(value: T) -> Pinned<T> {
        Pinned(NonNull::from(Box::leak(Box::new(value))))
    }

    /// Its address.
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: alive until the owner is dropped; whoever uses the address follows the owner's borrows.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Pinned<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new`.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
