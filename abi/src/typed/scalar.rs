//! Integers, floats, `bool`, `char` (CanonicalABI.md, "Loading": `load_int`, `convert_int_to_bool`, `decode_i32_as_float`,
//! `convert_i32_to_char`).

use super::{Lifting, Typed, leading, set_slot, slot};
use crate::fault::Trap;
use crate::layout::Layout;
use crate::lift::{canonical32, canonical64};
use crate::side::Side;
use crate::types::ValType;

/// An integer: bits beyond its width are dropped when it is read from a slot.
macro_rules! integer {
    ($($rust:ident as $core:ident: $ty:ident),*) => {$(
        impl Typed for $rust {
            const LAYOUT: Layout = Layout::scalar(size_of::<$rust>() as u32);
            const FLAT: usize = 1;

            fn ty() -> ValType {
                ValType::$ty
            }

            #[inline]
            fn lift_flat(_: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
                Ok(slot(slots) as $rust)
            }

            fn lift(_: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
                Ok($rust::from_le_bytes(leading(bytes)))
            }

            #[inline]
            fn lower_flat(&self, _: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
                set_slot(slots, u64::from((*self as $core).cast_unsigned()));
                Ok(())
            }

            fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
                to.write(at, self.to_le_bytes())
            }
        }
    )*};
}

integer!(i8 as i32: S8, u16 as i32: U16, i16 as i32: S16, i32 as i32: S32, u32 as i32: U32);
integer!(i64 as i64: S64, u64 as i64: U64);

/// A float; any NaN becomes the canonical one, as lifting demands and lowering may.
macro_rules! float {
    ($($rust:ident as $bits:ident: $ty:ident, $canonical:ident);*) => {$(
        impl Typed for $rust {
            const LAYOUT: Layout = Layout::scalar(size_of::<$rust>() as u32);
            const FLAT: usize = 1;

            fn ty() -> ValType {
                ValType::$ty
            }

            #[inline]
            fn lift_flat(_: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
                Ok($canonical(<$rust>::from_bits(slot(slots) as $bits)))
            }

            fn lift(_: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
                Ok($canonical(<$rust>::from_le_bytes(leading(bytes))))
            }

            #[inline]
            fn lower_flat(&self, _: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
                set_slot(slots, $canonical(*self).to_bits().into());
                Ok(())
            }

            fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
                to.write(at, $canonical(*self).to_le_bytes())
            }
        }
    )*};
}

float!(f32 as u32: F32, canonical32; f64 as u64: F64, canonical64);

impl Typed for u8 {
    const LAYOUT: Layout = Layout::scalar(1);
    const FLAT: usize = 1;

    fn ty() -> ValType {
        ValType::U8
    }

    #[inline]
    fn lift_flat(_: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        Ok(slot(slots) as u8)
    }

    fn lift(_: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        Ok(u8::from_le_bytes(leading(bytes)))
    }

    #[inline]
    fn lower_flat(&self, _: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        set_slot(slots, (*self).into());
        Ok(())
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        to.write(at, [*self])
    }

    /// The copy is the list.
    fn lift_list(_: &mut Lifting<'_>, bytes: Vec<u8>) -> Result<Vec<Self>, Trap> {
        Ok(bytes)
    }

    fn lower_list(elements: &[Self], to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        let bytes =
            u32::try_from(elements.len()).expect("the list was allocated, so its length is in bounds");
        to.region(at, bytes)?.copy_from_slice(elements);
        Ok(())
    }
}

impl Typed for bool {
    const LAYOUT: Layout = Layout::scalar(1);
    const FLAT: usize = 1;

    fn ty() -> ValType {
        ValType::Bool
    }

    #[inline]
    fn lift_flat(_: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        Ok(slot(slots) as u32 != 0)
    }

    fn lift(_: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        Ok(leading::<1>(bytes) != [0])
    }

    #[inline]
    fn lower_flat(&self, _: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        set_slot(slots, (*self).into());
        Ok(())
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        to.write(at, [(*self).into()])
    }
}

impl Typed for char {
    const LAYOUT: Layout = Layout::scalar(4);
    const FLAT: usize = 1;

    fn ty() -> ValType {
        ValType::Char
    }

    #[inline]
    fn lift_flat(_: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        checked_char(slot(slots) as u32)
    }

    fn lift(_: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        checked_char(u32::from_le_bytes(leading(bytes)))
    }

    #[inline]
    fn lower_flat(&self, _: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        set_slot(slots, u32::from(*self).into());
        Ok(())
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        to.write(at, u32::from(*self).to_le_bytes())
    }
}

fn checked_char(bits: u32) -> Result<char, Trap> {
    char::from_u32(bits).ok_or(Trap::InvalidChar(bits))
}
