//! Parameters and result of a function that a guest exports: flat, or through a pointer when there are more than the
//! limits allow (CanonicalABI.md, `lower_flat_values` and `lift_flat_values`).

use super::{Lifting, Typed};
use crate::fault::Trap;
use crate::limits::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use crate::side::Side;
use crate::types::{FuncType, ValType};

/// Whether parameters `P`, a tuple, and the result `R` are those of a function.
#[must_use]
pub fn fits<P: Typed, R: Typed>(ty: &FuncType) -> bool {
    let ValType::Tuple(params) = P::ty() else { return false };
    ty.params.iter().map(|(_, ty)| ty).eq(params.iter()) && ty.result == R::payload()
}

/// How many core results a lifted function with this result has.
#[must_use]
pub const fn core_results<R: Typed>() -> usize {
    if R::FLAT == 0 { 0 } else { 1 }
}

/// Lowers the parameters of a call, a tuple, into `core`, which has room for as many as are flat, at least 1; gives how
/// many core parameters there are.
///
/// # Errors
/// The guest's `realloc` failed, or its handle table is full.
pub fn lower_params<P: Typed>(side: &mut dyn Side, params: &P, core: &mut [u64]) -> Result<usize, Trap> {
    if P::FLAT <= MAX_FLAT_PARAMS {
        params.lower_flat(side, &mut core[..P::FLAT])?;
        return Ok(P::FLAT);
    }
    let pointer = side.allocate(0, 0, P::LAYOUT.align, P::LAYOUT.size)?;
    params.lower(side, pointer)?;
    core[0] = u64::from(pointer);
    Ok(1)
}

/// Lifts the result of a call from its core results.
///
/// # Errors
/// A pointer that is misaligned or out of bounds, or what is no value of its type.
pub fn lift_result<R: Typed>(side: &mut dyn Side, core: &[u64]) -> Result<R, Trap> {
    let mut from = Lifting::new(side);
    if R::FLAT <= MAX_FLAT_RESULTS {
        return R::lift_flat(&mut from, core);
    }
    let pointer = core[0] as u32;
    from.side().check("results", pointer, R::LAYOUT)?;
    let bytes = from.side().bytes("results", pointer, R::LAYOUT.size)?.to_vec();
    R::lift(&mut from, &bytes)
}
