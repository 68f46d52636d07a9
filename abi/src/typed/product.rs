//! Records and tuples: values one after another, each at the next multiple of its alignment.
//!
//! Generated code reads and writes a record through these cursors, field by field in declaration order.

use super::{Lifting, Typed};
use crate::fault::Trap;
use crate::layout::{Layout, align_to};
use crate::side::Side;
use crate::types::ValType;

/// Reads fields from slots.
pub struct SlotReader<'b> {
    slots: &'b [u64],
}

impl<'b> SlotReader<'b> {
    /// Begins at the first field.
    #[inline]
    #[must_use]
    pub fn new(slots: &'b [u64]) -> SlotReader<'b> {
        SlotReader { slots }
    }

    /// Reads the next field.
    ///
    /// # Errors
    /// As [`Typed::lift_flat`].
    #[inline]
    pub fn field<T: Typed>(&mut self, from: &mut Lifting<'_>) -> Result<T, Trap> {
        let (field, rest) = self.slots.split_at(T::FLAT);
        self.slots = rest;
        T::lift_flat(from, field)
    }
}

/// Reads fields from bytes copied out of memory.
pub struct ByteReader<'b> {
    bytes: &'b [u8],
    at: u32,
}

impl<'b> ByteReader<'b> {
    /// Begins at the first field.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> ByteReader<'b> {
        ByteReader { bytes, at: 0 }
    }

    /// Reads the next field.
    ///
    /// # Errors
    /// As [`Typed::lift`].
    #[inline]
    pub fn field<T: Typed>(&mut self, from: &mut Lifting<'_>) -> Result<T, Trap> {
        let at = align_to(self.at, T::LAYOUT.align);
        self.at = at + T::LAYOUT.size;
        T::lift(from, &self.bytes[at as usize..])
    }
}

/// Writes fields to slots.
pub struct SlotWriter<'b> {
    slots: &'b mut [u64],
}

impl<'b> SlotWriter<'b> {
    /// Begins at the first field.
    #[inline]
    pub fn new(slots: &'b mut [u64]) -> SlotWriter<'b> {
        SlotWriter { slots }
    }

    /// Writes the next field.
    ///
    /// # Errors
    /// As [`Typed::lower_flat`].
    #[inline]
    pub fn field<T: Typed>(&mut self, to: &mut dyn Side, value: &T) -> Result<(), Trap> {
        let (field, rest) = std::mem::take(&mut self.slots).split_at_mut(T::FLAT);
        self.slots = rest;
        value.lower_flat(to, field)
    }
}

/// Writes fields to memory.
pub struct ByteWriter {
    at: u32,
}

impl ByteWriter {
    /// Begins at the first field of a value at `at`, aligned as the value is.
    #[inline]
    #[must_use]
    pub fn new(at: u32) -> ByteWriter {
        ByteWriter { at }
    }

    /// Writes the next field.
    ///
    /// # Errors
    /// As [`Typed::lower`].
    #[inline]
    pub fn field<T: Typed>(&mut self, to: &mut dyn Side, value: &T) -> Result<(), Trap> {
        let at = align_to(self.at, T::LAYOUT.align);
        self.at = at.saturating_add(T::LAYOUT.size);
        value.lower(to, at)
    }
}

/// Nothing: no payload, no parameters, no result.
impl Typed for () {
    const LAYOUT: Layout = Layout::scalar(0);
    const FLAT: usize = 0;

    fn ty() -> ValType {
        ValType::Tuple([].into())
    }

    fn payload() -> Option<ValType> {
        None
    }

    #[inline]
    fn lift_flat(_: &mut Lifting<'_>, _: &[u64]) -> Result<Self, Trap> {
        Ok(())
    }

    fn lift(_: &mut Lifting<'_>, _: &[u8]) -> Result<Self, Trap> {
        Ok(())
    }

    #[inline]
    fn lower_flat(&self, _: &mut dyn Side, _: &mut [u64]) -> Result<(), Trap> {
        Ok(())
    }

    fn lower(&self, _: &mut dyn Side, _: u32) -> Result<(), Trap> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($name:ident)+) => {
        impl<$($name: Typed),+> Typed for ($($name,)+) {
            const LAYOUT: Layout = Layout::sequence(&[$($name::LAYOUT),+]);
            const FLAT: usize = 0 $(+ $name::FLAT)+;

            fn ty() -> ValType {
                ValType::Tuple([$($name::ty()),+].into())
            }

            #[inline]
            fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
                let mut fields = SlotReader::new(slots);
                Ok(($(fields.field::<$name>(from)?,)+))
            }

            fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
                let mut fields = ByteReader::new(bytes);
                Ok(($(fields.field::<$name>(from)?,)+))
            }

            #[allow(non_snake_case, reason = "a field is named as its type")]
            #[inline]
            fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
                let ($($name,)+) = self;
                let mut fields = SlotWriter::new(slots);
                $(fields.field(to, $name)?;)+
                Ok(())
            }

            #[allow(non_snake_case, reason = "a field is named as its type")]
            fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
                let ($($name,)+) = self;
                let mut fields = ByteWriter::new(at);
                $(fields.field(to, $name)?;)+
                Ok(())
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
