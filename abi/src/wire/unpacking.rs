//! Bytes to values.

use super::strips::{Kind, Strips};
use super::{Cursor, Message, Slot, WireError, cases, discriminant_bytes, flags_bytes, least};
use crate::layout::Layout;
use crate::lift::{canonical32, canonical64, mask};
use crate::limits::{MAX_TYPE_DEPTH, MAX_VALUE_BYTES};
use crate::types::{ResourceType, ValType};
use crate::value::{Resource, Value};

/// Reads values of these types, which have to be all that there is.
///
/// # Errors
/// The message is not what [`super::packing::pack`] makes of such values.
pub fn unpack<'t>(
    types: impl Iterator<Item = &'t ValType>,
    message: &Message,
) -> Result<Vec<Value>, WireError> {
    unpack_from(types, &message.bytes, &message.slots)
}

/// The same from parts.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_from<'t>(
    types: impl Iterator<Item = &'t ValType>,
    bytes: &[u8],
    slots: &[Slot],
) -> Result<Vec<Value>, WireError> {
    let mut reader = Unpacker { room: MAX_VALUE_BYTES, ..Unpacker::new(bytes, slots) };
    let values = types.map(|ty| reader.value(ty)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(values)
}

/// Checks that values of these types are all that there is, without making them; gives what they carry, as
/// [`Value::bytes`] counts it.
///
/// # Errors
/// As [`unpack`], but that the values would be too big for the host.
pub fn check<'t>(
    mut types: impl Iterator<Item = &'t ValType>,
    bytes: &[u8],
    slots: &[Slot],
) -> Result<u64, WireError> {
    let (mut reader, mut carried) = (Unpacker::new(bytes, slots), 0);
    types.try_for_each(|ty| reader.check(ty, &mut carried))?;
    reader.finish()?;
    Ok(carried)
}

pub(super) struct Unpacker<'m> {
    pub(super) cursor: Cursor<'m>,
    slots: &'m [Slot],
    /// Bytes of ours that values may still take.
    room: usize,
    depth: u32,
}

impl<'m> Unpacker<'m> {
    /// Reads from the beginning, values that nobody keeps.
    pub(super) fn new(bytes: &'m [u8], slots: &'m [Slot]) -> Unpacker<'m> {
        Unpacker { cursor: Cursor::new(bytes), slots, room: usize::MAX, depth: 0 }
    }

    fn finish(&self) -> Result<(), WireError> {
        self.cursor.finish()?;
        if !self.slots.is_empty() {
            return Err(self.cursor.wrong("no more handles", format!("{}", self.slots.len())));
        }
        Ok(())
    }

    /// Reads a value without making it.
    fn check(&mut self, ty: &ValType, carried: &mut u64) -> Result<(), WireError> {
        self.deeper()?;
        let payload = match ty {
            ValType::String => {
                *carried += self.text()?.len() as u64;
                None
            }
            ValType::List(elem) => {
                let count = self.count(least(elem))?;
                self.check_elements(&[elem], count, carried)?;
                None
            }
            ValType::Map(entry) => {
                let count = self.count(least(&entry.0).saturating_add(least(&entry.1)))?;
                self.check_elements(&[&entry.0, &entry.1], count, carried)?;
                None
            }
            ValType::FixedList(elem, count) => {
                self.check_elements(&[elem], *count as usize, carried)?;
                None
            }
            ValType::Record(fields) => {
                fields.iter().try_for_each(|field| self.check(&field.ty, carried))?;
                None
            }
            ValType::Tuple(types) => {
                types.iter().try_for_each(|ty| self.check(ty, carried))?;
                None
            }
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let case = self.case("a case", cases(ty))?;
                *carried += 4;
                ty.cases().and_then(|cases| cases.get(case as usize).copied().flatten())
            }
            _ => {
                *carried += self.value(ty)?.bytes();
                None
            }
        };
        payload.map_or(Ok(()), |payload| self.check(payload, carried))?;
        self.depth -= 1;
        Ok(())
    }

    fn check_elements(
        &mut self,
        elem: &[&ValType],
        count: usize,
        carried: &mut u64,
    ) -> Result<(), WireError> {
        let Some(strips) = Strips::of(elem, Layout::tuple(elem.iter().copied())) else {
            return (0..count).try_for_each(|_| elem.iter().try_for_each(|ty| self.check(ty, carried)));
        };
        let packed = strips.packed as usize;
        let bytes = self.cursor.take(count.saturating_mul(packed), "the elements of a list")?;
        *carried += count as u64 * u64::from(strips.carried);
        if let Some(kind) = strips.whole() {
            return kind.check(bytes, &self.cursor);
        }
        for (strip, at) in strips.each().filter(|(strip, _)| strip.kind != Kind::Bits) {
            for elem in bytes.chunks_exact(packed) {
                let bytes = elem.get(at..at + strip.len as usize).unwrap_or(&[]);
                strip.kind.check(bytes, &self.cursor)?;
            }
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), WireError> {
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH {
            return Err(self.cursor.wrong("a type of legal depth", "one that is nested deeper"));
        }
        Ok(())
    }

    pub(super) fn value(&mut self, ty: &ValType) -> Result<Value, WireError> {
        self.deeper()?;
        self.spend(size_of::<Value>())?;
        let value = match ty {
            ValType::String => Value::String(self.owned_text()?),
            ValType::List(elem) => Value::List(self.list(elem)?),
            ValType::FixedList(elem, count) => Value::List(self.elements(elem, *count as usize)?),
            ValType::Map(entry) => Value::Map(self.map(&entry.0, &entry.1)?),
            ValType::Record(fields) => {
                let fields = fields.iter().map(|field| self.value(&field.ty));
                Value::Record(fields.collect::<Result<_, _>>()?)
            }
            ValType::Tuple(types) => {
                Value::Tuple(types.iter().map(|ty| self.value(ty)).collect::<Result<_, _>>()?)
            }
            ValType::Variant(cases) => {
                let case = self.case("a variant's case", cases.len())?;
                let payload = cases.get(case as usize).and_then(|case| case.ty.as_ref());
                Value::Variant(case, self.payload(payload)?)
            }
            ValType::Enum(labels) => Value::Enum(self.case("an enum's case", labels.len())?),
            ValType::Option(some) => {
                let case = self.case("an option's case", 2)?;
                Value::Option(self.payload((case == 1).then_some(&**some))?)
            }
            ValType::Result(result) => Value::Result(match self.case("a result's case", 2)? {
                0 => Ok(self.payload(result.ok.as_ref())?),
                _ => Err(self.payload(result.err.as_ref())?),
            }),
            ValType::Own(ty) => Value::Own(self.handle(true, *ty)?),
            ValType::Borrow(ty) => Value::Borrow(self.handle(false, *ty)?),
            _ => self.scalar(ty)?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn scalar(&mut self, ty: &ValType) -> Result<Value, WireError> {
        let (cursor, name) = (&mut self.cursor, ty.name());
        Ok(match ty {
            ValType::Bool => match cursor.array::<1>(name)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(cursor.wrong("a bool, 0 or 1", format!("{other}"))),
            },
            ValType::S8 => Value::S8(i8::from_le_bytes(cursor.array(name)?)),
            ValType::U8 => Value::U8(u8::from_le_bytes(cursor.array(name)?)),
            ValType::S16 => Value::S16(i16::from_le_bytes(cursor.array(name)?)),
            ValType::U16 => Value::U16(u16::from_le_bytes(cursor.array(name)?)),
            ValType::S32 => Value::S32(i32::from_le_bytes(cursor.array(name)?)),
            ValType::U32 => Value::U32(u32::from_le_bytes(cursor.array(name)?)),
            ValType::S64 => Value::S64(i64::from_le_bytes(cursor.array(name)?)),
            ValType::U64 => Value::U64(u64::from_le_bytes(cursor.array(name)?)),
            ValType::F32 => {
                let value = f32::from_bits(u32::from_le_bytes(cursor.array(name)?));
                if canonical32(value).to_bits() != value.to_bits() {
                    return Err(cursor.wrong("the canonical NaN", format!("{:#x}", value.to_bits())));
                }
                Value::F32(value)
            }
            ValType::F64 => {
                let value = f64::from_bits(u64::from_le_bytes(cursor.array(name)?));
                if canonical64(value).to_bits() != value.to_bits() {
                    return Err(cursor.wrong("the canonical NaN", format!("{:#x}", value.to_bits())));
                }
                Value::F64(value)
            }
            ValType::Char => {
                let code = u32::from_le_bytes(cursor.array(name)?);
                let value = char::from_u32(code);
                Value::Char(
                    value.ok_or_else(|| cursor.wrong("a Unicode scalar value", format!("{code:#x}")))?,
                )
            }
            ValType::Flags(labels) => {
                let bits = cursor.uint(flags_bytes(labels.len()), name)?;
                if bits & !mask(labels.len()) != 0 {
                    return Err(cursor.wrong(format!("{} flags", labels.len()), format!("{bits:#x}")));
                }
                Value::Flags(bits)
            }
            _ => return Err(cursor.wrong("a type whose values can be sent", format!("`{name}`"))),
        })
    }

    fn owned_text(&mut self) -> Result<Box<str>, WireError> {
        let text = self.text()?;
        self.spend(text.len())?;
        Ok(text.into())
    }

    pub(super) fn text(&mut self) -> Result<&'m str, WireError> {
        let len = self.cursor.uint(4, "a string's length")? as usize;
        let bytes = self.cursor.take(len, "a string")?;
        str::from_utf8(bytes).map_err(|error| self.cursor.wrong("UTF-8", error.to_string()))
    }

    fn list(&mut self, elem: &ValType) -> Result<Vec<Value>, WireError> {
        let count = self.count(least(elem))?;
        self.elements(elem, count)
    }

    fn elements(&mut self, elem: &ValType, count: usize) -> Result<Vec<Value>, WireError> {
        if *elem == ValType::U8 {
            self.spend(count.saturating_mul(size_of::<Value>()))?;
            let bytes = self.cursor.take(count, "a list of bytes")?;
            return Ok(bytes.iter().map(|byte| Value::U8(*byte)).collect());
        }
        let mut elems = Vec::with_capacity(count.min(self.left()));
        for _ in 0..count {
            elems.push(self.value(elem)?);
        }
        Ok(elems)
    }

    fn map(&mut self, key: &ValType, value: &ValType) -> Result<Vec<(Value, Value)>, WireError> {
        let count = self.count(least(key).saturating_add(least(value)))?;
        let mut entries = Vec::with_capacity(count.min(self.left()));
        for _ in 0..count {
            entries.push((self.value(key)?, self.value(value)?));
        }
        Ok(entries)
    }

    /// A length, of something whose elements take so many bytes and slots at least.
    pub(super) fn count(&mut self, each: usize) -> Result<usize, WireError> {
        let count = self.cursor.uint(4, "a length")? as usize;
        let left = self.left();
        // Elements of nothing cannot be told from none: no valid type has them.
        if count != 0 && (each == 0 || count > left / each) {
            let found = format!("{count} of at least {each} in {left}");
            return Err(self.cursor.wrong("as many elements as there is room for", found));
        }
        Ok(count)
    }

    fn left(&self) -> usize {
        self.cursor.left() + self.slots.len()
    }

    pub(super) fn case(&mut self, what: &str, cases: usize) -> Result<u32, WireError> {
        let case = self.cursor.uint(discriminant_bytes(cases), what)?;
        if case as usize >= cases {
            return Err(self.cursor.wrong(format!("{what} below {cases}"), format!("{case}")));
        }
        Ok(case)
    }

    fn payload(&mut self, ty: Option<&ValType>) -> Result<Option<Box<Value>>, WireError> {
        ty.map(|ty| self.value(ty).map(Box::new)).transpose()
    }

    fn handle(&mut self, is_own: bool, ty: ResourceType) -> Result<Resource, WireError> {
        let kind = if is_own { "own" } else { "borrow" };
        let Some((slot, rest)) = self.slots.split_first() else {
            return Err(self.cursor.wrong(format!("a slot for `{kind}`"), "none left"));
        };
        if slot.is_own != is_own || slot.resource.ty != ty {
            let found = if slot.is_own { "own" } else { "borrow" };
            let found = format!("`{found}<{}>`", slot.resource.ty);
            return Err(self.cursor.wrong(format!("`{kind}<{ty}>`"), found));
        }
        self.slots = rest;
        Ok(slot.resource)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), WireError> {
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => {
                Err(self.cursor.wrong(format!("values of at most {MAX_VALUE_BYTES} bytes"), "more than that"))
            }
        }
    }
}
