//! Signal handlers.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::timer;

/// The signal that lets a worker look up from guest code. Ignored by default, and rarely used for what it was made for.
pub const TICK: libc::c_int = libc::SIGURG;

/// A handler as `sigaction` takes it.
pub type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What handled a signal before us.
#[derive(Clone, Copy)]
pub struct Previous(libc::sigaction);

// SAFETY: a `sigaction` is a function address, a mask and flags.
unsafe impl Send for Previous {}
// SAFETY: as above.
unsafe impl Sync for Previous {}

/// What handles `signal` now.
///
/// # Errors
/// What the system says; it does not, for a signal that exists.
pub fn current(signal: libc::c_int) -> io::Result<Previous> {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only; the result is written to `old`.
    match unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it was written.
        0 => Ok(Previous(unsafe { old.assume_init() })),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets `handler` handle `signal`, on the alternate stack of the thread. System calls that it interrupts are begun again.
///
/// # Errors
/// What the system says; it does not, for a signal that may be handled.
pub fn install(signal: libc::c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: all zero is a valid `sigaction`: the default action, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler has the type that SA_SIGINFO says; that it is signal-safe is its own duty.
    match unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Previous {
    /// Handles a signal as if we had never been there: calls the handler, or restores the default action, so
    /// that the instruction that is now executed again ends the OS process.
    ///
    /// # Safety
    /// Only in a signal handler, with its arguments.
    pub unsafe fn handle(&self, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        match self.0.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: all zero is the default action.
                unsafe {
                    let action: libc::sigaction = std::mem::zeroed();
                    libc::sigaction(signal, &raw const action, ptr::null_mut());
                }
            }
            // SAFETY: the arguments are ours.
            _ => unsafe { self.pass_on(signal, info, context) },
        }
        // SAFETY: the information is the handler's.
        let is_sent = unsafe { (*info).si_code <= 0 };
        // One that somebody has sent does not come again by itself, as that of an instruction does.
        if is_sent && current(signal).is_ok_and(|now| now.0.sa_sigaction == libc::SIG_DFL) {
            timer::send(timer::thread_id(), signal);
        }
    }

    /// Calls the handler, if there was one.
    ///
    /// # Safety
    /// Only in a signal handler, with its arguments.
    pub unsafe fn pass_on(
        &self,
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        match self.0.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => (),
            handler if self.0.sa_flags & libc::SA_SIGINFO != 0 => {
                // SAFETY: the flag says that the handler has this type.
                let handler: Handler = unsafe { std::mem::transmute(handler) };
                handler(signal, info, context);
            }
            handler => {
                // SAFETY: without the flag, the handler has this type.
                let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
                handler(signal);
            }
        }
    }
}
