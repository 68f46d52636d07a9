//! Parameters and results of a function that the guest imports: flat, or through a pointer when there are more than
//! the limits allow (CanonicalABI.md, `lift_flat_values` and `lower_flat_values`).

use super::{Lifting, Typed};
use crate::fault::Trap;
use crate::limits::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use crate::side::Side;

/// The most core parameters that a lowered function has: the flat ones, or one pointer; and the result pointer.
pub const MAX_CORE_PARAMS: usize = MAX_FLAT_PARAMS + 1;

/// How many core parameters a lowered function with these parameters and this result has.
#[must_use]
pub const fn core_params<P: Typed, R: Typed>() -> usize {
    param_slots::<P>() + if R::FLAT > MAX_FLAT_RESULTS { 1 } else { 0 }
}

/// How many core results a lowered function with this result has.
#[must_use]
pub const fn core_results<R: Typed>() -> usize {
    if R::FLAT > MAX_FLAT_RESULTS { 0 } else { R::FLAT }
}

const fn param_slots<P: Typed>() -> usize {
    if P::FLAT > MAX_FLAT_PARAMS { 1 } else { P::FLAT }
}

/// Lifts the parameters of a call, a tuple, from its core parameters.
///
/// # Errors
/// A pointer that is misaligned or out of bounds, or what is no value of its type.
pub fn lift_params<P: Typed>(side: &mut dyn Side, core: &[u64]) -> Result<P, Trap> {
    let mut from = Lifting::new(side);
    if P::FLAT <= MAX_FLAT_PARAMS {
        return P::lift_flat(&mut from, core);
    }
    let pointer = core[0] as u32;
    from.side().check("parameters", pointer, P::LAYOUT)?;
    let bytes = from.side().bytes("parameters", pointer, P::LAYOUT.size)?.to_vec();
    P::lift(&mut from, &bytes)
}

/// Lowers the result of a call whose core parameters were `core`; gives the core result if there is one.
///
/// # Errors
/// A result pointer that is misaligned or out of bounds, a trap in `realloc`, or a full handle table.
pub fn lower_result<P: Typed, R: Typed>(
    side: &mut dyn Side,
    core: &[u64],
    result: &R,
) -> Result<Option<u64>, Trap> {
    if R::FLAT <= MAX_FLAT_RESULTS {
        let mut slots = [0; MAX_FLAT_RESULTS];
        result.lower_flat(side, &mut slots[..R::FLAT])?;
        return Ok(slots[..R::FLAT].first().copied());
    }
    let pointer = core[param_slots::<P>()] as u32;
    side.check("results", pointer, R::LAYOUT)?;
    result.lower(side, pointer)?;
    Ok(None)
}
