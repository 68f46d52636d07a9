//! The signal handlers: from a signal in guest code to its activation's landing.

use std::cell::Cell;
use std::sync::OnceLock;

use super::activation::Activation;
use super::capture::Pcs;
use super::signal_stack;
use crate::arch::Interrupted;
use crate::limits::STACK_GUARD_BYTES;
use crate::mem::{MemError, code};
use crate::os::signals::{self, Previous};

/// What guest code raises: an access beyond a memory or a stack, a trap instruction, a division.
const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

static PREVIOUS: OnceLock<[Previous; 4]> = OnceLock::new();

thread_local! {
    static READY: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread ready to run guest code. Cheap from the second time on.
///
/// # Errors
/// [`MemError`] if the system refuses the thread a signal stack, or the handlers.
#[inline]
pub fn prepare_thread() -> Result<(), MemError> {
    if READY.get() { Ok(()) } else { make_ready() }
}

#[cold]
fn make_ready() -> Result<(), MemError> {
    if PREVIOUS.get().is_none() {
        install()?;
    }
    signal_stack::make()?;
    Pcs::make()?;
    READY.set(true);
    Ok(())
}

/// The thread ends: what it was given is being taken back.
pub(super) fn forget_thread() {
    READY.set(false);
}

#[cold]
fn install() -> Result<(), MemError> {
    let refused =
        |source| MemError::System { action: "install", what: "the signal handlers", bytes: 0, source };
    let mut previous = Vec::with_capacity(SIGNALS.len());
    for signal in SIGNALS {
        previous.push(signals::current(signal).map_err(refused)?);
    }
    let previous = <[Previous; 4]>::try_from(previous).ok().expect("one for each signal");
    // Only who fills the cell installs, and the handler finds it filled.
    if PREVIOUS.set(previous).is_ok() {
        for signal in SIGNALS {
            signals::install(signal, on_signal).map_err(refused)?;
        }
    }
    Ok(())
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the arguments of a handler, which has not returned.
    let (mut registers, code, address) =
        unsafe { (Interrupted::new(context), (*info).si_code, (*info).si_addr() as usize) };
    let activation = Activation::current();
    // A positive code says that the processor raised it, not somebody's `kill`.
    if code > 0 && !activation.is_null() && code::addresses().contains(&registers.pc()) {
        // SAFETY: the thread's innermost activation is on a frame that waits for the code that was
        // interrupted.
        unsafe { (*activation).fault(&mut registers, signal, address) };
        return;
    }
    if code > 0 && !activation.is_null() && address.abs_diff(registers.sp()) < STACK_GUARD_BYTES {
        let note: &[u8] = b"atoll: a function of the host, called by a guest, may have used up its stack\n";
        // SAFETY: `write` may be called in a handler; the bytes are there.
        unsafe { libc::write(libc::STDERR_FILENO, note.as_ptr().cast(), note.len()) };
    }
    let Some(previous) = PREVIOUS.get() else { return };
    if let Some(at) = SIGNALS.iter().position(|&known| known == signal) {
        // SAFETY: the arguments are ours.
        unsafe { previous[at].handle(signal, info, context) };
    }
}
