//! Built-ins of linear memories. Indices and lengths are the guest's: each is checked here.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and indices that the validator checked.

use std::ptr;
use std::sync::Arc;

use abi::fault::Trap;

use super::builtins::{domain_of, instance_of};
use crate::sched::park::checkpoint;

/// What is copied or filled between two looks at whether others are to run.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// `memory.grow`: the old size in pages, or -1.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn grow(ctx: *mut u8, memory: u32, delta: u64) -> i64 {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    let (memory, process) = (Arc::clone(&instance.memories[memory as usize]), instance.process);
    let more = memory.bytes_of(delta);
    // SAFETY: the module's contract; the instance is not used any more.
    if !unsafe { domain_of(ctx) }.may_hold_memory(process, more) {
        return -1;
    }
    let old = memory.grow(delta);
    if old.is_some() && delta != 0 {
        // SAFETY: as above.
        unsafe { domain_of(ctx) }.grew(process);
    }
    old.and_then(|pages| i64::try_from(pages).ok()).unwrap_or(-1)
}

/// `move_bytes`
///
/// # Safety
/// Both ranges are accessible. They may overlap. Where other threads store to a shared memory the bytes are any of
/// theirs, as the threads proposal has it.
pub(super) unsafe extern "C" fn move_bytes(
    _context: *mut u8,
    to: *mut u8,
    from: *const u8,
    bytes: usize,
) -> u32 {
    let forwards = (to as usize) <= from as usize;
    let mut done = 0;
    while done < bytes {
        let piece = (bytes - done).min(PIECE_BYTES);
        let at = if forwards { done } else { bytes - done - piece };
        // SAFETY: the caller's promise: compiled code has compared the ranges with the lengths of their memories. What a
        // piece overwrites of the source has been read: pieces go away from the end that overlaps.
        unsafe { ptr::copy(from.add(at), to.add(at), piece) };
        done += piece;
        if let Some(condemned) = leaves() {
            return condemned;
        }
    }
    0
}

/// Lets others run between two pieces, and after the last one: ticks find a guest that copies in a loop here, and hardly
/// ever in its own code. Gives the status if the guest is to end; its verdict is the trap.
fn leaves() -> Option<u32> {
    checkpoint().is_err().then_some(1)
}

/// `fill_bytes`
///
/// # Safety
/// As [`move_bytes`].
pub(super) unsafe extern "C" fn fill_bytes(_context: *mut u8, to: *mut u8, byte: u32, bytes: usize) -> u32 {
    let mut done = 0;
    while done < bytes {
        let piece = (bytes - done).min(PIECE_BYTES);
        // SAFETY: as above.
        unsafe { ptr::write_bytes(to.add(done), byte as u8, piece) };
        done += piece;
        if let Some(condemned) = leaves() {
            return condemned;
        }
    }
    0
}

/// `memory.init`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn init(
    ctx: *mut u8,
    memory: u32,
    segment: u32,
    to: u64,
    from: u32,
    bytes: u32,
) -> u32 {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    let source = instance.data(segment).get(from as usize..from as usize + bytes as usize);
    let target = instance.memories[memory as usize].check(to, u64::from(bytes));
    let (Some(source), Some(target)) = (source, target) else {
        return out_of_bounds(ctx);
    };
    // SAFETY: the range is inside the memory, as was just checked; a segment is never in a memory.
    unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target, source.len()) };
    leaves().unwrap_or(0)
}

/// `data.drop`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn data_drop(ctx: *mut u8, segment: u32) {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    instance.drop_data(segment);
}

#[cold]
fn out_of_bounds(ctx: *mut u8) -> u32 {
    // SAFETY: the module's contract.
    unsafe { domain_of(ctx) }.leave(Trap::MemoryOutOfBounds)
}
