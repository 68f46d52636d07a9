//! Strings and lists: a pointer and a length (CanonicalABI.md, `load_string`, `load_list` and their stores).

use super::{Lifting, Typed, leading};
use crate::fault::Trap;
use crate::layout::Layout;
use crate::limits::MAX_LIST_BYTES;
use crate::side::{Encoding, Side};
use crate::text::{self, Repr};
use crate::types::ValType;

/// Pointer and length.
const PAIR: Layout = Layout { size: 8, align: 4 };

impl Typed for String {
    const LAYOUT: Layout = PAIR;
    const FLAT: usize = 2;

    fn ty() -> ValType {
        ValType::String
    }

    fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        lift_string(from, pair_of_slots(slots))
    }

    fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        lift_string(from, pair_of_bytes(bytes))
    }

    fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        let pair = text::lower(to, Encoding::Utf8, Repr::Utf8, self.as_bytes())?;
        set_pair(slots, pair);
        Ok(())
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        let pair = text::lower(to, Encoding::Utf8, Repr::Utf8, self.as_bytes())?;
        write_pair(to, at, pair)
    }
}

fn lift_string(from: &mut Lifting<'_>, (pointer, tagged): (u32, u32)) -> Result<String, Trap> {
    let string = text::lift(from.side(), pointer, tagged)?;
    from.spend(string.len())?;
    Ok(string)
}

impl<T: Typed> Typed for Vec<T> {
    const LAYOUT: Layout = PAIR;
    const FLAT: usize = 2;

    fn ty() -> ValType {
        ValType::List(T::ty().into())
    }

    fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
        lift_list(from, pair_of_slots(slots))
    }

    fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
        lift_list(from, pair_of_bytes(bytes))
    }

    fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
        let pair = lower_list(to, self)?;
        set_pair(slots, pair);
        Ok(())
    }

    fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
        let pair = lower_list(to, self)?;
        write_pair(to, at, pair)
    }
}

fn lift_list<T: Typed>(from: &mut Lifting<'_>, (pointer, count): (u32, u32)) -> Result<Vec<T>, Trap> {
    from.side().check_list(pointer, count, T::LAYOUT)?;
    let bytes = count.saturating_mul(T::LAYOUT.size);
    from.spend(bytes as usize)?;
    let copy = from.side().bytes("list", pointer, bytes)?.to_vec();
    T::lift_list(from, copy)
}

fn lower_list<T: Typed>(to: &mut dyn Side, elements: &[T]) -> Result<(u32, u32), Trap> {
    let limit = u64::from(MAX_LIST_BYTES);
    let bytes = (elements.len() as u64).saturating_mul(T::LAYOUT.size.into());
    let fits = u32::try_from(bytes).ok().filter(|_| bytes <= limit).zip(u32::try_from(elements.len()).ok());
    let (bytes, count) = fits.ok_or(Trap::ListTooLong { bytes, limit })?;
    let pointer = to.allocate(0, 0, T::LAYOUT.align, bytes)?;
    T::lower_list(elements, to, pointer)?;
    Ok((pointer, count))
}

fn pair_of_slots(slots: &[u64]) -> (u32, u32) {
    let [pointer, length] = *slots.first_chunk().expect("a value is given as many slots as it flattens to");
    (pointer as u32, length as u32)
}

fn pair_of_bytes(bytes: &[u8]) -> (u32, u32) {
    let pair: u64 = u64::from_le_bytes(leading(bytes));
    (pair as u32, (pair >> 32) as u32)
}

fn set_pair(slots: &mut [u64], (pointer, length): (u32, u32)) {
    let place = slots.first_chunk_mut().expect("a value is given as many slots as it flattens to");
    *place = [pointer.into(), length.into()];
}

fn write_pair(to: &mut dyn Side, at: u32, (pointer, length): (u32, u32)) -> Result<(), Trap> {
    to.write(at, (u64::from(length) << 32 | u64::from(pointer)).to_le_bytes())
}
