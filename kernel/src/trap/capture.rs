//! What a signal handler keeps of a fault before the guest's frames are cut off.

use std::cell::Cell;
use std::{ptr, slice};

use super::handler;
use crate::arch::{GeneralRegisters, Interrupted, Suspended};
use crate::limits::{GUEST_STACK_BYTES, HOST_HEADROOM_BYTES};
use crate::mem::MemError;
use crate::mem::code;
use crate::mem::reservation::{Access, Reservation};

/// A frame is at least its return address and its caller's frame pointer, so no guest stack holds more.
const MAX_FRAMES: usize = (GUEST_STACK_BYTES + HOST_HEADROOM_BYTES) / 16 + 2;

/// Stands for a signal where guest code did nothing wrong, but was cut off on somebody's order.
pub const CUT_OFF: i32 = 0;

/// A fault as the handler saw it.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// The signal's number, or [`CUT_OFF`].
    pub signal: i32,
    /// The instruction.
    pub pc: usize,
    /// The stack pointer there.
    pub sp: usize,
    /// All general registers there, if it faulted.
    pub registers: Option<GeneralRegisters>,
    /// The address that it accessed, where the signal has one.
    pub address: usize,
    /// How many addresses are in the thread's [`Pcs`].
    pub frames: usize,
}

impl Capture {
    /// Safe to call in a signal handler: reads the stack, writes to the thread's [`Pcs`].
    pub(super) fn take(registers: &Interrupted, signal: i32, address: usize, outer_fp: usize) -> Capture {
        let (pc, mut pcs) = (registers.pc(), Pcs::of_thread());
        let mut frames = 0;
        let mut push = |pc| frames += usize::from(pcs.put(frames, pc));
        push(pc);
        // SAFETY: the frame pointer is a guest frame's: compiled code keeps it always. All from the stack
        // pointer to the frame of `enter` is stack in use.
        unsafe { walk(registers.fp(), registers.sp(), outer_fp, &mut push) };
        Capture { signal, pc, sp: registers.sp(), registers: Some(registers.general()), address, frames }
    }

    /// The same of a thread that was pre-empted and is not to go on.
    pub(super) fn of_suspended(suspended: &Suspended, outer_fp: usize) -> Capture {
        let mut pcs = Pcs::of_thread();
        let mut frames = 0;
        let mut push = |pc| frames += usize::from(pcs.put(frames, pc));
        push(suspended.pc);
        suspended.unlinked_caller().into_iter().for_each(&mut push);
        // SAFETY: as in `take`: the thread stands where it was interrupted.
        unsafe { walk(suspended.fp, suspended.sp(), outer_fp, &mut push) };
        let (pc, sp) = (suspended.pc, suspended.sp());
        Capture { signal: CUT_OFF, pc, sp, registers: None, address: 0, frames }
    }
}

/// How far out [`Capture::process_of`] looks.
const SAMPLED_FRAMES: usize = 64;

impl Capture {
    /// The process whose code was suspended, if an adapter on the way out says so.
    pub(super) fn process_of(suspended: &Suspended, outer_fp: usize) -> Option<u32> {
        let edge = |at: usize| code::lookup(at).and_then(|(info, offset)| info.edge(offset));
        if let Some(edge) = edge(suspended.pc) {
            return Some(edge.caller);
        }
        let (mut callee, mut left) = (None, SAMPLED_FRAMES);
        let found = &mut |pc: usize| {
            callee = edge(pc - 1).map(|edge| edge.callee);
            left -= 1;
            callee.is_none() && left > 0
        };
        // SAFETY: the thread stands where it was interrupted; everything from its stack pointer on is its stack.
        unsafe { walk_while(suspended.fp, suspended.sp(), outer_fp, found) };
        callee
    }
}

/// Calls `found` with the return addresses, from that of the frame at `fp` to the one into the entry
/// trampoline below `outer_fp`.
///
/// # Safety
/// Everything from `lowest` up to `outer_fp` must be readable.
pub(super) unsafe fn walk(fp: usize, lowest: usize, outer_fp: usize, found: &mut impl FnMut(usize)) {
    let found = &mut |pc| {
        found(pc);
        true
    };
    // SAFETY: the caller's promise.
    unsafe { walk_while(fp, lowest, outer_fp, found) };
}

/// The same, until `found` says that it is enough.
///
/// # Safety
/// As [`walk`].
unsafe fn walk_while(fp: usize, lowest: usize, outer_fp: usize, found: &mut impl FnMut(usize) -> bool) {
    let (mut fp, mut lowest) = (fp, lowest);
    // A pointer that does not go outwards is no frame's: better a short backtrace than a wild read.
    while fp >= lowest && fp < outer_fp && fp.is_multiple_of(size_of::<usize>()) {
        let frame = fp as *const usize;
        // SAFETY: between `lowest` and `outer_fp`, and aligned; a frame has two words there.
        let (next, pc) = unsafe { (frame.read(), frame.add(1).read()) };
        if next >= outer_fp {
            return; // the entry trampoline's: it returns to `enter`
        }
        if !found(pc) {
            return;
        }
        (lowest, fp) = (fp + 2 * size_of::<usize>(), next);
    }
}

thread_local! {
    static OWN: Cell<Option<Room>> = const { Cell::new(None) };
    static PCS: Cell<*mut usize> = const { Cell::new(ptr::null_mut()) };
}

struct Room {
    _reservation: Reservation,
}

impl Drop for Room {
    fn drop(&mut self) {
        PCS.set(ptr::null_mut());
        handler::forget_thread();
    }
}

/// A thread's room for the addresses of one fault: enough for the deepest recursion, so that no process on
/// the stack is forgotten. Only what a fault needs is ever touched.
#[derive(Clone, Copy, Debug)]
pub struct Pcs {
    base: *mut usize,
}

impl Pcs {
    /// Makes the thread's room, for as long as it lives.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses.
    pub fn make() -> Result<(), MemError> {
        let reservation = Reservation::new(MAX_FRAMES * size_of::<usize>(), "a thread's backtraces")?;
        // SAFETY: nobody else knows of the reservation.
        unsafe { reservation.protect(0..reservation.len(), Access::ReadWrite)? };
        PCS.set(reservation.base().cast());
        OWN.set(Some(Room { _reservation: reservation }));
        Ok(())
    }

    /// The thread's room; without any, nothing is kept.
    #[must_use]
    pub fn of_thread() -> Pcs {
        Pcs { base: PCS.get() }
    }

    fn put(&mut self, at: usize, pc: usize) -> bool {
        let fits = at < MAX_FRAMES && !self.base.is_null();
        if fits {
            // SAFETY: inside the room, as was just checked.
            unsafe { self.base.add(at).write(pc) };
        }
        fits
    }

    /// The first `frames` addresses.
    #[must_use]
    pub fn take(&self, frames: usize) -> Vec<usize> {
        if self.base.is_null() {
            return Vec::new();
        }
        // SAFETY: `put` wrote them: a capture counts only what fitted.
        unsafe { slice::from_raw_parts(self.base, frames.min(MAX_FRAMES)) }.to_vec()
    }
}
