//! From a message straight to core values and memory: what [`super::unpacking`] unpacks and [`crate::run`] lowers, without
//! a value in between. The message has been checked ([`super::unpacking::check`]).

use super::strips::Strips;
use super::unpacking::Unpacker;
use super::{Slot, least};
use crate::fault::Trap;
use crate::flat;
use crate::layout::{Cases, Layout, align_to, offsets};
use crate::lift::{NO_CASES, TOO_DEEP, add, payload_of};
use crate::limits::{BYTES_A_TURN, ELEMENTS_A_TURN, MAX_TYPE_DEPTH};
use crate::lower::{Lower, list_bytes};
use crate::plan::Passing;
use crate::run::results_pointer;
use crate::side::{Encoding, Side};
use crate::text::{self, Repr};
use crate::types::{FuncType, ValType};

/// Lowers parameters into the side that is called; gives the core parameters of [`Passing::lifted`].
///
/// # Errors
/// Whatever the spec traps for, or that the message is not of these types.
pub fn lower_params(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    bytes: &[u8],
    slots: &[Slot],
) -> Result<Vec<u64>, Trap> {
    let mut lowering = Lowering { side, from: Unpacker::new(bytes, slots), depth: 0 };
    let mut types = ty.params.iter().map(|(_, ty)| ty);
    match passing {
        Passing::Flat(flat) => {
            let mut core = Vec::with_capacity(flat.len());
            types.try_for_each(|ty| lowering.flat(ty, &mut core))?;
            Ok(core)
        }
        Passing::Memory(layout) => {
            let pointer = lowering.side.allocate(0, 0, layout.align, layout.size)?;
            lowering.tuple(types, pointer)?;
            Ok(vec![u64::from(pointer)])
        }
    }
}

/// Lowers the result of a call into its caller; `core` is as [`crate::run::lower_results`] has it.
///
/// # Errors
/// As [`lower_params`].
pub fn lower_results(
    side: &mut dyn Side,
    ty: &FuncType,
    (params, results): (&Passing, &Passing),
    (bytes, slots): (&[u8], &[Slot]),
    core: &mut [u64],
) -> Result<(), Trap> {
    let mut lowering = Lowering { side, from: Unpacker::new(bytes, slots), depth: 0 };
    match results {
        Passing::Flat(_) => {
            let mut flat = Vec::new();
            ty.result.iter().try_for_each(|ty| lowering.flat(ty, &mut flat))?;
            for (slot, value) in core.iter_mut().zip(flat) {
                *slot = value;
            }
            Ok(())
        }
        Passing::Memory(layout) => {
            let pointer = results_pointer(core, params)?;
            lowering.side.check("results", pointer, *layout)?;
            lowering.tuple(ty.result.iter(), pointer)
        }
    }
}

struct Lowering<'s, 'm> {
    side: &'s mut dyn Side,
    from: Unpacker<'m>,
    depth: u32,
}

impl Lowering<'_, '_> {
    /// `lower_flat`: appends slots.
    fn flat(&mut self, ty: &ValType, core: &mut Vec<u64>) -> Result<(), Trap> {
        self.enter()?;
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let (pointer, length) = self.indirect(ty)?;
                core.extend([u64::from(pointer), u64::from(length)]);
            }
            ValType::FixedList(elem, count) => {
                for _ in 0..*count {
                    self.flat(elem, core)?;
                }
            }
            ValType::Record(fields) => fields.iter().try_for_each(|field| self.flat(&field.ty, core))?,
            ValType::Tuple(types) => types.iter().try_for_each(|ty| self.flat(ty, core))?,
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let end = core.len() + flat::flatten(ty).len();
                let (discriminant, payload) = self.case(ty)?;
                core.push(u64::from(discriminant));
                if let Some(payload) = payload {
                    self.flat(payload, core)?;
                }
                core.resize(end, 0);
            }
            _ => {
                let bits = self.scalar(ty)?;
                core.push(bits);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `store`: the pointer has been checked for the type.
    fn store(&mut self, ty: &ValType, pointer: u32) -> Result<(), Trap> {
        self.enter()?;
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let (begin, length) = self.indirect(ty)?;
                self.side.write_pair(pointer, begin, length)?;
            }
            ValType::FixedList(elem, count) => self.elements(&[elem], pointer, *count as usize)?,
            ValType::Record(fields) => self.tuple(fields.iter().map(|field| &field.ty), pointer)?,
            ValType::Tuple(types) => self.tuple(types.iter(), pointer)?,
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let cases = Cases::of(ty).ok_or(NO_CASES)?;
                let (discriminant, payload) = self.case(ty)?;
                self.side.write_uint(pointer, cases.discriminant, u64::from(discriminant))?;
                if let Some(payload) = payload {
                    self.store(payload, add(pointer, cases.payload)?)?;
                }
            }
            _ => {
                let bits = self.scalar(ty)?;
                self.side.write_uint(pointer, Layout::of(ty).size, bits)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `store_record`, by position.
    fn tuple<'t>(&mut self, types: impl Iterator<Item = &'t ValType>, pointer: u32) -> Result<(), Trap> {
        let mut end = 0;
        for ty in types {
            let layout = Layout::of(ty);
            let at = align_to(end, layout.align);
            self.store(ty, add(pointer, at)?)?;
            end = at.saturating_add(layout.size);
        }
        Ok(())
    }

    /// What a pointer and a length stand for.
    fn indirect(&mut self, ty: &ValType) -> Result<(u32, u32), Trap> {
        match ty {
            ValType::List(elem) => self.list(&[elem]),
            ValType::Map(entry) => self.list(&[&entry.0, &entry.1]),
            _ => {
                let text = self.from.text()?;
                text::lower(self.side, Encoding::Utf8, Repr::Utf8, text.as_bytes())
            }
        }
    }

    /// `store_list_into_range`, of values one after another.
    fn list(&mut self, elem: &[&ValType]) -> Result<(u32, u32), Trap> {
        let count = self.from.count(elem.iter().map(|ty| least(ty)).fold(0, usize::saturating_add))?;
        let layout = Layout::tuple(elem.iter().copied());
        let pointer = self.side.allocate(0, 0, layout.align, list_bytes(count, layout)?)?;
        self.elements(elem, pointer, count)?;
        Ok((pointer, count as u32))
    }

    /// `store_list_into_valid_range`
    fn elements(&mut self, elem: &[&ValType], pointer: u32, count: usize) -> Result<(), Trap> {
        let layout = Layout::tuple(elem.iter().copied());
        if let Some(strips) = Strips::of(elem, layout) {
            return self.strips(&strips, pointer, count);
        }
        let mut at = pointer;
        for i in 0..count {
            if i % ELEMENTS_A_TURN as usize == ELEMENTS_A_TURN as usize - 1 {
                self.side.checkpoint()?;
            }
            for (ty, offset) in elem.iter().zip(offsets(elem.iter().copied())) {
                self.store(ty, add(at, offset)?)?;
            }
            at = at.saturating_add(layout.size);
        }
        Ok(())
    }

    /// Elements that are strips of bytes. What is between them in memory stays as it is.
    fn strips(&mut self, strips: &Strips, pointer: u32, count: usize) -> Result<(), Trap> {
        let (size, packed) = (strips.size as usize, strips.packed as usize);
        let bytes = self.from.cursor.take(count.saturating_mul(packed), "the elements of a list")?;
        let turn = (BYTES_A_TURN as usize / size).max(1);
        let mut at = pointer;
        for (number, some) in bytes.chunks(turn * packed).enumerate() {
            if number != 0 {
                self.side.checkpoint()?;
            }
            let length = (some.len() / packed * size) as u32;
            let region = self.side.region(at, length)?;
            if strips.whole().is_some() {
                region.copy_from_slice(some);
            } else {
                for (elem, from) in region.chunks_exact_mut(size).zip(some.chunks_exact(packed)) {
                    gather(strips, from, elem);
                }
            }
            at = at.saturating_add(length);
        }
        Ok(())
    }

    fn case<'t>(&mut self, ty: &'t ValType) -> Result<(u32, Option<&'t ValType>), Trap> {
        let discriminant = self.from.case("a case", super::cases(ty))?;
        Ok((discriminant, payload_of(ty, discriminant)?))
    }

    /// A value that is one core value.
    fn scalar(&mut self, ty: &ValType) -> Result<u64, Trap> {
        let value = self.from.value(ty)?;
        Lower::new(&mut *self.side).scalar(ty, &value)
    }

    fn enter(&mut self) -> Result<(), Trap> {
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH { Err(TOO_DEEP) } else { Ok(()) }
    }
}

/// Puts the strips of one element where they belong.
fn gather(strips: &Strips, from: &[u8], elem: &mut [u8]) {
    for (strip, begin) in strips.each() {
        let (at, len) = (strip.at as usize, strip.len as usize);
        if let (Some(to), Some(from)) = (elem.get_mut(at..at + len), from.get(begin..begin + len)) {
            to.copy_from_slice(from);
        }
    }
}
