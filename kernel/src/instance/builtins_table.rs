//! Built-ins of tables. Indices and lengths are the guest's: each is checked here.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and indices that the validator checked.

use abi::fault::Trap;

use super::builtins::{domain_of, instance_of};

/// `table.grow`: the old length, or -1.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn grow(ctx: *mut u8, table: u32, delta: u64, element: usize) -> i64 {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    let (table, process) = (instance.tables[table as usize], instance.process);
    // SAFETY: the module's contract; the instance is not used any more.
    if !unsafe { domain_of(ctx) }.may_hold_elements(process, delta) {
        return -1;
    }
    // SAFETY: the table is the domain's, and nothing else uses it now.
    let table = unsafe { &mut *table };
    table.grow(delta, element).and_then(|len| i64::try_from(len).ok()).unwrap_or(-1)
}

/// `table.fill`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn fill(ctx: *mut u8, table: u32, at: u64, element: usize, count: u64) -> u32 {
    // SAFETY: the module's contract. The table is the domain's, and nothing else uses it now.
    let table = unsafe { &mut *instance_of(ctx).tables[table as usize] };
    status(ctx, table.fill(at, element, count))
}

/// `table.copy`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn copy(
    ctx: *mut u8,
    to_table: u32,
    from_table: u32,
    to: u64,
    from: u64,
    count: u64,
) -> u32 {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    let (target, source) = (instance.tables[to_table as usize], instance.tables[from_table as usize]);
    if target == source {
        // SAFETY: the table is the domain's, and nothing else uses it now.
        return status(ctx, unsafe { &mut *target }.copy_within(to, from, count));
    }
    // SAFETY: two tables of the domain, and nothing else uses them now.
    let (target, source) = unsafe { (&mut *target, &mut *source) };
    status(ctx, target.copy_from(to, source, from, count))
}

/// `table.init`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn init(
    ctx: *mut u8,
    table: u32,
    segment: u32,
    to: u64,
    from: u32,
    count: u32,
) -> u32 {
    // SAFETY: the module's contract.
    let instance = unsafe { &*instance_of(ctx) };
    let table = instance.tables[table as usize];
    // SAFETY: the table is the domain's, and nothing else uses it now: the segment is no table.
    let table = unsafe { &mut *table };
    if u64::from(from) + u64::from(count) > instance.element_len(segment) as u64 {
        return status(ctx, None);
    }
    let word = |item| instance.element(segment, from as usize + item);
    status(ctx, table.init(to, u64::from(count), word))
}

/// `elem.drop`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn elem_drop(ctx: *mut u8, segment: u32) {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    instance.dropped_elements[segment as usize] = true;
}

fn status(ctx: *mut u8, done: Option<()>) -> u32 {
    match done {
        Some(()) => 0,
        // SAFETY: the module's contract.
        None => unsafe { domain_of(ctx) }.leave(Trap::TableOutOfBounds),
    }
}
