//! The stacks that signal handlers run on: a guest's own may be what overflowed.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::handler;
use crate::limits::SIGNAL_STACK_BYTES;
use crate::mem::MemError;
use crate::mem::reservation::{Access, Reservation};
use crate::os::page;

thread_local! {
    static OWN: Cell<Option<AlternateStack>> = const { Cell::new(None) };
}

struct AlternateStack {
    reservation: Reservation,
    old: libc::stack_t,
}

/// Gives this thread an alternate signal stack that is large enough for our handlers, until it ends.
///
/// # Errors
/// [`MemError`] if the system refuses.
pub fn make() -> Result<(), MemError> {
    let what = "a signal stack";
    let guard = page::size();
    let reservation = Reservation::new(guard + SIGNAL_STACK_BYTES, what)?;
    // SAFETY: nobody else knows of the reservation.
    unsafe { reservation.protect(guard..reservation.len(), Access::ReadWrite)? };
    let new = libc::stack_t {
        ss_sp: reservation.base().wrapping_add(guard).cast(),
        ss_flags: 0,
        ss_size: reservation.len() - guard,
    };
    let mut old = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: the stack stays mapped until the thread ends, when the old one is put back.
    let status = unsafe { libc::sigaltstack(&raw const new, old.as_mut_ptr()) };
    if status != 0 {
        let source = io::Error::last_os_error();
        return Err(MemError::System { action: "register", what, bytes: new.ss_size, source });
    }
    // SAFETY: the call succeeded, so it was written.
    let old = unsafe { old.assume_init() };
    OWN.set(Some(AlternateStack { reservation, old }));
    Ok(())
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        handler::forget_thread();
        let mut current = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: asks first, and puts the old stack back only if ours is still the registered one.
        unsafe {
            if libc::sigaltstack(ptr::null(), current.as_mut_ptr()) == 0
                && self.reservation.addresses().contains(&(current.assume_init().ss_sp as usize))
            {
                libc::sigaltstack(&raw const self.old, ptr::null_mut());
            }
        }
    }
}
