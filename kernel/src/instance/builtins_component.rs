//! Component-level built-ins: the component model's side of the domain does the work ([`ComponentHooks`]),
//! but for those that move bytes.
//!
//! All functions that compiled code calls have one contract: called by adapters and host stubs, with the
//! `VmDomain` that they got, and with byte ranges that they checked against the memories that they are in.

use std::{ptr, slice};

use abi::fault::Trap;
use abi::text::{Done, Step};

use super::builtins::domain_of_record;
use super::builtins_memory::PIECE_BYTES;
use crate::domain::Domain;
use crate::domain::upcalls::ComponentHooks;
use crate::sched::park::{checkpoint, checkpoint_of_call};

/// Runs `work` and says how it went: a value of 32 bits, or -1 with a trap pending.
fn value(
    record: *mut u8,
    work: impl FnOnce(&'static dyn ComponentHooks, &mut Domain) -> Result<u32, Trap>,
) -> i64 {
    // SAFETY: the module's contract.
    let domain = unsafe { domain_of_record(record) };
    match domain.with_hooks(work) {
        Ok(value) => i64::from(value),
        Err(trap) => {
            domain.leave(trap);
            -1
        }
    }
}

/// The same without a value: a status.
fn status(
    record: *mut u8,
    work: impl FnOnce(&'static dyn ComponentHooks, &mut Domain) -> Result<(), Trap>,
) -> u32 {
    u32::from(value(record, |hooks, domain| work(hooks, domain).map(|()| 0)) < 0)
}

/// `host_call`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn host_call(record: *mut u8, import: u32, values: *mut u64) -> u32 {
    // SAFETY: the module's contract.
    let domain = unsafe { domain_of_record(record) };
    let result = domain.with_hooks(|hooks, domain| hooks.host_call(domain, import, values));
    // A trap is a large value: only when there is one is it moved.
    match &result {
        Ok(()) => match checkpoint_of_call() {
            Ok(()) => 0,
            Err(trap) => domain.leave(trap),
        },
        Err(_) => result.map_or_else(|trap| domain.leave(trap), |()| 0),
    }
}

/// `resource_new`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn resource_new(record: *mut u8, process: u32, ty: u32, rep: u32) -> i64 {
    value(record, |hooks, domain| hooks.resource_new(domain, process, ty, rep))
}

/// `resource_rep`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn resource_rep(record: *mut u8, process: u32, ty: u32, handle: u32) -> i64 {
    value(record, |hooks, domain| hooks.resource_rep(domain, process, ty, handle))
}

/// `resource_drop`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn resource_drop(record: *mut u8, process: u32, ty: u32, handle: u32) -> u32 {
    status(record, |hooks, domain| hooks.resource_drop(domain, process, ty, handle))
}

/// `transfer_own`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn transfer_own(
    record: *mut u8,
    from: u32,
    to: u32,
    ty: u32,
    handle: u32,
) -> i64 {
    value(record, |hooks, domain| hooks.transfer_own(domain, from, to, ty, handle))
}

/// `transfer_borrow`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn transfer_borrow(
    record: *mut u8,
    from: u32,
    to: u32,
    ty: u32,
    handle: u32,
) -> i64 {
    value(record, |hooks, domain| hooks.transfer_borrow(domain, from, to, ty, handle))
}

/// `scope_enter`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn scope_enter(record: *mut u8, callee: u32) -> u32 {
    status(record, |hooks, domain| hooks.scope_enter(domain, callee))
}

/// `scope_exit`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn scope_exit(record: *mut u8) -> u32 {
    status(record, |hooks, domain| hooks.scope_exit(domain))
}

/// `abi_trap`: leaves that trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn abi_trap(record: *mut u8, why: u32, a: u64, b: u64, c: u64) {
    // SAFETY: the module's contract.
    let domain = unsafe { domain_of_record(record) };
    let trap = domain.with_hooks(|hooks, domain| hooks.abi_trap(domain, why, [a, b, c]));
    domain.leave(trap);
}

/// `refuse`: leaves the trap of a function that may not be called.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn refuse(record: *mut u8, adapter: u32) {
    // SAFETY: the module's contract.
    let domain = unsafe { domain_of_record(record) };
    let trap = domain.with_hooks(|hooks, domain| hooks.refuse(domain, adapter));
    domain.leave(trap);
}

/// `tap_begin`
///
/// # Safety
/// The module's contract; there are `count` slots at `params`.
pub(super) unsafe extern "C" fn tap_begin(record: *mut u8, adapter: u32, params: *const u64, count: u32) {
    // SAFETY: the module's contract.
    let (domain, params) =
        unsafe { (domain_of_record(record), slice::from_raw_parts(params, count as usize)) };
    domain.with_hooks(|hooks, domain| hooks.tap_begin(domain, adapter, params));
}

/// `tap_end`
///
/// # Safety
/// The module's contract; there are `count` slots at `params` and `returned` at `results`.
pub(super) unsafe extern "C" fn tap_end(
    record: *mut u8,
    adapter: u32,
    params: *const u64,
    count: u32,
    results: *const u64,
    returned: u32,
) {
    // SAFETY: the module's contract.
    let (domain, params, results) = unsafe {
        let params = slice::from_raw_parts(params, count as usize);
        (domain_of_record(record), params, slice::from_raw_parts(results, returned as usize))
    };
    domain.with_hooks(|hooks, domain| hooks.tap_end(domain, adapter, params, results));
}

/// `transcode`: bytes read << 32 | bytes written, or -1 with a trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn transcode(
    record: *mut u8,
    step: u32,
    from: *const u8,
    from_bytes: usize,
    to: *mut u8,
    to_bytes: usize,
) -> i64 {
    let step = Step::ALL[step as usize];
    // SAFETY: the module's contract. Two ranges of one memory may overlap, if a `realloc` says so: then the
    // step reads a copy, so that nothing changes under it.
    let result = unsafe {
        let overlap = (from as usize) < to as usize + to_bytes && (to as usize) < from as usize + from_bytes;
        let (from, to) = (nothing_if(from_bytes, from.cast_mut()), nothing_if(to_bytes, to));
        let source = slice::from_raw_parts(from, from_bytes);
        if overlap {
            let copy = source.to_vec();
            in_pieces(step, &copy, slice::from_raw_parts_mut(to, to_bytes))
        } else {
            in_pieces(step, source, slice::from_raw_parts_mut(to, to_bytes))
        }
    };
    match result.and_then(|done| checkpoint().map(|()| done)) {
        Ok(done) => ((done.read as i64) << 32) | done.written as i64,
        Err(trap) => value(record, |_, _| Err(trap)),
    }
}

/// Runs a step, and lets others run now and then.
fn in_pieces(step: Step, source: &[u8], target: &mut [u8]) -> Result<Done, Trap> {
    let mut done = Done::default();
    loop {
        let rest = &source[done.read as usize..];
        let piece = &rest[..step.piece(rest, PIECE_BYTES)];
        let Done { read, written } = step.run(piece, &mut target[done.written as usize..])?;
        done = Done { read: done.read + read, written: done.written + written };
        if read as usize != piece.len() || piece.len() == rest.len() {
            return Ok(done);
        }
        checkpoint()?;
    }
}

/// Where no bytes are there may be no address either, which a slice must have.
fn nothing_if(bytes: usize, address: *mut u8) -> *mut u8 {
    if bytes == 0 { ptr::dangling_mut() } else { address }
}
