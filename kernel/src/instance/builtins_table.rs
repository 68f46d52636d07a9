//! Built-ins of tables. Indices and lengths are the guest's: each is checked here.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and indices that the validator checked.

use abi::fault::Trap;

use super::builtins::{domain_of, instance_of};
use crate::sched::park::checkpoint;

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
    let old = table.len();
    if !table.may_grow(delta) {
        return -1;
    }
    // What a condemned guest's table looks like does not matter any more.
    let grown = in_pieces(delta, |_, count| table.grow(count, element).map(|_| ()));
    if grown.is_some() { i64::try_from(old).unwrap_or(-1) } else { -1 }
}

/// `table.fill`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn fill(ctx: *mut u8, table: u32, at: u64, element: usize, count: u64) -> u32 {
    // SAFETY: the module's contract. The table is the domain's, and nothing else uses it now.
    let table = unsafe { &mut *instance_of(ctx).tables[table as usize] };
    let filled = table
        .check(at, count)
        .and_then(|()| in_pieces(count, |done, count| table.fill(at + done, element, count)));
    status(ctx, filled)
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
        let table = unsafe { &mut *target };
        let copied = table.check(to, count).and(table.check(from, count)).and_then(|()| {
            in_pieces(count, |done, piece| {
                // Away from the end that overlaps.
                let at = if to <= from { done } else { count - done - piece };
                table.copy_within(to + at, from + at, piece)
            })
        });
        return status(ctx, copied);
    }
    // SAFETY: two tables of the domain, and nothing else uses them now.
    let (target, source) = unsafe { (&mut *target, &mut *source) };
    let copied = target.check(to, count).and(source.check(from, count)).and_then(|()| {
        in_pieces(count, |done, count| target.copy_from(to + done, source, from + done, count))
    });
    status(ctx, copied)
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
    let filled = table.check(to, u64::from(count)).and_then(|()| {
        in_pieces(u64::from(count), |done, count| {
            let first = from as usize + done as usize;
            table.init(to + done, count, |item| instance.element(segment, first + item))
        })
    });
    status(ctx, filled)
}

/// `elem.drop`
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn elem_drop(ctx: *mut u8, segment: u32) {
    // SAFETY: the module's contract.
    let instance = unsafe { instance_of(ctx) };
    instance.drop_elements(segment);
}

/// Elements that are copied or filled between two looks at whether others are to run.
const PIECE: u64 = 1 << 17;

/// Does `work` for so many elements, some at a time: from which on, and how many. Ends early if nobody will see the rest.
fn in_pieces(count: u64, mut work: impl FnMut(u64, u64) -> Option<()>) -> Option<()> {
    let mut done = 0;
    while done < count {
        let piece = (count - done).min(PIECE);
        work(done, piece)?;
        done += piece;
        if done < count && checkpoint().is_err() {
            break;
        }
    }
    Some(())
}

fn status(ctx: *mut u8, done: Option<()>) -> u32 {
    match done {
        // Who is condemned ends here; its verdict is the trap.
        Some(()) => u32::from(checkpoint().is_err()),
        // SAFETY: the module's contract.
        None => unsafe { domain_of(ctx) }.leave(Trap::TableOutOfBounds),
    }
}
