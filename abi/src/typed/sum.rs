//! Variants, enums, `option` and `result`: a discriminant, then the payload of its case; and `flags`.
//!
//! Generated code matches on the case that these functions checked.

use super::{Lifting, Typed, leading, set_slot, slot};
use crate::fault::Trap;
use crate::layout::{Cases, Layout};
use crate::side::Side;
use crate::types::{ResultType, ValType};

/// The largest of the payloads' flat counts; 0 if there are none.
#[must_use]
pub const fn largest(flats: &[usize]) -> usize {
    let mut largest = 0;
    let mut i = 0;
    while i < flats.len() {
        largest = if flats[i] > largest { flats[i] } else { largest };
        i += 1;
    }
    largest
}

/// Reads a discriminant below `count` from slots and gives it with the slots of the payload.
///
/// # Errors
/// There is no such case.
pub fn case_of_slots(slots: &[u64], count: u32) -> Result<(u32, &[u64]), Trap> {
    Ok((checked_case(slot(slots) as u32, count)?, &slots[1..]))
}

/// Reads a discriminant from bytes and gives it with the bytes from the payload on.
///
/// # Errors
/// There is no such case.
pub fn case_of_bytes(bytes: &[u8], cases: Cases) -> Result<(u32, &[u8]), Trap> {
    let discriminant = match cases.discriminant {
        1 => leading::<1>(bytes)[0].into(),
        2 => u16::from_le_bytes(leading(bytes)).into(),
        _ => u32::from_le_bytes(leading(bytes)),
    };
    Ok((checked_case(discriminant, cases.count)?, &bytes[cases.payload as usize..]))
}

fn checked_case(discriminant: u32, cases: u32) -> Result<u32, Trap> {
    if discriminant < cases {
        Ok(discriminant)
    } else {
        Err(Trap::InvalidDiscriminant { discriminant, cases })
    }
}

/// Writes a case to slots: slots that its payload does not use are zero.
///
/// # Errors
/// As [`Typed::lower_flat`] of the payload.
pub fn case_to_slots<T: Typed>(
    to: &mut dyn Side,
    slots: &mut [u64],
    case: u32,
    payload: &T,
) -> Result<(), Trap> {
    slots.fill(0);
    set_slot(slots, case.into());
    payload.lower_flat(to, &mut slots[1..=T::FLAT])
}

/// Writes a case to memory at `at`.
///
/// # Errors
/// As [`Typed::lower`] of the payload.
pub fn case_to_memory<T: Typed>(
    to: &mut dyn Side,
    at: u32,
    cases: Cases,
    case: u32,
    payload: &T,
) -> Result<(), Trap> {
    to.region(at, cases.discriminant)?.copy_from_slice(&case.to_le_bytes()[..cases.discriminant as usize]);
    payload.lower(to, at.saturating_add(cases.payload))
}

/// Reads flags from a slot: bits that name no label are dropped.
#[must_use]
pub fn flags_of_slots(slots: &[u64], labels: u32) -> u32 {
    slot(slots) as u32 & mask(labels)
}

/// Reads flags from bytes: bits that name no label are dropped.
#[must_use]
pub fn flags_of_bytes(bytes: &[u8], labels: u32) -> u32 {
    let bits = match Layout::flags(labels).size {
        1 => leading::<1>(bytes)[0].into(),
        2 => u16::from_le_bytes(leading(bytes)).into(),
        _ => u32::from_le_bytes(leading(bytes)),
    };
    bits & mask(labels)
}

/// Writes flags to a slot.
pub fn flags_to_slots(slots: &mut [u64], bits: u32) {
    set_slot(slots, bits.into());
}

/// Writes flags to memory.
///
/// # Errors
/// The place is no longer in bounds.
pub fn flags_to_memory(to: &mut dyn Side, at: u32, labels: u32, bits: u32) -> Result<(), Trap> {
    let size = Layout::flags(labels).size;
    to.region(at, size)?.copy_from_slice(&bits.to_le_bytes()[..size as usize]);
    Ok(())
}

/// The bits that name labels, of which there are 1 to 32.
fn mask(labels: u32) -> u32 {
    u32::MAX >> (32 - labels.clamp(1, 32))
}

const fn option_cases<T: Typed>() -> Cases {
    Cases::new(2, &[T::LAYOUT])
}

impl<T: Typed> Typed for Option<T> {
    const LAYOUT: Layout = option_cases::<T>().layout;
    const FLAT: usize = 1 + T::FLAT;

    fn ty() -> ValType {
        ValType::Option(T::ty().into())
    }

    fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        match case_of_slots(slots, 2)? {
            (0, _) => Ok(None),
            (_, payload) => T::lift_flat(from, payload).map(Some),
        }
    }

    fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        match case_of_bytes(bytes, option_cases::<T>())? {
            (0, _) => Ok(None),
            (_, payload) => T::lift(from, payload).map(Some),
        }
    }

    fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        match self {
            None => case_to_slots(to, slots, 0, &()),
            Some(payload) => case_to_slots(to, slots, 1, payload),
        }
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        match self {
            None => case_to_memory(to, at, option_cases::<T>(), 0, &()),
            Some(payload) => case_to_memory(to, at, option_cases::<T>(), 1, payload),
        }
    }
}

const fn result_cases<T: Typed, E: Typed>() -> Cases {
    Cases::new(2, &[T::LAYOUT, E::LAYOUT])
}

impl<T: Typed, E: Typed> Typed for Result<T, E> {
    const LAYOUT: Layout = result_cases::<T, E>().layout;
    const FLAT: usize = 1 + largest(&[T::FLAT, E::FLAT]);

    fn ty() -> ValType {
        ValType::Result(ResultType { ok: T::payload(), err: E::payload() }.into())
    }

    fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        match case_of_slots(slots, 2)? {
            (0, payload) => T::lift_flat(from, payload).map(Ok),
            (_, payload) => E::lift_flat(from, payload).map(Err),
        }
    }

    fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        match case_of_bytes(bytes, result_cases::<T, E>())? {
            (0, payload) => T::lift(from, payload).map(Ok),
            (_, payload) => E::lift(from, payload).map(Err),
        }
    }

    fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        match self {
            Ok(payload) => case_to_slots(to, slots, 0, payload),
            Err(payload) => case_to_slots(to, slots, 1, payload),
        }
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        match self {
            Ok(payload) => case_to_memory(to, at, result_cases::<T, E>(), 0, payload),
            Err(payload) => case_to_memory(to, at, result_cases::<T, E>(), 1, payload),
        }
    }
}
