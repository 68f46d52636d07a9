//! Built-ins of the threads proposal: waiting on an address, and waking who waits.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and indices that the validator checked.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use abi::fault::Trap;

use super::builtins::{domain_of, instance_of};
use crate::mem::parking;

/// `memory.atomic.notify`: how many threads were woken, or -1 with a trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn notify(ctx: *mut u8, memory: u32, at: u64, count: u32) -> i64 {
    // SAFETY: the module's contract.
    let memory = &unsafe { instance_of(ctx) }.memories[memory as usize];
    match place(memory.check(at, 4), at, 4) {
        // Nobody can wait on an unshared memory.
        Ok(_) if !memory.ty().shared => 0,
        Ok(address) => i64::from(parking::notify(address as usize, count)),
        Err(trap) => pending(ctx, trap),
    }
}

/// `memory.atomic.wait32`: 0, 1 or 2, or -1 with a trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn wait32(
    ctx: *mut u8,
    memory: u32,
    at: u64,
    expected: u32,
    timeout_ns: i64,
) -> i64 {
    // SAFETY: the module's contract.
    let memory = &unsafe { instance_of(ctx) }.memories[memory as usize];
    match place(memory.check(at, 4), at, 4) {
        Ok(_) if !memory.ty().shared => pending(ctx, Trap::ExpectedShared),
        Ok(address) => {
            // SAFETY: inside the memory and aligned, as was just checked.
            let value = unsafe { AtomicU32::from_ptr(address.cast()) };
            wait(address, timeout_ns, || value.load(SeqCst) == expected)
        }
        Err(trap) => pending(ctx, trap),
    }
}

/// `memory.atomic.wait64`: 0, 1 or 2, or -1 with a trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn wait64(
    ctx: *mut u8,
    memory: u32,
    at: u64,
    expected: u64,
    timeout_ns: i64,
) -> i64 {
    // SAFETY: the module's contract.
    let memory = &unsafe { instance_of(ctx) }.memories[memory as usize];
    match place(memory.check(at, 8), at, 8) {
        Ok(_) if !memory.ty().shared => pending(ctx, Trap::ExpectedShared),
        Ok(address) => {
            // SAFETY: inside the memory and aligned, as was just checked.
            let value = unsafe { AtomicU64::from_ptr(address.cast()) };
            wait(address, timeout_ns, || value.load(SeqCst) == expected)
        }
        Err(trap) => pending(ctx, trap),
    }
}

fn wait(address: *mut u8, timeout_ns: i64, is_expected: impl FnOnce() -> bool) -> i64 {
    let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
    parking::wait(address as usize, timeout, is_expected) as i64
}

fn place(address: Option<*mut u8>, at: u64, align: u64) -> Result<*mut u8, Trap> {
    if !at.is_multiple_of(align) {
        return Err(Trap::UnalignedAtomic);
    }
    address.ok_or(Trap::MemoryOutOfBounds)
}

fn pending(ctx: *mut u8, trap: Trap) -> i64 {
    // SAFETY: the module's contract.
    unsafe { domain_of(ctx) }.leave(trap);
    -1
}
