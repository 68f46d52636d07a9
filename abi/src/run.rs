//! The interpreter: component values in and out of one side of a call, by their types.
//!
//! Slow and plain. It serves host functions, tools and exports called from outside, and it is the oracle that compiled
//! adapters are tested against. A core value is a `u64` slot here: `i32` and `f32` are its low half, so the `join` of a
//! variant's payloads costs nothing.
//!
//! Where the spec leaves a choice the deterministic profile decides: every NaN is the canonical one.

use crate::fault::Trap;
use crate::flat;
use crate::layout::Layout;
use crate::lift::Lift;
use crate::lower::Lower;
use crate::plan::Passing;
use crate::side::Side;
use crate::types::{FuncType, ValType};
use crate::value::Value;

/// Lifts the parameters of a call from its caller.
///
/// `core` holds at least the core parameters of [`Passing::lowered`].
///
/// # Errors
/// Whatever the spec traps for, or values too big for the host.
pub fn lift_params(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    core: &[u64],
) -> Result<Vec<Value>, Trap> {
    let types = ty.params.iter().map(|(_, ty)| ty);
    lift_all(side, "parameters", types, passing, core)
}

/// Lowers parameters into the side that is called; gives the core parameters of [`Passing::lifted`].
///
/// # Errors
/// Whatever the spec traps for, or values that are not of their types.
pub fn lower_params(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    values: &[Value],
) -> Result<Vec<u64>, Trap> {
    if values.len() != ty.params.len() {
        let (want, have) = (ty.params.len(), values.len());
        return Err(Trap::Host(format!("expected {want} arguments, got {have}")));
    }
    let pairs = ty.params.iter().map(|(_, ty)| ty).zip(values);
    let mut lower = Lower::new(side);
    match passing {
        Passing::Flat(_) => {
            let mut core = Vec::new();
            for (ty, value) in pairs {
                lower.flat(ty, value, &mut core)?;
            }
            Ok(core)
        }
        Passing::Memory(layout) => {
            let pointer = lower.side.allocate(0, 0, layout.align, layout.size)?;
            lower.tuple(pairs, pointer)?;
            Ok(vec![u64::from(pointer)])
        }
    }
}

/// Lifts the result of a call from the side that was called.
///
/// `core` holds what the core function returned.
///
/// # Errors
/// Whatever the spec traps for, or a value too big for the host.
pub fn lift_results(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    core: &[u64],
) -> Result<Option<Value>, Trap> {
    Ok(lift_all(side, "results", ty.result.iter(), passing, core)?.pop())
}

/// Lowers the result of a call into its caller.
///
/// `core` holds the core parameters that the caller passed, whose last is the pointer if results cross in memory; flat
/// results are written to it from index 0.
///
/// # Errors
/// Whatever the spec traps for, or a value that is not of its type.
pub fn lower_results(
    side: &mut dyn Side,
    ty: &FuncType,
    params: &Passing,
    results: &Passing,
    value: Option<&Value>,
    core: &mut [u64],
) -> Result<(), Trap> {
    if value.is_some() != ty.result.is_some() {
        return Err(Trap::Host("a result where there is none, or none where there is one".into()));
    }
    let pairs = ty.result.iter().zip(value);
    match results {
        Passing::Flat(_) => {
            let mut flat = Vec::new();
            for (ty, value) in pairs {
                Lower::new(side).flat(ty, value, &mut flat)?;
            }
            for (slot, value) in core.iter_mut().zip(flat) {
                *slot = value;
            }
            Ok(())
        }
        Passing::Memory(layout) => {
            let pointer = results_pointer(core, params)?;
            side.check("results", pointer, *layout)?;
            Lower::new(side).tuple(pairs, pointer)
        }
    }
}

/// Lifts one value from core values (`lift_flat`); `core` begins with its own.
///
/// # Errors
/// Whatever the spec traps for, or a value too big for the host.
pub fn lift_flat(side: &mut dyn Side, ty: &ValType, core: &[u64]) -> Result<Value, Trap> {
    Lift::new(side).flat(ty, core, &mut 0)
}

/// Lowers one value to core values (`lower_flat`).
///
/// # Errors
/// Whatever the spec traps for, or a value that is not of its type.
pub fn lower_flat(side: &mut dyn Side, ty: &ValType, value: &Value) -> Result<Vec<u64>, Trap> {
    let mut core = Vec::with_capacity(flat::flatten(ty).len());
    Lower::new(side).flat(ty, value, &mut core)?;
    Ok(core)
}

/// Lifts one value from memory (`load`); the pointer is checked.
///
/// # Errors
/// Whatever the spec traps for, or a value too big for the host.
pub fn load(side: &mut dyn Side, ty: &ValType, pointer: u32) -> Result<Value, Trap> {
    side.check("value", pointer, Layout::of(ty))?;
    Lift::new(side).load(ty, pointer)
}

/// Lowers one value into memory (`store`); the pointer is checked.
///
/// # Errors
/// Whatever the spec traps for, or a value that is not of its type.
pub fn store(side: &mut dyn Side, ty: &ValType, value: &Value, pointer: u32) -> Result<(), Trap> {
    side.check("value", pointer, Layout::of(ty))?;
    Lower::new(side).store(ty, value, pointer)
}

/// `lift_flat_values`
fn lift_all<'t>(
    side: &mut dyn Side,
    what: &'static str,
    types: impl Iterator<Item = &'t ValType>,
    passing: &Passing,
    core: &[u64],
) -> Result<Vec<Value>, Trap> {
    match passing {
        Passing::Flat(_) => {
            let (mut lift, mut at) = (Lift::new(side), 0);
            types.map(|ty| lift.flat(ty, core, &mut at)).collect()
        }
        Passing::Memory(layout) => {
            let pointer = pointer(core, 0)?;
            side.check(what, pointer, *layout)?;
            Lift::new(side).tuple(types, pointer)
        }
    }
}

/// Where the caller wants results that cross in memory: behind its core parameters, which are as `params` says.
pub(crate) fn results_pointer(core: &[u64], params: &Passing) -> Result<u32, Trap> {
    let slot = match params {
        Passing::Flat(flat) => flat.len(),
        Passing::Memory(_) => 1,
    };
    pointer(core, slot)
}

/// An `i32` core value that is a pointer.
pub(crate) fn pointer(core: &[u64], slot: usize) -> Result<u32, Trap> {
    let value = core.get(slot).ok_or(Trap::Unsupported("a call with too few core values"))?;
    Ok(*value as u32)
}
