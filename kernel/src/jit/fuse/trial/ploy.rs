//! What a hostile guest's allocator does instead of allocating.

use abi::fault::Trap;
use abi::sample::Sampler;

use super::rig::{allocate, call_as, guests_of};
use crate::domain::Domain;

/// What `realloc` does when it is called.
#[derive(Clone, Copy, Debug)]
pub enum Ploy {
    /// Allocates.
    Honest,
    /// Grows the memory by some bytes first.
    Grow(u32),
    /// Returns this pointer.
    Lie(u32),
    /// Returns a pointer this far before the memory's end.
    Edge(u32),
    /// Returns what it returned the last time.
    Again,
    /// Traps.
    Trap,
    /// Calls the adapter that is at work, as the process that may not call out now.
    Reenter,
}

impl Ploy {
    /// One of them.
    pub fn any(sampler: &mut Sampler<'_>) -> Ploy {
        match sampler.below(12) {
            0..=2 => Ploy::Honest,
            3 => Ploy::Grow(1 << sampler.below(13)),
            4 => Ploy::Lie(sampler.below(256)),
            5 => Ploy::Lie(u32::MAX - sampler.below(16)),
            6 => Ploy::Lie(1 << sampler.below(32)),
            7 => Ploy::Edge(sampler.below(64)),
            8 => Ploy::Edge(0),
            9 => Ploy::Again,
            10 => Ploy::Trap,
            _ => Ploy::Reenter,
        }
    }
}

/// `realloc` as an adapter calls it: the next ploy of the process.
///
/// # Panics
/// If the call should have ended with an earlier one.
pub fn carried_out(
    domain: &mut Domain,
    process: usize,
    old: [u32; 2],
    align: u32,
    bytes: u32,
) -> Result<u32, Trap> {
    let guests = guests_of(domain);
    assert_eq!(guests.due, None, "the call goes on after this trap");
    let memory = guests.memories[process].clone();
    let end = u32::try_from(memory.memory.bytes()).unwrap_or(u32::MAX);
    let last = guests.grants[process].last().map_or(8, |grant| grant.start as u32);
    let honest = |domain: &mut Domain| {
        let result = allocate(domain, process, old, align, bytes);
        guests_of(domain).due = result.clone().err();
        result
    };
    match guests.ploys[process].pop_front() {
        None | Some(Ploy::Honest) => honest(domain),
        // The callee cannot reach the adapter: linking refuses calls into who is on the stack.
        Some(Ploy::Reenter) if process == 1 => honest(domain),
        Some(Ploy::Grow(more)) => {
            // A memory that is as large as it may be stays so.
            let _ = domain.memory_grow(&memory, u64::from(more));
            honest(domain)
        }
        Some(Ploy::Lie(pointer)) => Ok(lied(domain, process, pointer, align, bytes)),
        Some(Ploy::Edge(before)) => Ok(lied(domain, process, end.saturating_sub(before), align, bytes)),
        Some(Ploy::Again) => Ok(lied(domain, process, last, align, bytes)),
        Some(Ploy::Trap) => Err(ends(domain, Trap::Unreachable)),
        Some(Ploy::Reenter) => {
            let adapter = guests.adapter.expect("the adapter that is at work");
            let trap =
                call_as(domain, process as u32, adapter, &[0; 64]).expect_err("it may not call out").trap;
            assert_eq!(trap, Trap::CannotLeave, "who allocates may not call out");
            Err(ends(domain, trap))
        }
    }
}

/// Notes what a pointer that was not allocated must lead to (CanonicalABI.md, `reallocate` and its callers).
fn lied(domain: &mut Domain, process: usize, pointer: u32, align: u32, bytes: u32) -> u32 {
    let guests = guests_of(domain);
    let memory = guests.memories[process].memory.bytes() as u64;
    let end = u64::from(pointer) + u64::from(bytes);
    if !pointer.is_multiple_of(align) {
        guests.due = Some(Trap::ReallocUnaligned { pointer: u64::from(pointer), align });
    } else if end > memory {
        let (pointer, bytes) = (u64::from(pointer), u64::from(bytes));
        guests.due = Some(Trap::ReallocOutOfBounds { pointer, bytes, memory });
    } else {
        guests.overlapping = true;
        guests.grants[process].push(u64::from(pointer)..end);
    }
    pointer
}

fn ends(domain: &mut Domain, trap: Trap) -> Trap {
    guests_of(domain).due = Some(trap.clone());
    trap
}
