//! Values to bytes.

use super::{Message, Slot, WireError, discriminant_bytes, flags_bytes};
use crate::lift::{TOO_DEEP, canonical32, canonical64, mask};
use crate::limits::MAX_TYPE_DEPTH;
use crate::types::ValType;
use crate::value::{Resource, Value};

/// Appends values of these types.
///
/// # Errors
/// A value is not of its type, or there are more or fewer values than types: the sender's own mistake.
pub fn pack<'t>(
    types: impl ExactSizeIterator<Item = &'t ValType>,
    values: &[Value],
    message: &mut Message,
) -> Result<(), WireError> {
    if types.len() != values.len() {
        return Err(odd(message, &format!("{} values", types.len()), &format!("{}", values.len())));
    }
    types.zip(values).try_for_each(|(ty, value)| pack_one(ty, value, message, 0))
}

pub(super) fn pack_one(
    ty: &ValType,
    value: &Value,
    message: &mut Message,
    depth: u32,
) -> Result<(), WireError> {
    if depth >= MAX_TYPE_DEPTH {
        return Err(odd(message, "a type of legal depth", &TOO_DEEP.to_string()));
    }
    let depth = depth + 1;
    let bytes = &mut message.bytes;
    match (ty, value) {
        (ValType::Bool, Value::Bool(value)) => bytes.push(u8::from(*value)),
        (ValType::S8, Value::S8(value)) => bytes.push(*value as u8),
        (ValType::U8, Value::U8(value)) => bytes.push(*value),
        (ValType::S16, Value::S16(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::U16, Value::U16(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::S32, Value::S32(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::U32, Value::U32(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::S64, Value::S64(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::U64, Value::U64(value)) => bytes.extend(value.to_le_bytes()),
        (ValType::F32, Value::F32(value)) => bytes.extend(canonical32(*value).to_bits().to_le_bytes()),
        (ValType::F64, Value::F64(value)) => bytes.extend(canonical64(*value).to_bits().to_le_bytes()),
        (ValType::Char, Value::Char(value)) => bytes.extend(u32::from(*value).to_le_bytes()),
        (ValType::String, Value::String(text)) => {
            length(message, text.len())?;
            message.bytes.extend_from_slice(text.as_bytes());
        }
        (ValType::List(elem), Value::List(elems)) => {
            length(message, elems.len())?;
            list(elem, elems, message, depth)?;
        }
        (ValType::FixedList(elem, count), Value::List(elems)) if elems.len() == *count as usize => {
            list(elem, elems, message, depth)?;
        }
        (ValType::Map(entry), Value::Map(entries)) => {
            length(message, entries.len())?;
            for (key, value) in entries {
                pack_one(&entry.0, key, message, depth)?;
                pack_one(&entry.1, value, message, depth)?;
            }
        }
        (ValType::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
            for (field, value) in fields.iter().zip(values) {
                pack_one(&field.ty, value, message, depth)?;
            }
        }
        (ValType::Tuple(types), Value::Tuple(values)) if types.len() == values.len() => {
            for (ty, value) in types.iter().zip(values) {
                pack_one(ty, value, message, depth)?;
            }
        }
        (ValType::Flags(labels), Value::Flags(bits)) => {
            let bits = (bits & mask(labels.len())).to_le_bytes();
            bytes.extend_from_slice(&bits[..flags_bytes(labels.len())]);
        }
        (ValType::Own(of), Value::Own(own)) if own.ty == *of => slot(message, true, *own),
        (ValType::Borrow(of), Value::Borrow(borrow)) if borrow.ty == *of => slot(message, false, *borrow),
        _ => return pack_case(ty, value, message, depth),
    }
    Ok(())
}

/// A value of a type with cases; any other is a mismatch.
fn pack_case(ty: &ValType, value: &Value, message: &mut Message, depth: u32) -> Result<(), WireError> {
    let (cases, case, payload_type, payload) = match (ty, value) {
        (ValType::Variant(cases), Value::Variant(case, payload)) => {
            let found = cases.get(*case as usize).ok_or_else(|| mismatch(message, ty, value))?;
            (cases.len(), *case, found.ty.as_ref(), payload.as_deref())
        }
        (ValType::Enum(labels), Value::Enum(case)) if (*case as usize) < labels.len() => {
            (labels.len(), *case, None, None)
        }
        (ValType::Option(some), Value::Option(payload)) => {
            let case = u32::from(payload.is_some());
            (2, case, payload.is_some().then_some(&**some), payload.as_deref())
        }
        (ValType::Result(result), Value::Result(Ok(payload))) => {
            (2, 0, result.ok.as_ref(), payload.as_deref())
        }
        (ValType::Result(result), Value::Result(Err(payload))) => {
            (2, 1, result.err.as_ref(), payload.as_deref())
        }
        _ => return Err(mismatch(message, ty, value)),
    };
    message.bytes.extend_from_slice(&case.to_le_bytes()[..discriminant_bytes(cases)]);
    match (payload_type, payload) {
        (Some(ty), Some(value)) => pack_one(ty, value, message, depth),
        (None, None) => Ok(()),
        _ => Err(mismatch(message, ty, value)),
    }
}

fn list(elem: &ValType, elems: &[Value], message: &mut Message, depth: u32) -> Result<(), WireError> {
    if *elem != ValType::U8 {
        return elems.iter().try_for_each(|value| pack_one(elem, value, message, depth));
    }
    message.bytes.reserve(elems.len());
    for value in elems {
        let Value::U8(byte) = value else { return Err(mismatch(message, elem, value)) };
        message.bytes.push(*byte);
    }
    Ok(())
}

pub(super) fn length(message: &mut Message, len: usize) -> Result<(), WireError> {
    match u32::try_from(len) {
        Ok(len) => {
            message.bytes.extend(len.to_le_bytes());
            Ok(())
        }
        Err(_) => Err(odd(message, "a length below 2^32", &format!("{len}"))),
    }
}

fn slot(message: &mut Message, is_own: bool, resource: Resource) {
    message.slots.push(Slot { is_own, resource });
}

#[cold]
fn mismatch(message: &Message, ty: &ValType, value: &Value) -> WireError {
    odd(message, &format!("a value of type `{}`", ty.name()), value.name())
}

#[cold]
fn odd(message: &Message, expected: &str, found: &str) -> WireError {
    let at = message.bytes.len();
    WireError { expected: expected.to_owned(), found: found.to_owned(), at, len: at }
}
