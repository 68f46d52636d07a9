//! What of a list's elements lies in memory as it lies in a message, but for padding: that is moved as bytes.

use super::WireError;
use super::cursor::Cursor;
use crate::fault::Trap;
use crate::layout::{Layout, align_to};
use crate::lift::{canonical32, canonical64};
use crate::types::ValType;

/// Elements with more strips than this are moved value by value.
const MAX_STRIPS: usize = 16;
/// The same for the elements of a list of fixed length that are looked at one by one.
const MAX_FIXED: u32 = 64;

/// Bytes of an element that are moved at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    /// Where in the element they begin.
    pub at: u32,
    /// How many there are.
    pub len: u32,
    /// What they are.
    pub kind: Kind,
}

/// What has to be looked at when bytes have been moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: every pattern of bits is a value.
    Bits,
    /// NaNs become the canonical one.
    F32,
    /// The same.
    F64,
    /// Whatever is not 0 is 1.
    Bool,
    /// Some numbers are no characters.
    Char,
}

/// The elements of a list as strips.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strips {
    strips: Vec<Strip>,
    /// Bytes of an element in memory.
    pub size: u32,
    /// Bytes of an element in a message.
    pub packed: u32,
    /// What an element carries, as [`crate::value::Value::bytes`] counts it.
    pub carried: u32,
}

impl Strips {
    /// The strips of elements that are values of these types one after another, if they are nothing else.
    pub fn of(types: &[&ValType], layout: Layout) -> Option<Strips> {
        let mut strips = Strips { strips: Vec::new(), size: layout.size, packed: 0, carried: 0 };
        strips.tuple(types.iter().copied(), 0)?;
        strips.packed = strips.strips.iter().map(|strip| strip.len).sum();
        (strips.packed != 0).then_some(strips)
    }

    /// Whether elements lie in memory as in a message, one strip without an end: what they are.
    pub fn whole(&self) -> Option<Kind> {
        match self.strips[..] {
            [Strip { len, kind, .. }] if len == self.size => Some(kind),
            _ => None,
        }
    }

    /// The strips of an element, and where each begins in a message.
    pub fn each(&self) -> impl Iterator<Item = (Strip, usize)> {
        self.strips.iter().scan(0, |end, strip| {
            let at = *end;
            *end += strip.len as usize;
            Some((*strip, at))
        })
    }

    fn tuple<'t>(&mut self, types: impl Iterator<Item = &'t ValType>, base: u32) -> Option<()> {
        let mut end = 0;
        for ty in types {
            let layout = Layout::of(ty);
            let at = align_to(end, layout.align);
            self.value(ty, base.checked_add(at)?)?;
            end = at.saturating_add(layout.size);
        }
        Some(())
    }

    fn value(&mut self, ty: &ValType, at: u32) -> Option<()> {
        let len = Layout::of(ty).size;
        let (kind, carried) = match ty {
            ValType::U8 | ValType::S8 | ValType::U16 | ValType::S16 | ValType::U64 | ValType::S64 => {
                (Kind::Bits, len)
            }
            ValType::U32 | ValType::S32 => (Kind::Bits, 4),
            ValType::Flags(labels) if matches!(labels.len(), 8 | 16 | 32) => (Kind::Bits, 4),
            ValType::F32 => (Kind::F32, 4),
            ValType::F64 => (Kind::F64, 8),
            ValType::Bool => (Kind::Bool, 1),
            ValType::Char => (Kind::Char, 4),
            ValType::Record(fields) => return self.tuple(fields.iter().map(|field| &field.ty), at),
            ValType::Tuple(types) => return self.tuple(types.iter(), at),
            ValType::FixedList(elem, count) => return self.fixed(elem, *count, at),
            _ => return None,
        };
        self.carried = self.carried.checked_add(carried)?;
        self.push(Strip { at, len, kind })
    }

    fn fixed(&mut self, elem: &ValType, count: u32, at: u32) -> Option<()> {
        let one = Strips::of(&[elem], Layout::of(elem))?;
        if let Some(kind) = one.whole() {
            self.carried = self.carried.checked_add(one.carried.checked_mul(count)?)?;
            return self.push(Strip { at, len: one.size.checked_mul(count)?, kind });
        }
        let mut at = at;
        for _ in 0..(count <= MAX_FIXED).then_some(count)? {
            self.value(elem, at)?;
            at = at.checked_add(one.size)?;
        }
        Some(())
    }

    fn push(&mut self, strip: Strip) -> Option<()> {
        let is_full = self.strips.len() == MAX_STRIPS;
        match self.strips.last_mut() {
            Some(last) if last.kind == strip.kind && last.at + last.len == strip.at => {
                last.len = last.len.checked_add(strip.len)?;
            }
            _ if is_full => return None,
            _ => self.strips.push(strip),
        }
        Some(())
    }
}

impl Kind {
    /// Makes bytes that a guest has given the one encoding of their values.
    ///
    /// # Errors
    /// [`Trap::InvalidChar`]
    pub fn settle(self, bytes: &mut [u8]) -> Result<(), Trap> {
        match self {
            Kind::Bits => {}
            Kind::F32 => bytes.as_chunks_mut().0.iter_mut().for_each(|bits| {
                *bits = canonical32(f32::from_le_bytes(*bits)).to_le_bytes();
            }),
            Kind::F64 => bytes.as_chunks_mut().0.iter_mut().for_each(|bits| {
                *bits = canonical64(f64::from_le_bytes(*bits)).to_le_bytes();
            }),
            Kind::Bool => bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0)),
            Kind::Char => {
                let wrong = codes(bytes).find(|code| char::from_u32(*code).is_none());
                return wrong.map_or(Ok(()), |code| Err(Trap::InvalidChar(code)));
            }
        }
        Ok(())
    }

    /// Checks that bytes are the one encoding of their values; `from` is for the error.
    ///
    /// # Errors
    /// They are not.
    pub fn check(self, bytes: &[u8], from: &Cursor<'_>) -> Result<(), WireError> {
        match self {
            Kind::Bits => Ok(()),
            Kind::F32 => {
                let odd = |bits: &&[u8; 4]| {
                    let value = f32::from_le_bytes(**bits);
                    value.is_nan() && canonical32(value).to_bits() != value.to_bits()
                };
                let found = bytes.as_chunks().0.iter().find(odd);
                found.map_or(Ok(()), |bits| Err(no_nan(from, u32::from_le_bytes(*bits).into())))
            }
            Kind::F64 => {
                let odd = |bits: &&[u8; 8]| {
                    let value = f64::from_le_bytes(**bits);
                    value.is_nan() && canonical64(value).to_bits() != value.to_bits()
                };
                let found = bytes.as_chunks().0.iter().find(odd);
                found.map_or(Ok(()), |bits| Err(no_nan(from, u64::from_le_bytes(*bits))))
            }
            Kind::Bool => {
                let found = bytes.iter().find(|byte| **byte > 1);
                found.map_or(Ok(()), |byte| Err(from.wrong("a bool, 0 or 1", format!("{byte}"))))
            }
            Kind::Char => {
                let found = codes(bytes).find(|code| char::from_u32(*code).is_none());
                let wrong = |code| from.wrong("a Unicode scalar value", format!("{code:#x}"));
                found.map_or(Ok(()), |code| Err(wrong(code)))
            }
        }
    }
}

fn codes(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|code| u32::from_le_bytes(*code))
}

#[cold]
fn no_nan(from: &Cursor<'_>, bits: u64) -> WireError {
    from.wrong("the canonical NaN", format!("{bits:#x}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::Field;

    fn of(ty: &ValType) -> Option<Strips> {
        Strips::of(&[ty], Layout::of(ty))
    }

    fn record(types: impl IntoIterator<Item = ValType>) -> ValType {
        let field = |(at, ty): (usize, ValType)| Field { name: format!("f{at}").into(), ty };
        ValType::Record(types.into_iter().enumerate().map(field).collect())
    }

    #[test]
    fn what_lies_together_is_moved_together() {
        let strip = |at, len, kind| Strip { at, len, kind };
        let padded = record([ValType::U8, ValType::U32, ValType::S32, ValType::F64, ValType::Bool]);
        let strips = of(&padded).unwrap();
        let expected = [
            strip(0, 1, Kind::Bits),
            strip(4, 8, Kind::Bits),
            strip(16, 8, Kind::F64),
            strip(24, 1, Kind::Bool),
        ];
        assert_eq!((strips.size, strips.packed, strips.carried), (32, 18, 18));
        assert_eq!(strips.strips, expected);
        assert_eq!(strips.each().map(|(_, at)| at).collect::<Vec<_>>(), [0, 1, 9, 17]);
        assert_eq!(strips.whole(), None);
        let point = record([ValType::F32, ValType::F32, ValType::F32]);
        assert_eq!(of(&point).unwrap().whole(), Some(Kind::F32));
        let many = ValType::FixedList(Arc::new(point), 1000);
        assert_eq!(of(&many).unwrap().whole(), Some(Kind::F32));
        assert_eq!(of(&ValType::FixedList(Arc::new(padded), 5)), None, "too many");
    }

    #[test]
    fn what_is_more_than_bytes_is_not_moved_as_bytes() {
        let flags = |count: usize| ValType::Flags((0..count).map(|at| format!("l{at}").into()).collect());
        assert_eq!(of(&flags(7)), None, "a bit that does not count");
        assert_eq!(of(&flags(16)).unwrap().whole(), Some(Kind::Bits));
        let handle = ValType::Own(crate::types::ResourceType(0));
        for ty in [ValType::String, ValType::List(Arc::new(ValType::U8)), handle] {
            assert_eq!(of(&ty), None);
            assert_eq!(of(&record([ValType::U32, ty])), None);
        }
    }
}
