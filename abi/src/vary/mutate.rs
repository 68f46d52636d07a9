//! Values like a value: one place of it changed.

use super::invent::Inventor;
use crate::lift::{canonical32, canonical64, mask};
use crate::types::ValType;
use crate::value::Value;

/// Lists and strings are not made longer than this by changing them.
const LONGEST: usize = 1 << 16;

/// Changes one place of `value`, which is of type `ty` and stays so. It can come out as it was.
pub fn mutate(ty: &ValType, value: &mut Value, with: &mut Inventor<'_>) {
    if with.chance.one_in(12) {
        *value = with.value(ty);
        return;
    }
    match (ty, &mut *value) {
        (ValType::String, Value::String(text)) => *text = edited(text, with).into(),
        (ValType::List(elem), Value::List(elems)) => list(elem, elems, with),
        (ValType::FixedList(elem, _), Value::List(elems)) => one_of(elem, elems, with),
        (ValType::Map(entry), Value::Map(entries)) => map(&entry.0, &entry.1, entries, with),
        (ValType::Record(fields), Value::Record(values)) if !fields.is_empty() => {
            let at = with.chance.below(fields.len());
            mutate(&fields[at].ty, &mut values[at], with);
        }
        (ValType::Tuple(types), Value::Tuple(values)) if !types.is_empty() => {
            let at = with.chance.below(types.len());
            mutate(&types[at], &mut values[at], with);
        }
        (ValType::Variant(cases), Value::Variant(case, Some(payload))) if !with.chance.one_in(4) => {
            if let Some(ty) = cases.get(*case as usize).and_then(|case| case.ty.as_ref()) {
                mutate(ty, payload, with);
            }
        }
        (ValType::Option(ty), Value::Option(Some(payload))) if !with.chance.one_in(6) => {
            mutate(ty, payload, with);
        }
        (ValType::Result(ty), Value::Result(Ok(Some(payload)))) if !with.chance.one_in(6) => {
            ty.ok.iter().for_each(|ty| mutate(ty, payload, with));
        }
        (ValType::Result(ty), Value::Result(Err(Some(payload)))) if !with.chance.one_in(6) => {
            ty.err.iter().for_each(|ty| mutate(ty, payload, with));
        }
        (ValType::Flags(labels), Value::Flags(bits)) => {
            *bits = (*bits ^ 1 << with.chance.below(labels.len().clamp(1, 32))) & mask(labels.len());
        }
        _ => scalar(ty, value, with),
    }
}

fn scalar(ty: &ValType, value: &mut Value, with: &mut Inventor<'_>) {
    match value {
        Value::S8(n) => *n = number(u64::from(n.cast_unsigned()), with) as i8,
        Value::U8(n) => *n = number(u64::from(*n), with) as u8,
        Value::S16(n) => *n = number(u64::from(n.cast_unsigned()), with) as i16,
        Value::U16(n) => *n = number(u64::from(*n), with) as u16,
        Value::S32(n) => *n = number(u64::from(n.cast_unsigned()), with) as i32,
        Value::U32(n) => *n = number(u64::from(*n), with) as u32,
        Value::S64(n) => *n = number(n.cast_unsigned(), with).cast_signed(),
        Value::U64(n) => *n = number(*n, with),
        Value::F32(x) => *x = canonical32(float(f64::from(*x), with) as f32),
        Value::F64(x) => *x = canonical64(float(*x, with)),
        _ => *value = with.value(ty),
    }
}

fn number(n: u64, with: &mut Inventor<'_>) -> u64 {
    match with.chance.below(6) {
        0 => n.wrapping_add(1 + with.chance.below(16) as u64),
        1 => n.wrapping_sub(1 + with.chance.below(16) as u64),
        2 => n ^ 1 << with.chance.below(64),
        3 => n << 1,
        4 => n.wrapping_neg(),
        _ => with.bits(),
    }
}

fn float(x: f64, with: &mut Inventor<'_>) -> f64 {
    match with.chance.below(6) {
        0 => x + 1.0,
        1 => x - 1.0,
        2 => -x,
        3 => x * 2.0,
        4 => x / 3.0,
        _ => with.float(),
    }
}

fn one_of(ty: &ValType, elems: &mut [Value], with: &mut Inventor<'_>) {
    let at = with.chance.below(elems.len());
    if let Some(elem) = elems.get_mut(at) {
        mutate(ty, elem, with);
    }
}

fn list(ty: &ValType, elems: &mut Vec<Value>, with: &mut Inventor<'_>) {
    if elems.is_empty() || with.chance.one_in(4) {
        let at = with.chance.below(elems.len() + 1);
        return elems.insert(at, with.value(ty));
    }
    let at = with.chance.below(elems.len());
    match with.chance.below(8) {
        0 => {
            elems.remove(at);
        }
        1 if elems.len() < LONGEST => elems.insert(at, elems[at].clone()),
        2 => {
            let other = with.chance.below(elems.len());
            elems.swap(at, other);
        }
        3 => elems.truncate(at),
        4 if elems.len() * 2 <= LONGEST && ty_is_flat(ty) => elems.extend_from_within(..),
        5 => {
            let length = with.length();
            let last = elems[at].clone();
            elems.resize(length, last);
        }
        _ => mutate(ty, &mut elems[at], with),
    }
}

/// Whether doubling a list of it again and again stays cheap.
fn ty_is_flat(ty: &ValType) -> bool {
    !ty.has_pointer()
}

fn map(key: &ValType, value: &ValType, entries: &mut Vec<(Value, Value)>, with: &mut Inventor<'_>) {
    if entries.is_empty() || with.chance.one_in(4) {
        return entries.push((with.value(key), with.value(value)));
    }
    let at = with.chance.below(entries.len());
    match with.chance.below(4) {
        0 => {
            entries.swap_remove(at);
        }
        1 => mutate(key, &mut entries[at].0, with),
        _ => mutate(value, &mut entries[at].1, with),
    }
}

fn edited(text: &str, with: &mut Inventor<'_>) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = with.chance.below(chars.len() + 1);
    let end = (at + 1 + with.chance.below(4)).min(chars.len());
    match with.chance.below(10) {
        0..=2 if !chars.is_empty() => {
            let at = at.min(chars.len() - 1);
            chars[at] = with.character();
        }
        3 => {
            chars.drain(at..end);
        }
        4 if chars.len() < LONGEST => {
            let part: Vec<char> = chars[at..end].to_vec();
            chars.splice(at..at, part);
        }
        5 | 6 => {
            if let Some(known) = with.lexicon.text(with.chance) {
                let end = if with.chance.one_in(2) { at } else { end };
                chars.splice(at..end, known.chars().collect::<Vec<char>>());
            }
        }
        7 => {
            let case =
                |c: &char| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            chars.iter_mut().skip(at).take(4).for_each(|c| *c = case(c));
        }
        8 => chars.truncate(at),
        _ => chars.insert(at, with.character()),
    }
    chars.into_iter().collect()
}
