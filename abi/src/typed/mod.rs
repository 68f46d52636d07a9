//! Rust types that cross the canonical-ABI boundary without a [`crate::value::Value`] in between.
//!
//! [`Typed`] is implemented here for the types that Rust and WIT share; code generated from WIT implements it for
//! records, variants, enums and flags. Sizes, offsets and flat counts are constants of the types, folded by the
//! compiler. Each kind has one leaf here; nothing generated checks a pointer, a discriminant or a length by itself.
//!
//! Lifting first copies the bytes out of the guest's memory, checked once per list or tuple, then reads the copy:
//! no guest code runs while a value is lifted, so both orders give the same. Lowering writes in place, because a
//! guest's `realloc` runs in between and may see what was written before it.
//!
//! - [`scalar`]: integers, floats, `bool`, `char`
//! - [`sequence`]: `string` and `list`
//! - [`product`]: records and tuples, field after field
//! - [`sum`]: variants, enums, `option`, `result`; flags
//! - [`resource`]: `own` and `borrow`
//! - [`imported`]: parameters and results of a whole function that the host serves; [`exported`]: that it calls

pub mod exported;
pub mod imported;
pub mod product;
pub mod resource;
pub mod scalar;
pub mod sequence;
pub mod sum;

use crate::fault::Trap;
use crate::layout::Layout;
use crate::limits::MAX_VALUE_BYTES;
use crate::side::Side;
use crate::types::ValType;

pub use resource::{Borrow, Own, Resource};

/// A Rust type with a component-level type and a canonical ABI.
///
/// In memory a value is [`Layout`]`::size` bytes at a multiple of `align`. Flat it is `FLAT` slots of 64 bits; a
/// narrower core value is in the low bits, the rest is ignored when read and zero when written, so the joined types
/// of variant payloads need no conversion (CanonicalABI.md, "Flat Lifting").
pub trait Typed: Sized {
    /// Size and alignment in linear memory.
    const LAYOUT: Layout;
    /// How many core values it flattens to.
    const FLAT: usize;

    /// The component-level type.
    fn ty() -> ValType;

    /// The same as the payload of a case or the result of a function: none for `()`.
    #[must_use]
    fn payload() -> Option<ValType> {
        Some(Self::ty())
    }

    /// Reads a value from `FLAT` slots.
    ///
    /// # Errors
    /// What the guest passed is no value of the type.
    fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap>;

    /// Reads a value from at least `LAYOUT.size` bytes copied out of the memory.
    ///
    /// # Errors
    /// What the guest stored is no value of the type.
    fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap>;

    /// Writes a value to `FLAT` slots.
    ///
    /// # Errors
    /// The guest's `realloc` failed, or its handle table is full.
    fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap>;

    /// Writes a value to memory at `at`, which is aligned and has `LAYOUT.size` bytes.
    ///
    /// # Errors
    /// The guest's `realloc` failed, or its handle table is full.
    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap>;

    /// Reads list elements from bytes copied out of the memory, a multiple of `LAYOUT.size`.
    ///
    /// # Errors
    /// As [`Typed::lift`], for any element.
    fn lift_list(from: &mut Lifting<'_>, bytes: Vec<u8>) -> Result<Vec<Self>, Trap> {
        let count = bytes.len() / (Self::LAYOUT.size.max(1) as usize);
        from.spend(count.saturating_mul(size_of::<Self>()))?;
        let elements = bytes.chunks_exact(Self::LAYOUT.size.max(1) as usize);
        elements.map(|element| Self::lift(from, element)).collect()
    }

    /// Writes list elements to memory at `at`, which is aligned and has room.
    ///
    /// # Errors
    /// As [`Typed::lower`], for any element.
    fn lower_list(elements: &[Self], to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        let mut next = at;
        for element in elements {
            element.lower(to, next)?;
            next = next.saturating_add(Self::LAYOUT.size);
        }
        Ok(())
    }
}

/// What lifting reads from, and how much it has copied.
///
/// The strings of a list may all name the same bytes, so what a call copies is not bounded by the guest's memory.
pub struct Lifting<'s> {
    side: &'s mut dyn Side,
    bytes: usize,
}

impl<'s> Lifting<'s> {
    /// Begins to lift the values of one call.
    #[inline]
    pub fn new(side: &'s mut dyn Side) -> Lifting<'s> {
        Lifting { side, bytes: 0 }
    }

    /// The side that is read.
    pub fn side(&mut self) -> &mut dyn Side {
        self.side
    }

    /// Counts host memory that lifted values take.
    ///
    /// # Errors
    /// More than [`MAX_VALUE_BYTES`] in one call.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Trap> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_VALUE_BYTES {
            return Err(Trap::Limit {
                limit: "bytes of lifted values",
                value: self.bytes as u64,
                allowed: MAX_VALUE_BYTES as u64,
            });
        }
        Ok(())
    }
}

/// The first `N` bytes of a value's bytes.
#[inline]
pub(crate) fn leading<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a value is given at least the bytes of its layout")
}

/// The first slot of a value's slots.
#[inline]
pub(crate) fn slot(slots: &[u64]) -> u64 {
    *slots.first().expect("a value is given as many slots as it flattens to")
}

/// Writes the first slot of a value's slots.
#[inline]
pub(crate) fn set_slot(slots: &mut [u64], value: u64) {
    *slots.first_mut().expect("a value is given as many slots as it flattens to") = value;
}
