//! From core values and memory straight to a message: what [`crate::run`] lifts and [`super::packing`] packs, without a
//! value in between. The bytes of numbers, and of records of them, are copied as they are.

use super::packing::{self, length};
use super::strips::{Kind, Strips};
use super::{Message, discriminant_bytes};
use crate::fault::Trap;
use crate::flat;
use crate::layout::{Cases, Layout, align_to, offsets};
use crate::lift::{Lift, NO_CASES, TOO_DEEP, add, payload_of};
use crate::limits::{BYTES_A_TURN, ELEMENTS_A_TURN, MAX_TYPE_DEPTH, MAX_VALUE_BYTES};
use crate::plan::Passing;
use crate::run::pointer;
use crate::side::{Encoding, Side};
use crate::text::{self, Span};
use crate::types::{FuncType, ValType};

/// Lifts the parameters of a call from its caller; gives what they carry, as [`crate::value::Value::bytes`] counts it.
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
    message: &mut Message,
) -> Result<u64, Trap> {
    lift_all(side, "parameters", ty.params.iter().map(|(_, ty)| ty), (passing, core), message)
}

/// Lifts the result of a call from the side that was called; `core` holds what the core function returned.
///
/// # Errors
/// As [`lift_params`].
pub fn lift_results(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    core: &[u64],
    message: &mut Message,
) -> Result<u64, Trap> {
    lift_all(side, "results", ty.result.iter(), (passing, core), message)
}

fn lift_all<'t>(
    side: &mut dyn Side,
    what: &'static str,
    mut types: impl Iterator<Item = &'t ValType>,
    (passing, core): (&Passing, &[u64]),
    message: &mut Message,
) -> Result<u64, Trap> {
    let mut lifting = Lifting { side, message, depth: 0, carried: 0 };
    match passing {
        Passing::Flat(_) => {
            let mut at = 0;
            types.try_for_each(|ty| lifting.flat(ty, core, &mut at))?;
        }
        Passing::Memory(layout) => {
            let pointer = pointer(core, 0)?;
            lifting.side.check(what, pointer, *layout)?;
            lifting.tuple(types, pointer)?;
        }
    }
    Ok(lifting.carried)
}

struct Lifting<'s, 'm> {
    side: &'s mut dyn Side,
    message: &'m mut Message,
    depth: u32,
    carried: u64,
}

impl Lifting<'_, '_> {
    /// `lift_flat`: reads slots from `at` on.
    fn flat(&mut self, ty: &ValType, core: &[u64], at: &mut usize) -> Result<(), Trap> {
        self.enter()?;
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let [pointer, length] = [(); 2].map(|()| next(core, at));
                self.indirect(ty, pointer? as u32, length? as u32)?;
            }
            ValType::FixedList(elem, count) => {
                for _ in 0..*count {
                    self.flat(elem, core, at)?;
                }
            }
            ValType::Record(fields) => {
                fields.iter().try_for_each(|field| self.flat(&field.ty, core, at))?;
            }
            ValType::Tuple(types) => types.iter().try_for_each(|ty| self.flat(ty, core, at))?,
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let (start, discriminant) = (*at, next(core, at)? as u32);
                if let Some(payload) = self.case(ty, discriminant)? {
                    self.flat(payload, core, at)?;
                }
                *at = start + flat::flatten(ty).len();
            }
            _ => {
                let bits = next(core, at)?;
                self.scalar(ty, bits)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `load`: the pointer has been checked for the type.
    fn load(&mut self, ty: &ValType, pointer: u32) -> Result<(), Trap> {
        self.enter()?;
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let (begin, length) = self.side.read_pair(pointer)?;
                self.indirect(ty, begin, length)?;
            }
            ValType::FixedList(elem, count) => self.elements(&[elem], pointer, *count)?,
            ValType::Record(fields) => self.tuple(fields.iter().map(|field| &field.ty), pointer)?,
            ValType::Tuple(types) => self.tuple(types.iter(), pointer)?,
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let cases = Cases::of(ty).ok_or(NO_CASES)?;
                let discriminant = self.side.read_uint(pointer, cases.discriminant)? as u32;
                if let Some(payload) = self.case(ty, discriminant)? {
                    self.load(payload, add(pointer, cases.payload)?)?;
                }
            }
            _ => {
                let bits = self.side.read_uint(pointer, Layout::of(ty).size)?;
                self.scalar(ty, bits)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `load_record`, by position.
    fn tuple<'t>(&mut self, types: impl Iterator<Item = &'t ValType>, pointer: u32) -> Result<(), Trap> {
        let mut end = 0;
        for ty in types {
            let layout = Layout::of(ty);
            let at = align_to(end, layout.align);
            self.load(ty, add(pointer, at)?)?;
            end = at.saturating_add(layout.size);
        }
        Ok(())
    }

    /// What a pointer and a length stand for.
    fn indirect(&mut self, ty: &ValType, pointer: u32, length: u32) -> Result<(), Trap> {
        match ty {
            ValType::List(elem) => self.list(&[elem], pointer, length),
            ValType::Map(entry) => self.list(&[&entry.0, &entry.1], pointer, length),
            _ => self.string(pointer, length),
        }
    }

    fn string(&mut self, pointer: u32, tagged: u32) -> Result<(), Trap> {
        let memory = self.side.memory();
        let bytes = if self.side.encoding() == Encoding::Utf8 {
            let span = Span::check(Encoding::Utf8, pointer, tagged, memory.len())?;
            room(self.message, span.bytes as usize)?;
            length(self.message, span.bytes as usize)?;
            let start = self.message.bytes.len();
            let span = span.pointer as usize..(span.pointer + span.bytes) as usize;
            self.message.bytes.extend_from_slice(memory.get(span).unwrap_or(&[]));
            text::utf8(&self.message.bytes[start..])?.len()
        } else {
            let text = text::lift(&*self.side, pointer, tagged)?;
            room(self.message, text.len())?;
            length(self.message, text.len())?;
            self.message.bytes.extend_from_slice(text.as_bytes());
            text.len()
        };
        self.carried += bytes as u64;
        Ok(())
    }

    /// `load_list_from_range`, of values one after another.
    fn list(&mut self, elem: &[&ValType], pointer: u32, count: u32) -> Result<(), Trap> {
        self.side.check_list(pointer, count, Layout::tuple(elem.iter().copied()))?;
        length(self.message, count as usize)?;
        self.elements(elem, pointer, count)
    }

    /// `load_list_from_valid_range`
    fn elements(&mut self, elem: &[&ValType], pointer: u32, count: u32) -> Result<(), Trap> {
        let layout = Layout::tuple(elem.iter().copied());
        if let Some(strips) = Strips::of(elem, layout) {
            return self.strips(&strips, pointer, count);
        }
        let mut at = pointer;
        for i in 0..count {
            if i % ELEMENTS_A_TURN == ELEMENTS_A_TURN - 1 {
                self.side.checkpoint()?;
            }
            for (ty, offset) in elem.iter().zip(offsets(elem.iter().copied())) {
                self.load(ty, add(at, offset)?)?;
            }
            at = at.saturating_add(layout.size);
        }
        Ok(())
    }

    /// Elements that are strips of bytes.
    fn strips(&mut self, strips: &Strips, pointer: u32, count: u32) -> Result<(), Trap> {
        room(self.message, count as usize * strips.packed as usize)?;
        let whole = strips.whole();
        let turn = (BYTES_A_TURN / strips.size).max(1);
        for first in (0..count).step_by(turn as usize) {
            if first != 0 {
                self.side.checkpoint()?;
            }
            let begin = add(pointer, first.saturating_mul(strips.size))?;
            let bytes =
                self.side.bytes("list", begin, turn.min(count - first).saturating_mul(strips.size))?;
            let start = self.message.bytes.len();
            let out = &mut self.message.bytes;
            match whole {
                Some(kind) => {
                    out.extend_from_slice(bytes);
                    kind.settle(&mut out[start..])?;
                }
                None => {
                    for elem in bytes.chunks_exact(strips.size as usize) {
                        scatter(strips, elem, out)?;
                    }
                }
            }
        }
        self.carried += u64::from(count) * u64::from(strips.carried);
        Ok(())
    }

    /// A discriminant that has just been read; gives the type of the payload.
    fn case<'t>(&mut self, ty: &'t ValType, discriminant: u32) -> Result<Option<&'t ValType>, Trap> {
        let payload = payload_of(ty, discriminant)?;
        let bytes = discriminant_bytes(super::cases(ty));
        self.message.bytes.extend_from_slice(&discriminant.to_le_bytes()[..bytes]);
        self.carried += 4;
        Ok(payload)
    }

    /// A value that is one core value.
    fn scalar(&mut self, ty: &ValType, bits: u64) -> Result<(), Trap> {
        let value = Lift::new(&mut *self.side).scalar(ty, bits)?;
        self.carried += value.bytes();
        Ok(packing::pack_one(ty, &value, self.message, self.depth)?)
    }

    fn enter(&mut self) -> Result<(), Trap> {
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH { Err(TOO_DEEP) } else { room(self.message, 0) }
    }
}

/// Appends the strips of one element.
fn scatter(strips: &Strips, elem: &[u8], out: &mut Vec<u8>) -> Result<(), Trap> {
    for (strip, _) in strips.each() {
        let start = out.len();
        let end = (strip.at + strip.len) as usize;
        out.extend_from_slice(elem.get(strip.at as usize..end).unwrap_or(&[]));
        if strip.kind != Kind::Bits {
            strip.kind.settle(&mut out[start..])?;
        }
    }
    Ok(())
}

/// Checks that the host has room for so many bytes more.
fn room(message: &mut Message, more: usize) -> Result<(), Trap> {
    let bytes = message.bytes.len().saturating_add(more);
    if bytes > MAX_VALUE_BYTES {
        let (value, allowed) = (bytes as u64, MAX_VALUE_BYTES as u64);
        return Err(Trap::Limit { limit: "bytes of lifted values", value, allowed });
    }
    if more > message.bytes.capacity() - message.bytes.len() {
        message.bytes.reserve(more);
    }
    Ok(())
}

fn next(core: &[u64], at: &mut usize) -> Result<u64, Trap> {
    let value = core.get(*at).ok_or(Trap::Unsupported("a call with too few core values"))?;
    *at += 1;
    Ok(*value)
}
