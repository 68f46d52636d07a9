//! Component values as a script writes and compares them.

use abi::types::ValType;
use abi::value::Value;
use wast::component::WastVal;

/// The value that a script's constant has at a type, or why it has none.
pub(super) fn value(constant: &WastVal, ty: &ValType) -> Result<Value, String> {
    use WastVal as W;
    Ok(match (constant, ty) {
        (W::Bool(v), ValType::Bool) => Value::Bool(*v),
        (W::U8(v), ValType::U8) => Value::U8(*v),
        (W::S8(v), ValType::S8) => Value::S8(*v),
        (W::U16(v), ValType::U16) => Value::U16(*v),
        (W::S16(v), ValType::S16) => Value::S16(*v),
        (W::U32(v), ValType::U32) => Value::U32(*v),
        (W::S32(v), ValType::S32) => Value::S32(*v),
        (W::U64(v), ValType::U64) => Value::U64(*v),
        (W::S64(v), ValType::S64) => Value::S64(*v),
        (W::F32(v), ValType::F32) => Value::F32(f32::from_bits(v.bits)),
        (W::F64(v), ValType::F64) => Value::F64(f64::from_bits(v.bits)),
        (W::Char(v), ValType::Char) => Value::Char(*v),
        (W::String(v), ValType::String) => Value::String((*v).into()),
        (W::List(items), ValType::List(element)) => Value::List(list(items, element)?),
        (W::List(items), ValType::FixedList(element, length)) if items.len() == *length as usize => {
            Value::List(list(items, element)?)
        }
        (W::List(items), ValType::Map(entry)) => Value::Map(map(items, entry)?),
        (W::Record(fields), ValType::Record(types)) if fields.len() == types.len() => {
            let one = |((name, field), ty): (&(&str, WastVal), &abi::types::Field)| {
                if **name == *ty.name {
                    value(field, &ty.ty)
                } else {
                    Err(mismatch(constant, "another record"))
                }
            };
            Value::Record(fields.iter().zip(types.iter()).map(one).collect::<Result<_, _>>()?)
        }
        (W::Tuple(items), ValType::Tuple(types)) if items.len() == types.len() => {
            let items = items.iter().zip(types.iter()).map(|(item, ty)| value(item, ty));
            Value::Tuple(items.collect::<Result<_, _>>()?)
        }
        (W::Variant(name, payload), ValType::Variant(cases)) => {
            let case = cases.iter().position(|case| *case.name == **name);
            let case = case.ok_or_else(|| mismatch(constant, "a variant without this case"))?;
            Value::Variant(index(case), boxed(payload.as_deref(), cases[case].ty.as_ref())?)
        }
        (W::Enum(name), ValType::Enum(names)) => Value::Enum(label(constant, name, names)?),
        (W::Option(payload), ValType::Option(some)) => match payload {
            Some(payload) => Value::Option(Some(Box::new(value(payload, some)?))),
            None => Value::Option(None),
        },
        (W::Result(result), ValType::Result(types)) => Value::Result(match result {
            Ok(payload) => Ok(boxed(payload.as_deref(), types.ok.as_ref())?),
            Err(payload) => Err(boxed(payload.as_deref(), types.err.as_ref())?),
        }),
        (W::Flags(set), ValType::Flags(names)) => {
            let mut bits = 0;
            for name in set {
                bits |= 1 << label(constant, name, names)?;
            }
            Value::Flags(bits)
        }
        (constant, ty) => return Err(mismatch(constant, &ty.to_string())),
    })
}

fn list(items: &[WastVal], element: &ValType) -> Result<Vec<Value>, String> {
    items.iter().map(|item| value(item, element)).collect()
}

fn map(items: &[WastVal], entry: &(ValType, ValType)) -> Result<Vec<(Value, Value)>, String> {
    let pair = |item: &WastVal| match item {
        WastVal::Tuple(pair) if pair.len() == 2 => {
            Ok((value(&pair[0], &entry.0)?, value(&pair[1], &entry.1)?))
        }
        other => Err(mismatch(other, "an entry of a map")),
    };
    items.iter().map(pair).collect()
}

fn boxed(payload: Option<&WastVal>, ty: Option<&ValType>) -> Result<Option<Box<Value>>, String> {
    match (payload, ty) {
        (None, None) => Ok(None),
        (Some(payload), Some(ty)) => Ok(Some(Box::new(value(payload, ty)?))),
        (Some(payload), None) => Err(mismatch(payload, "a case without payload")),
        (None, Some(ty)) => Err(format!("a payload of type {ty} is missing")),
    }
}

fn label(constant: &WastVal, name: &str, names: &[Box<str>]) -> Result<u32, String> {
    let at = names.iter().position(|label| **label == *name);
    at.map(index).ok_or_else(|| mismatch(constant, &format!("a type without the label `{name}`")))
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a type has fewer than 2^32 labels")
}

fn mismatch(constant: &WastVal, found: &str) -> String {
    format!("{constant:?} is no value of {found}")
}

/// Whether two values are the same: floats by their bits, any NaN like any other, as the canonical ABI may
/// canonicalise them on the way.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let payload = |a: &Option<Box<Value>>, b: &Option<Box<Value>>| match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    };
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b))
        | (Value::Record(a), Value::Record(b))
        | (Value::Tuple(a), Value::Tuple(b)) => all(a, b),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        (Value::Variant(a, x), Value::Variant(b, y)) => a == b && payload(x, y),
        (Value::Option(a), Value::Option(b)) => payload(a, b),
        (Value::Result(Ok(a)), Value::Result(Ok(b))) | (Value::Result(Err(a)), Value::Result(Err(b))) => {
            payload(a, b)
        }
        (a, b) => a == b,
    }
}
