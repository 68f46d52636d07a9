//! The tick: how a thread that runs compiled code is made to look up.
//!
//! A worker's timer sends its OS thread a signal. If that interrupted compiled code, the handler lets it go on in
//! [`arch::preempted`], which saves everything and asks here what to do; else it leaves a mark, which host calls look
//! at before they return to the guest, and tries again a little later.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::handoff::is_called_off;
use super::hold;
use super::thread::Left;
use super::worker::{self, Worker};
use crate::arch::{self, Interrupted, Landing, Suspended, Switch, preempted};
use crate::mem::code;
use crate::os::signals::{self, Previous, TICK};
use crate::trap::activation::Activation;

static PREVIOUS: OnceLock<Result<Previous, String>> = OnceLock::new();

/// Installs the handler, once for the OS process.
///
/// # Errors
/// What the processor lacks, or what the system says.
pub(super) fn prepare() -> Result<(), String> {
    arch::prepare_suspend().map_err(|missing| format!("pre-emption needs {missing}"))?;
    let refused = |error: std::io::Error| format!("cannot install a signal handler: {error}");
    // Who comes second waits until it is installed.
    let installed = PREVIOUS.get_or_init(|| {
        let previous = signals::current(TICK).map_err(refused)?;
        signals::install(TICK, on_tick).map_err(refused)?;
        Ok(previous)
    });
    installed.as_ref().map(|_| ()).map_err(String::clone)
}

extern "C" fn on_tick(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let worker = worker::here();
    // SAFETY: the argument of a handler.
    let ours = unsafe { matches!((*info).si_code, libc::SI_TIMER | libc::SI_TKILL) };
    if worker.is_null() || !ours {
        if let Some(Ok(previous)) = PREVIOUS.get() {
            // SAFETY: the arguments are ours.
            unsafe { previous.pass_on(signal, info, context) };
        }
        return;
    }
    // SAFETY: the worker of this OS thread, which cannot go away while its thread is in this handler.
    let worker = unsafe { &*worker };
    worker.seat().ticked();
    if !worker.is_running() {
        return;
    }
    // SAFETY: the argument of a handler, which has not returned.
    let mut registers = unsafe { Interrupted::new(context) };
    if !Activation::current().is_null() && code::addresses().contains(&registers.pc()) {
        // SAFETY: compiled code, on the guest stack of the activation.
        unsafe { registers.divert(preempted::<Tick>) };
        return;
    }
    match due(worker) {
        Ok(()) => {
            worker.seat().turn.overdue.store(true, Ordering::Relaxed);
            let now_ns = worker.pool.clock.now_ns();
            worker.seat().tick_by(now_ns + worker.next_retry_ns(), now_ns);
        }
        Err(at_ns) => worker.seat().tick_by(at_ns, worker.pool.clock.now_ns()),
    }
}

/// Whether the thread that runs is to leave; if not, when to look again.
fn due(worker: &Worker) -> Result<(), u64> {
    let now_ns = worker.pool.clock.now_ns();
    let Err(waits_until_ns) = is_called_off(worker::current(), now_ns) else { return Ok(()) };
    worker.pool.is_over(worker.index, now_ns).map_err(|at_ns| at_ns.min(waits_until_ns))
}

/// What a thread does that a tick took off its code.
struct Tick;

impl Switch for Tick {
    /// # Safety
    /// As the trait has it.
    unsafe extern "C" fn switch(suspended: *const Suspended) -> *const Landing {
        // SAFETY: the caller's promises: the thread is here on its stack.
        unsafe { stand_if_wanted(suspended) };
        let (worker, record) = (worker::here(), worker::current());
        // SAFETY: only the handler lets a thread get here, and it has looked: there is a worker that runs a thread.
        // It holds the thread, and so does the next one that runs it.
        let (worker, record) = unsafe { (&*worker, &*record) };
        // SAFETY: as above; `suspended` is the caller's, and the innermost activation has its code.
        if let Some(process) = unsafe { (*Activation::current()).process_of(&*suspended) } {
            record.account.sample(process, worker.since_last_sample());
        }
        match due(worker) {
            // Before it leaves: it need not be put back only to be cut off.
            Ok(()) if record.is_condemned() => (),
            Ok(()) => {
                // SAFETY: the innermost activation is on a stack that waits for the interrupted code.
                let hosted = unsafe { !(*Activation::current()).parent().is_null() };
                record.pinned.store(hosted, Ordering::Relaxed);
                // SAFETY: we are the thread.
                unsafe { record.leave(Left::Preempted) };
                // SAFETY: as above.
                unsafe { stand_if_wanted(suspended) };
            }
            Err(at_ns) => worker.seat().tick_by(at_ns, worker.pool.clock.now_ns()),
        }
        // From here on the worker may be another one.
        if record.is_condemned() {
            // Host code that called it may call again: until the thread is pardoned or gone, it is looked at.
            // SAFETY: as above.
            let worker = unsafe { &*worker::here() };
            worker.seat().turn.overdue.store(true, Ordering::Relaxed);
            let now_ns = worker.pool.clock.now_ns();
            worker.seat().tick_by(now_ns + worker.next_retry_ns(), now_ns);
            // SAFETY: as above; `suspended` is the caller's.
            return unsafe { (*Activation::current()).cut_off(&*suspended) };
        }
        ptr::null()
    }
}

/// Lets the thread that was taken off its code be looked at, if somebody wants to.
///
/// # Safety
/// Only by that thread, on its stack; `suspended` is where it stands.
unsafe fn stand_if_wanted(suspended: *const Suspended) {
    let record = worker::current();
    // SAFETY: who runs a turn holds its thread, and so does the next one that runs it.
    let record = unsafe { &*record };
    if record.hold.is_wanted() {
        // SAFETY: the innermost activation is on a stack that waits for the interrupted code.
        let hosted = unsafe { !(*Activation::current()).parent().is_null() };
        hold::stand(record, suspended, |record| {
            record.pinned.store(hosted, Ordering::Relaxed);
            // SAFETY: we are the thread.
            unsafe { record.leave(Left::Parked) };
        });
    }
}
