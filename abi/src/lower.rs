//! From component values to core values and memory (CanonicalABI.md, "Storing", "Flat Lowering").

use crate::fault::Trap;
use crate::flat;
use crate::layout::{Cases, Layout, align_to, offsets};
use crate::lift::{NO_CASES, TOO_DEEP, add, canonical32, canonical64, mask, payload_of};
use crate::limits::{ELEMENTS_A_TURN, MAX_LIST_BYTES, MAX_TYPE_DEPTH};
use crate::side::{Encoding, Side};
use crate::text::{self, Repr};
use crate::types::ValType;
use crate::value::Value;

/// One lowering. The values are the host's own; that they are of their types is checked all the same.
pub(crate) struct Lower<'s> {
    pub(crate) side: &'s mut dyn Side,
    depth: u32,
}

impl<'s> Lower<'s> {
    pub(crate) fn new(side: &'s mut dyn Side) -> Lower<'s> {
        Lower { side, depth: 0 }
    }

    /// `lower_flat`: appends slots.
    pub(crate) fn flat(&mut self, ty: &ValType, value: &Value, core: &mut Vec<u64>) -> Result<(), Trap> {
        self.enter()?;
        match (ty, value) {
            (ValType::String, Value::String(text)) => {
                let (pointer, tagged) = self.string(text)?;
                core.extend([u64::from(pointer), u64::from(tagged)]);
            }
            (ValType::List(elem), Value::List(elems)) => {
                let pointer = self.list(elem, elems)?;
                core.extend([u64::from(pointer), elems.len() as u64]);
            }
            (ValType::Map(entry), Value::Map(entries)) => {
                let pointer = self.map(entry, entries)?;
                core.extend([u64::from(pointer), entries.len() as u64]);
            }
            (ValType::FixedList(elem, count), Value::List(elems)) if elems.len() == *count as usize => {
                for value in elems {
                    self.flat(elem, value, core)?;
                }
            }
            (ValType::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
                for (field, value) in fields.iter().zip(values) {
                    self.flat(&field.ty, value, core)?;
                }
            }
            (ValType::Tuple(types), Value::Tuple(values)) if types.len() == values.len() => {
                for (ty, value) in types.iter().zip(values) {
                    self.flat(ty, value, core)?;
                }
            }
            (ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_), _) => {
                let end = core.len() + flat::flatten(ty).len();
                let (discriminant, payload) = case(ty, value)?;
                core.push(u64::from(discriminant));
                if let Some((ty, value)) = payload {
                    self.flat(ty, value, core)?;
                }
                core.resize(end, 0);
            }
            _ => core.push(self.scalar(ty, value)?),
        }
        self.depth -= 1;
        Ok(())
    }

    /// `store`: the pointer has been checked for the type.
    pub(crate) fn store(&mut self, ty: &ValType, value: &Value, pointer: u32) -> Result<(), Trap> {
        self.enter()?;
        match (ty, value) {
            (ValType::String, Value::String(text)) => {
                let (begin, tagged) = self.string(text)?;
                self.side.write_pair(pointer, begin, tagged)?;
            }
            (ValType::List(elem), Value::List(elems)) => {
                let begin = self.list(elem, elems)?;
                self.side.write_pair(pointer, begin, elems.len() as u32)?;
            }
            (ValType::Map(entry), Value::Map(entries)) => {
                let begin = self.map(entry, entries)?;
                self.side.write_pair(pointer, begin, entries.len() as u32)?;
            }
            (ValType::FixedList(elem, count), Value::List(elems)) if elems.len() == *count as usize => {
                self.elements(elem, elems, pointer)?;
            }
            (ValType::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
                self.tuple(fields.iter().map(|field| &field.ty).zip(values), pointer)?;
            }
            (ValType::Tuple(types), Value::Tuple(values)) if types.len() == values.len() => {
                self.tuple(types.iter().zip(values), pointer)?;
            }
            (ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_), _) => {
                let cases = Cases::of(ty).ok_or(NO_CASES)?;
                let (discriminant, payload) = case(ty, value)?;
                self.side.write_uint(pointer, cases.discriminant, u64::from(discriminant))?;
                if let Some((ty, value)) = payload {
                    self.store(ty, value, add(pointer, cases.payload)?)?;
                }
            }
            _ => {
                let bits = self.scalar(ty, value)?;
                self.side.write_uint(pointer, Layout::of(ty).size, bits)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `store_record`, by position.
    pub(crate) fn tuple<'t>(
        &mut self,
        pairs: impl Iterator<Item = (&'t ValType, &'t Value)>,
        pointer: u32,
    ) -> Result<(), Trap> {
        let mut end = 0;
        for (ty, value) in pairs {
            let layout = Layout::of(ty);
            let at = align_to(end, layout.align);
            self.store(ty, value, add(pointer, at)?)?;
            end = at.saturating_add(layout.size);
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(u32, u32), Trap> {
        text::lower(self.side, Encoding::Utf8, Repr::Utf8, text.as_bytes())
    }

    /// `store_list_into_range`
    fn list(&mut self, elem: &ValType, elems: &[Value]) -> Result<u32, Trap> {
        let pointer = self.room(elems.len(), Layout::of(elem))?;
        self.elements(elem, elems, pointer)?;
        Ok(pointer)
    }

    /// A list of pairs.
    fn map(&mut self, entry: &(ValType, ValType), entries: &[(Value, Value)]) -> Result<u32, Trap> {
        let types = [&entry.0, &entry.1];
        let layout = Layout::tuple(types.into_iter());
        let second = offsets(types.into_iter()).nth(1).unwrap_or(0);
        let pointer = self.room(entries.len(), layout)?;
        let mut at = pointer;
        for (key, value) in entries {
            self.store(&entry.0, key, at)?;
            self.store(&entry.1, value, add(at, second)?)?;
            at = at.saturating_add(layout.size);
        }
        Ok(pointer)
    }

    fn room(&mut self, count: usize, elem: Layout) -> Result<u32, Trap> {
        self.side.allocate(0, 0, elem.align, list_bytes(count, elem)?)
    }

    /// `store_list_into_valid_range`
    fn elements(&mut self, elem: &ValType, elems: &[Value], pointer: u32) -> Result<(), Trap> {
        let size = Layout::of(elem).size;
        let mut at = pointer;
        for (i, value) in (0u32..).zip(elems) {
            if i % ELEMENTS_A_TURN == ELEMENTS_A_TURN - 1 {
                self.side.checkpoint()?;
            }
            self.store(elem, value, at)?;
            at = at.saturating_add(size);
        }
        Ok(())
    }

    /// A value that is one core value.
    pub(crate) fn scalar(&mut self, ty: &ValType, value: &Value) -> Result<u64, Trap> {
        Ok(match (ty, value) {
            (ValType::Bool, Value::Bool(value)) => u64::from(*value),
            (ValType::S8, Value::S8(value)) => u64::from(i32::from(*value) as u32),
            (ValType::U8, Value::U8(value)) => u64::from(*value),
            (ValType::S16, Value::S16(value)) => u64::from(i32::from(*value) as u32),
            (ValType::U16, Value::U16(value)) => u64::from(*value),
            (ValType::S32, Value::S32(value)) => u64::from(*value as u32),
            (ValType::U32, Value::U32(value)) => u64::from(*value),
            (ValType::S64, Value::S64(value)) => *value as u64,
            (ValType::U64, Value::U64(value)) => *value,
            (ValType::F32, Value::F32(value)) => u64::from(canonical32(*value).to_bits()),
            (ValType::F64, Value::F64(value)) => canonical64(*value).to_bits(),
            (ValType::Char, Value::Char(value)) => u64::from(u32::from(*value)),
            (ValType::Flags(labels), Value::Flags(bits)) => u64::from(bits & mask(labels.len())),
            (ValType::Own(ty), Value::Own(own)) if own.ty == *ty => {
                u64::from(self.side.lower_own(self.side.known(own)?, own.rep)?)
            }
            (ValType::Borrow(ty), Value::Borrow(borrow)) if borrow.ty == *ty => {
                u64::from(self.side.lower_borrow(self.side.known(borrow)?, borrow.rep)?)
            }
            _ => return Err(mismatch(ty, value)),
        })
    }

    fn enter(&mut self) -> Result<(), Trap> {
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH { Err(TOO_DEEP) } else { Ok(()) }
    }
}

/// How many bytes a list takes.
///
/// # Errors
/// Longer than 2^28−1 bytes.
pub(crate) fn list_bytes(count: usize, elem: Layout) -> Result<u32, Trap> {
    let bytes = (count as u64).saturating_mul(u64::from(elem.size));
    let fits = u32::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_LIST_BYTES);
    fits.ok_or(Trap::ListTooLong { bytes, limit: u64::from(MAX_LIST_BYTES) })
}

/// The discriminant and payload of a value of a variant-like type (`match_case`).
type Case<'v> = (u32, Option<(&'v ValType, &'v Value)>);

fn case<'v>(ty: &'v ValType, value: &'v Value) -> Result<Case<'v>, Trap> {
    let (discriminant, payload) = match (ty, value) {
        (ValType::Variant(_), Value::Variant(discriminant, payload)) => (*discriminant, payload.as_deref()),
        (ValType::Enum(_), Value::Enum(discriminant)) => (*discriminant, None),
        (ValType::Option(_), Value::Option(payload)) => (u32::from(payload.is_some()), payload.as_deref()),
        (ValType::Result(_), Value::Result(Ok(payload))) => (0, payload.as_deref()),
        (ValType::Result(_), Value::Result(Err(payload))) => (1, payload.as_deref()),
        _ => return Err(mismatch(ty, value)),
    };
    match (payload_of(ty, discriminant)?, payload) {
        (Some(ty), Some(value)) => Ok((discriminant, Some((ty, value)))),
        (None, None) => Ok((discriminant, None)),
        _ => Err(mismatch(ty, value)),
    }
}

/// What the host gave is not of the type it is for: the host's mistake, and the text says which.
fn mismatch(ty: &ValType, value: &Value) -> Trap {
    Trap::Host(format!("expected a value of type `{}`, got {}", ty.name(), value.name()))
}
