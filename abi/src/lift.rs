//! From core values and memory to component values (CanonicalABI.md, "Loading", "Flat Lifting").

use crate::fault::Trap;
use crate::flat;
use crate::layout::{Cases, Layout, offsets};
use crate::limits::{ELEMENTS_A_TURN, MAX_TYPE_DEPTH, MAX_VALUE_BYTES};
use crate::side::Side;
use crate::text;
use crate::types::ValType;
use crate::value::{Resource, Value};

/// One lifting; it ends when the host's memory for it is used up.
pub(crate) struct Lift<'s> {
    side: &'s mut dyn Side,
    bytes: usize,
    depth: u32,
    /// If it only looks: how many values and characters of strings it looks at still. Of what is longer it gives the
    /// beginning.
    rest: Option<usize>,
}

impl<'s> Lift<'s> {
    pub(crate) fn new(side: &'s mut dyn Side) -> Lift<'s> {
        Lift { side, bytes: 0, depth: 0, rest: None }
    }

    /// A look at a value of which no more than `values` values and characters are wanted. Its lists and strings may be
    /// shorter than they are.
    pub(crate) fn peeking(side: &'s mut dyn Side, values: usize) -> Lift<'s> {
        Lift { rest: Some(values), ..Lift::new(side) }
    }

    /// `lift_flat`: reads slots from `at` on.
    pub(crate) fn flat(&mut self, ty: &ValType, core: &[u64], at: &mut usize) -> Result<Value, Trap> {
        self.enter()?;
        let value = match ty {
            ValType::String => {
                let (pointer, tagged) = (low(core, at)?, low(core, at)?);
                self.string(pointer, tagged)?
            }
            ValType::List(elem) => {
                let (pointer, count) = (low(core, at)?, low(core, at)?);
                Value::List(self.list(elem, pointer, count)?)
            }
            ValType::Map(entry) => {
                let (pointer, count) = (low(core, at)?, low(core, at)?);
                Value::Map(self.map(entry, pointer, count)?)
            }
            ValType::FixedList(elem, count) => {
                let elems = (0..*count).map(|_| self.flat(elem, core, at));
                Value::List(elems.collect::<Result<_, _>>()?)
            }
            ValType::Record(fields) => {
                let fields = fields.iter().map(|field| self.flat(&field.ty, core, at));
                Value::Record(fields.collect::<Result<_, _>>()?)
            }
            ValType::Tuple(types) => {
                let types = types.iter().map(|ty| self.flat(ty, core, at));
                Value::Tuple(types.collect::<Result<_, _>>()?)
            }
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let (start, discriminant) = (*at, low(core, at)?);
                let payload = match payload_of(ty, discriminant)? {
                    Some(payload) => Some(self.flat(payload, core, at)?),
                    None => None,
                };
                *at = start + flat::flatten(ty).len();
                case(ty, discriminant, payload)?
            }
            _ => {
                let bits = next(core, at)?;
                self.scalar(ty, bits)?
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    /// `load`: the pointer has been checked for the type.
    pub(crate) fn load(&mut self, ty: &ValType, pointer: u32) -> Result<Value, Trap> {
        self.enter()?;
        let value = match ty {
            ValType::String => {
                let (begin, tagged) = self.side.read_pair(pointer)?;
                self.string(begin, tagged)?
            }
            ValType::List(elem) => {
                let (begin, count) = self.side.read_pair(pointer)?;
                Value::List(self.list(elem, begin, count)?)
            }
            ValType::Map(entry) => {
                let (begin, count) = self.side.read_pair(pointer)?;
                Value::Map(self.map(entry, begin, count)?)
            }
            ValType::FixedList(elem, count) => Value::List(self.elements(elem, pointer, *count)?),
            ValType::Record(fields) => {
                Value::Record(self.tuple(fields.iter().map(|field| &field.ty), pointer)?)
            }
            ValType::Tuple(types) => Value::Tuple(self.tuple(types.iter(), pointer)?),
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                let cases = Cases::of(ty).ok_or(NO_CASES)?;
                let discriminant = self.side.read_uint(pointer, cases.discriminant)? as u32;
                let payload = match payload_of(ty, discriminant)? {
                    Some(payload) => Some(self.load(payload, add(pointer, cases.payload)?)?),
                    None => None,
                };
                case(ty, discriminant, payload)?
            }
            _ => {
                let bits = self.side.read_uint(pointer, Layout::of(ty).size)?;
                self.scalar(ty, bits)?
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    /// `load_record`, by position.
    pub(crate) fn tuple<'t>(
        &mut self,
        types: impl Iterator<Item = &'t ValType>,
        pointer: u32,
    ) -> Result<Vec<Value>, Trap> {
        let mut end = 0;
        let mut values = Vec::new();
        for ty in types {
            let layout = Layout::of(ty);
            let at = crate::layout::align_to(end, layout.align);
            values.push(self.load(ty, add(pointer, at)?)?);
            end = at.saturating_add(layout.size);
        }
        Ok(values)
    }

    fn string(&mut self, pointer: u32, tagged: u32) -> Result<Value, Trap> {
        let text = match self.rest {
            None => text::lift(self.side, pointer, tagged)?,
            Some(rest) => text::lift_start(self.side, pointer, tagged, rest)?,
        };
        self.looked_at(if self.rest.is_some() { text.chars().count() } else { 0 });
        self.spend(text.len())?;
        Ok(Value::String(text.into_boxed_str()))
    }

    /// `load_list_from_range`
    fn list(&mut self, elem: &ValType, pointer: u32, count: u32) -> Result<Vec<Value>, Trap> {
        self.side.check_list(pointer, count, Layout::of(elem))?;
        self.elements(elem, pointer, count)
    }

    /// A list of pairs.
    fn map(
        &mut self,
        entry: &(ValType, ValType),
        pointer: u32,
        count: u32,
    ) -> Result<Vec<(Value, Value)>, Trap> {
        let types = [&entry.0, &entry.1];
        let layout = Layout::tuple(types.into_iter());
        self.side.check_list(pointer, count, layout)?;
        let value = offsets(types.into_iter()).nth(1).unwrap_or(0);
        let mut entries = Vec::new();
        for i in 0..self.wanted(count) {
            let at = add(pointer, i * layout.size)?;
            entries.push((self.load(&entry.0, at)?, self.load(&entry.1, add(at, value)?)?));
        }
        Ok(entries)
    }

    /// `load_list_from_valid_range`
    fn elements(&mut self, elem: &ValType, pointer: u32, count: u32) -> Result<Vec<Value>, Trap> {
        let size = Layout::of(elem).size;
        let count = self.wanted(count);
        if *elem == ValType::U8 {
            self.looked_at(count as usize);
            self.spend((count as usize).saturating_mul(size_of::<Value>()))?;
            let mut elems = Vec::with_capacity(count as usize);
            for first in (0..count).step_by(ELEMENTS_A_TURN as usize) {
                let bytes =
                    self.side.bytes("list", add(pointer, first)?, ELEMENTS_A_TURN.min(count - first))?;
                elems.extend(bytes.iter().map(|byte| Value::U8(*byte)));
                self.side.checkpoint()?;
            }
            return Ok(elems);
        }
        let mut elems = Vec::new();
        for i in 0..count {
            if i % ELEMENTS_A_TURN == ELEMENTS_A_TURN - 1 {
                self.side.checkpoint()?;
            }
            elems.push(self.load(elem, add(pointer, i.saturating_mul(size))?)?);
        }
        Ok(elems)
    }

    /// A value that is one core value; `bits` can have more of them set than the type has.
    pub(crate) fn scalar(&mut self, ty: &ValType, bits: u64) -> Result<Value, Trap> {
        let low = bits as u32;
        Ok(match ty {
            ValType::Bool => Value::Bool(low != 0),
            ValType::S8 => Value::S8(low as i8),
            ValType::U8 => Value::U8(low as u8),
            ValType::S16 => Value::S16(low as i16),
            ValType::U16 => Value::U16(low as u16),
            ValType::S32 => Value::S32(low as i32),
            ValType::U32 => Value::U32(low),
            ValType::S64 => Value::S64(bits as i64),
            ValType::U64 => Value::U64(bits),
            ValType::F32 => Value::F32(canonical32(f32::from_bits(low))),
            ValType::F64 => Value::F64(canonical64(f64::from_bits(bits))),
            ValType::Char => Value::Char(char::from_u32(low).ok_or(Trap::InvalidChar(low))?),
            ValType::Flags(labels) => Value::Flags(low & mask(labels.len())),
            ValType::Own(ty) => {
                let rep = self.side.lift_own(*ty, low)?;
                Value::Own(Resource { ty: *ty, rep, generation: self.side.generation(*ty) })
            }
            ValType::Borrow(ty) => {
                let rep = self.side.lift_borrow(*ty, low)?;
                Value::Borrow(Resource { ty: *ty, rep, generation: self.side.generation(*ty) })
            }
            _ => return Err(Trap::Unsupported("a stream, future or error-context as a value")),
        })
    }

    /// How many of `count` elements are lifted.
    fn wanted(&self, count: u32) -> u32 {
        self.rest.map_or(count, |rest| count.min(u32::try_from(rest).unwrap_or(u32::MAX)))
    }

    fn looked_at(&mut self, values: usize) {
        if let Some(rest) = &mut self.rest {
            *rest = rest.saturating_sub(values);
        }
    }

    fn enter(&mut self) -> Result<(), Trap> {
        self.looked_at(1);
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH {
            return Err(TOO_DEEP);
        }
        self.spend(size_of::<Value>())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Trap> {
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

pub(crate) const TOO_DEEP: Trap = Trap::Unsupported("a value type nested deeper than validation allows");
pub(crate) const NO_CASES: Trap = Trap::Unsupported("a variant type without cases");

/// The bits that a `flags` of this many labels has.
pub(crate) const fn mask(labels: usize) -> u32 {
    if labels >= 32 { u32::MAX } else { (1 << labels) - 1 }
}

pub(crate) fn canonical32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7FC0_0000) } else { value }
}

pub(crate) fn canonical64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(0x7FF8_0000_0000_0000) } else { value }
}

pub(crate) fn add(pointer: u32, offset: u32) -> Result<u32, Trap> {
    pointer.checked_add(offset).ok_or(Trap::MemoryOutOfBounds)
}

/// The payload type of case `discriminant` of a variant-like type.
pub(crate) fn payload_of(ty: &ValType, discriminant: u32) -> Result<Option<&ValType>, Trap> {
    let case = discriminant as usize;
    let (payload, cases) = match ty {
        ValType::Variant(cases) => (cases.get(case).map(|case| case.ty.as_ref()), cases.len()),
        ValType::Enum(labels) => (labels.get(case).map(|_| None), labels.len()),
        ValType::Option(some) => ([None, Some(&**some)].get(case).copied(), 2),
        ValType::Result(result) => ([result.ok.as_ref(), result.err.as_ref()].get(case).copied(), 2),
        _ => return Err(NO_CASES),
    };
    payload.ok_or(Trap::InvalidDiscriminant { discriminant, cases: u32::try_from(cases).unwrap_or(u32::MAX) })
}

fn case(ty: &ValType, discriminant: u32, payload: Option<Value>) -> Result<Value, Trap> {
    let payload = payload.map(Box::new);
    Ok(match (ty, discriminant) {
        (ValType::Variant(_), _) => Value::Variant(discriminant, payload),
        (ValType::Enum(_), _) => Value::Enum(discriminant),
        (ValType::Option(_), _) => Value::Option(payload),
        (ValType::Result(_), 0) => Value::Result(Ok(payload)),
        (ValType::Result(_), _) => Value::Result(Err(payload)),
        _ => return Err(NO_CASES),
    })
}

fn next(core: &[u64], at: &mut usize) -> Result<u64, Trap> {
    let value = core.get(*at).ok_or(Trap::Unsupported("a call with too few core values"))?;
    *at += 1;
    Ok(*value)
}

fn low(core: &[u64], at: &mut usize) -> Result<u32, Trap> {
    next(core, at).map(|value| value as u32)
}
