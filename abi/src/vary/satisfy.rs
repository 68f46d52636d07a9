//! Values that make equal what a program compared: where one operand stands in a value, the other is put there.

use crate::types::ValType;
use crate::value::Value;

/// Elements and bytes that a list or text is made at most, where a comparison was with its length.
const LONGEST: u64 = 1 << 14;
/// Values made of one comparison at most.
const MOST: usize = 24;
/// Elements of a list, and bytes of a text, that are looked at.
const LOOKED: usize = 48;
/// The same for bytes.
const LOOKED_BYTES: usize = 512;

/// Two things that a program compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair<'p> {
    /// Integers of this many bits (or the bits of floats), zero-extended.
    Numbers {
        /// 32 or 64.
        bits: u32,
        /// What is looked for.
        from: u64,
        /// What is put in its place.
        to: u64,
    },
    /// Texts.
    Texts {
        /// What is looked for.
        from: &'p [u8],
        /// What is put in its place.
        to: &'p [u8],
    },
}

/// Values of type `ty` like `value` in which one place that could be `from` became `to`.
#[must_use]
pub fn satisfying(ty: &ValType, value: &Value, pair: Pair<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    let pair = &Search { pair, needles: needles(pair) };
    visit(ty, value, pair, &mut found);
    found.truncate(MOST);
    found
}

/// What is looked for.
struct Search<'p> {
    pair: Pair<'p>,
    /// As bytes: what is looked for, and what is put in its place.
    needles: Vec<(Vec<u8>, Vec<u8>)>,
}

fn visit(ty: &ValType, value: &Value, pair: &Search<'_>, found: &mut Vec<Value>) {
    if found.len() >= MOST {
        return;
    }
    match (ty, value) {
        (ValType::List(elem), Value::List(elems)) => {
            if let Some(length) = length(pair, elems.len())
                && let Some(last) = elems.last()
            {
                let mut elems = elems.clone();
                let last = last.clone();
                elems.resize(length, last);
                found.push(Value::List(elems));
            }
            match bytes_of(elem, elems) {
                Some(bytes) => {
                    found.extend(
                        replaced(&bytes, pair)
                            .into_iter()
                            .map(|bytes| Value::List(bytes.into_iter().map(Value::U8).collect())),
                    );
                }
                None => each(elems, |_| elem, pair, Value::List, found),
            }
        }
        (ValType::FixedList(elem, _), Value::List(elems)) => each(elems, |_| elem, pair, Value::List, found),
        (ValType::Record(fields), Value::Record(values)) => {
            each(values, |at| &fields[at].ty, pair, Value::Record, found);
        }
        (ValType::Tuple(types), Value::Tuple(values)) => {
            each(values, |at| &types[at], pair, Value::Tuple, found)
        }
        (ValType::Variant(cases), Value::Variant(case, Some(payload))) => {
            if let Some(ty) = &cases[*case as usize].ty {
                inner(ty, payload, pair, found, |value| Value::Variant(*case, Some(value)));
            }
        }
        (ValType::Option(ty), Value::Option(Some(payload))) => {
            inner(ty, payload, pair, found, |value| Value::Option(Some(value)));
        }
        (ValType::Result(ty), Value::Result(Ok(Some(payload)))) => {
            if let Some(ty) = &ty.ok {
                inner(ty, payload, pair, found, |value| Value::Result(Ok(Some(value))));
            }
        }
        (ValType::Result(ty), Value::Result(Err(Some(payload)))) => {
            if let Some(ty) = &ty.err {
                inner(ty, payload, pair, found, |value| Value::Result(Err(Some(value))));
            }
        }
        (_, Value::String(text)) => {
            if let Some(length) = length(pair, text.len()) {
                let chars = text.chars().chain(std::iter::repeat('a')).take(length);
                found.push(Value::String(chars.collect::<String>().into()));
            }
            let texts =
                replaced(text.as_bytes(), pair).into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
            found.extend(texts.map(|text| Value::String(text.into())));
        }
        _ => found.extend(scalar(value, pair)),
    }
}

fn inner(
    ty: &ValType,
    payload: &Value,
    pair: &Search<'_>,
    found: &mut Vec<Value>,
    wrap: impl Fn(Box<Value>) -> Value,
) {
    let mut inside = Vec::new();
    visit(ty, payload, pair, &mut inside);
    found.extend(inside.into_iter().map(|value| wrap(Box::new(value))));
}

fn each<'t>(
    values: &[Value],
    ty: impl Fn(usize) -> &'t ValType,
    pair: &Search<'_>,
    make: fn(Vec<Value>) -> Value,
    found: &mut Vec<Value>,
) {
    for (at, value) in values.iter().enumerate().take(LOOKED) {
        let mut inside = Vec::new();
        visit(ty(at), value, pair, &mut inside);
        found.extend(inside.into_iter().map(|value| {
            let mut values = values.to_vec();
            values[at] = value;
            make(values)
        }));
        if found.len() >= MOST {
            return;
        }
    }
}

/// The new length of something of length `len`, if that is what was compared.
fn length(pair: &Search<'_>, len: usize) -> Option<usize> {
    match pair.pair {
        Pair::Numbers { from, to, .. } if from == len as u64 && to <= LONGEST => Some(to as usize),
        _ => None,
    }
}

fn bytes_of(elem: &ValType, elems: &[Value]) -> Option<Vec<u8>> {
    if *elem != ValType::U8 {
        return None;
    }
    elems.iter().map(|elem| if let Value::U8(byte) = elem { Some(*byte) } else { None }).collect()
}

/// `bytes` with one occurrence of what is looked for replaced.
fn replaced(bytes: &[u8], pair: &Search<'_>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let looked = &bytes[..bytes.len().min(LOOKED_BYTES)];
    for (from, to) in &pair.needles {
        let places = looked.windows(from.len()).enumerate().filter(|(_, window)| window == from);
        for (at, _) in places.take(8) {
            found.push([&bytes[..at], to, &bytes[at + from.len()..]].concat());
        }
    }
    found
}

/// The operands as bytes: numbers in as few as hold them, in both orders.
fn needles(pair: Pair<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut needles: Vec<(Vec<u8>, Vec<u8>)> = match pair {
        Pair::Texts { from, to } => vec![(from.to_vec(), to.to_vec())],
        Pair::Numbers { bits, from, to } => [1, 2, 4, 8]
            .into_iter()
            .filter(|width| *width <= bits / 8 && (*width == 8 || (from | to) >> (width * 8) == 0))
            .flat_map(|width| {
                let cut = |n: u64| n.to_le_bytes()[..width as usize].to_vec();
                let reversed = |n: u64| cut(n).into_iter().rev().collect();
                let little = (cut(from), cut(to));
                if width == 1 { vec![little] } else { vec![little, (reversed(from), reversed(to))] }
            })
            .collect(),
    };
    needles.retain(|(from, _)| !from.is_empty());
    needles
}

/// The scalar with the other operand's value, and the ones beside it, if its own is what was looked for.
fn scalar(value: &Value, pair: &Search<'_>) -> Vec<Value> {
    let Pair::Numbers { bits, from, to } = pair.pair else { return Vec::new() };
    let low = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    let near = [to, to.wrapping_add(1), to.wrapping_sub(1)];
    let fits = |sign_extended: i64| sign_extended.cast_unsigned() & low == from;
    let make = |matches: bool, to_value: &dyn Fn(u64) -> Value| -> Vec<Value> {
        if matches { near.into_iter().map(to_value).collect() } else { Vec::new() }
    };
    match value {
        Value::Bool(b) => make(u64::from(*b) == from && to < 2, &|n| Value::Bool(n == 1)),
        Value::S8(n) => make(fits(i64::from(*n)), &|n| Value::S8(n as i8)),
        Value::U8(n) => make(u64::from(*n) == from, &|n| Value::U8(n as u8)),
        Value::S16(n) => make(fits(i64::from(*n)), &|n| Value::S16(n as i16)),
        Value::U16(n) => make(u64::from(*n) == from, &|n| Value::U16(n as u16)),
        Value::S32(n) => make(fits(i64::from(*n)), &|n| Value::S32(n as i32)),
        Value::U32(n) => make(u64::from(*n) == from, &|n| Value::U32(n as u32)),
        Value::S64(n) => make(fits(*n), &|n| Value::S64(n.cast_signed())),
        Value::U64(n) => make(*n & low == from, &|n| Value::U64(n)),
        Value::Char(c) => {
            let chars = near.into_iter().filter_map(|n| char::from_u32(u32::try_from(n).ok()?));
            if u64::from(u32::from(*c)) == from { chars.map(Value::Char).collect() } else { Vec::new() }
        }
        Value::F32(x) if bits == 32 && u64::from(x.to_bits()) == from => {
            vec![Value::F32(crate::lift::canonical32(f32::from_bits(to as u32)))]
        }
        Value::F64(x) if bits == 64 && x.to_bits() == from => {
            vec![Value::F64(crate::lift::canonical64(f64::from_bits(to)))]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pair, satisfying};
    use crate::types::ValType;
    use crate::value::Value;

    const fn numbers(bits: u32, from: u64, to: u64) -> Pair<'static> {
        Pair::Numbers { bits, from, to }
    }

    #[test]
    fn puts_what_was_wanted_where_the_other_was() {
        let found = satisfying(&ValType::S32, &Value::S32(-5), numbers(32, 0xFFFF_FFFB, 0xC0FFEE));
        assert_eq!(found[0], Value::S32(0xC0_FFEE));
        let found = satisfying(&ValType::U8, &Value::U8(3), numbers(32, 4, 9));
        assert_eq!(found, []);
        let text = Value::String("say abcd".into());
        let found = satisfying(
            &ValType::String,
            &text,
            numbers(32, u64::from(u32::from_le_bytes(*b"abcd")), u64::from(u32::from_le_bytes(*b"open"))),
        );
        assert_eq!(found[0], Value::String("say open".into()));
        let found = satisfying(&ValType::String, &text, Pair::Texts { from: b"abcd", to: b"sesame" });
        assert_eq!(found[0], Value::String("say sesame".into()));
        let found = satisfying(&ValType::String, &Value::String("ab".into()), numbers(32, 2, 5));
        assert_eq!(found[0], Value::String("abaaa".into()));
        let ty = ValType::Option(std::sync::Arc::new(ValType::U64));
        let found = satisfying(&ty, &Value::Option(Some(Box::new(Value::U64(7)))), numbers(64, 7, 1 << 40));
        assert_eq!(found[0], Value::Option(Some(Box::new(Value::U64(1 << 40)))));
    }
}
