//! Guest stacks.
//!
//! ```text
//! limit                      guest_limit                    base
//!   |  guard  |  host headroom  |      guest frames …         |     (grows to the left)
//! ```
//!
//! Compiled code compares its stack pointer with `guest_limit` in every function that needs stack. What the
//! host does on the guest's behalf (built-ins, host functions, a pre-empting signal's trampoline) uses the
//! headroom below.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use corosensei::stack::{Stack, StackPointer};

use super::MemError;
use super::reservation::{Access, Reservation};
use crate::limits::{
    GUEST_STACK_BYTES, HOST_HEADROOM_BYTES, POOLED_STACKS, POOLED_STACKS_PER_THREAD, STACK_GUARD_BYTES,
};

static POOL: Mutex<Vec<GuestStack>> = Mutex::new(Vec::new());

thread_local! {
    /// Taken first, so that the way into a guest is short; then those in `OWN`, which needs no lock either.
    static LAST: Cell<Option<GuestStack>> = const { Cell::new(None) };
    static OWN: RefCell<Vec<GuestStack>> = const { RefCell::new(Vec::new()) };
}

/// A stack that guest code runs on.
#[derive(Debug)]
pub struct GuestStack {
    /// Boxed, so that a stack is one word: it is moved on every call from the host.
    reservation: Box<Reservation>,
}

/// Where a guest stack is.
#[derive(Clone, Copy, Debug)]
pub struct StackBounds {
    limit: usize,
    base: usize,
}

impl StackBounds {
    /// The addresses that may be used, guard not included.
    #[inline]
    #[must_use]
    pub fn usable(&self) -> Range<usize> {
        self.limit + STACK_GUARD_BYTES..self.base
    }

    /// The addresses below them, where every access faults.
    #[inline]
    #[must_use]
    pub fn guard(&self) -> Range<usize> {
        self.limit..self.limit + STACK_GUARD_BYTES
    }

    /// Lowest stack pointer that guest code may have.
    #[inline]
    #[must_use]
    pub fn guest_limit(&self) -> usize {
        self.limit + STACK_GUARD_BYTES + HOST_HEADROOM_BYTES
    }
}

impl GuestStack {
    /// A stack from the pool, or a new one.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses a new one.
    #[inline]
    pub fn take() -> Result<GuestStack, MemError> {
        match LAST.try_with(Cell::take) {
            Ok(Some(stack)) => Ok(stack),
            _ => GuestStack::take_other(),
        }
    }

    #[cold]
    fn take_other() -> Result<GuestStack, MemError> {
        let last = LAST.try_with(Cell::take);
        drop(last);
        let own = OWN.try_with(|own| own.borrow_mut().pop()).ok().flatten();
        match own.or_else(|| POOL.lock().unwrap_or_else(PoisonError::into_inner).pop()) {
            Some(stack) => Ok(stack),
            None => GuestStack::new(),
        }
    }

    fn new() -> Result<GuestStack, MemError> {
        let len = STACK_GUARD_BYTES + HOST_HEADROOM_BYTES + GUEST_STACK_BYTES;
        let reservation = Box::new(Reservation::new(len, "a guest stack")?);
        // SAFETY: nobody else knows of the reservation.
        unsafe { reservation.protect(STACK_GUARD_BYTES..reservation.len(), Access::ReadWrite)? };
        Ok(GuestStack { reservation })
    }

    /// Ends its use: to the pool if that has room, back to the system otherwise.
    ///
    /// Never inlined, so that no address of a thread-local is kept from before the stack was used.
    #[inline(never)]
    pub fn give(self) {
        let mut stack = Some(self);
        // What was there before goes further down.
        if LAST.try_with(|last| stack = last.replace(stack.take())).is_err() || stack.is_some() {
            GuestStack::give_other(stack);
        }
    }

    #[cold]
    fn give_other(mut stack: Option<GuestStack>) {
        let _ = OWN.try_with(|own| {
            let mut own = own.borrow_mut();
            if own.len() < POOLED_STACKS_PER_THREAD {
                own.extend(stack.take());
            }
        });
        let Some(stack) = stack else { return };
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED_STACKS {
            pool.push(stack);
        }
    }

    /// Gives the memory of a stack that was used deeply back to the system. Its contents are lost.
    pub fn shrink(&mut self) {
        // SAFETY: nothing runs on the stack, as its owner has it by `&mut`. A refusal costs memory, no more.
        let _ = unsafe { self.reservation.discard(STACK_GUARD_BYTES..self.reservation.len()) };
    }

    /// Lowest stack pointer that guest code may have.
    #[must_use]
    pub fn guest_limit(&self) -> usize {
        self.bounds().guest_limit()
    }

    /// What code that runs on it must know of it.
    #[inline]
    #[must_use]
    pub fn bounds(&self) -> StackBounds {
        let all = self.reservation.addresses();
        StackBounds { limit: all.start, base: all.end }
    }

    /// The addresses that may be used, guard not included.
    #[must_use]
    pub fn usable(&self) -> Range<usize> {
        self.bounds().usable()
    }

    /// The addresses of the guard.
    #[must_use]
    pub fn guard(&self) -> Range<usize> {
        self.bounds().guard()
    }
}

// SAFETY: the base is page-aligned, the range is ours until the owner drops it, there is a guard of whole
// pages at the low end and far more than `MIN_STACK_SIZE` above it.
unsafe impl Stack for GuestStack {
    fn base(&self) -> StackPointer {
        NonZeroUsize::new(self.reservation.addresses().end).expect("a mapping does not end at 0")
    }

    fn limit(&self) -> StackPointer {
        NonZeroUsize::new(self.reservation.addresses().start).expect("a mapping does not begin at 0")
    }
}

/// Gives every unused stack of this thread and of the common pool back to the system.
pub fn drain() {
    let last = LAST.try_with(Cell::take);
    drop(last);
    let own = OWN.try_with(|own| std::mem::take(&mut *own.borrow_mut()));
    drop(own);
    let common = std::mem::take(&mut *POOL.lock().unwrap_or_else(PoisonError::into_inner));
    drop(common);
}

#[cfg(test)]
mod tests {
    use super::GuestStack;

    #[test]
    fn code_runs_on_it_and_it_is_used_again() {
        let mut stack = GuestStack::take().unwrap();
        let usable = stack.usable();
        let local = corosensei::on_stack(&mut stack, || {
            let local = 1_u8;
            &raw const local as usize
        });
        assert!(usable.contains(&local) && local > stack.guest_limit());
        stack.shrink();
        stack.give();
        assert_eq!(GuestStack::take().unwrap().usable(), usable);
    }
}
