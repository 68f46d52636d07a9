//! Built-ins of linear memories. Indices and lengths are the guest's: each is checked here.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and indices that the validator checked.

use std::ptr;

use abi::fault::Trap;

use super::builtins::{domain_of, instance_of};

/// `memory.grow`: the old size in pages, or -1.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn grow(ctx: *mut u8, memory: u32, delta: u64) -> i64 {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    let old = instance.memories[memory as usize].grow(delta);
    old.and_then(|pages| i64::try_from(pages).ok()).unwrap_or(-1)
}

/// `move_bytes`
///
/// # Safety
/// Both ranges are accessible. They may overlap. Where other threads store to a shared memory the bytes are any of
/// theirs, as the threads proposal has it.
pub(super) unsafe extern "C" fn move_bytes(_record: *mut u8, to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise: compiled code has compared the ranges with the lengths of their memories.
    unsafe { ptr::copy(from, to, bytes) };
}

/// `fill_bytes`
///
/// # Safety
/// As [`move_bytes`].
pub(super) unsafe extern "C" fn fill_bytes(_record: *mut u8, to: *mut u8, byte: u32, bytes: usize) {
    // SAFETY: as above.
    unsafe { ptr::write_bytes(to, byte as u8, bytes) };
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
    0
}

/// `data.drop`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn data_drop(ctx: *mut u8, segment: u32) {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    instance.dropped_data[segment as usize] = true;
}

#[cold]
fn out_of_bounds(ctx: *mut u8) -> u32 {
    // SAFETY: the module's contract.
    unsafe { domain_of(ctx) }.leave(Trap::MemoryOutOfBounds)
}
