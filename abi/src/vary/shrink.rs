//! Values simpler than a value: shorter, smaller, earlier.

use crate::types::ValType;
use crate::value::{Resource, Value};

/// Values of type `ty` that are simpler than `value`, the simplest first. None is equal to it, and a chain of them ends.
#[must_use]
pub fn simpler(ty: &ValType, value: &Value) -> Vec<Value> {
    let mut found: Vec<Value> = match (ty, value) {
        (_, Value::Bool(true)) => vec![Value::Bool(false)],
        (_, Value::S8(n)) => signed(i64::from(*n)).map(|n| Value::S8(n as i8)).collect(),
        (_, Value::S16(n)) => signed(i64::from(*n)).map(|n| Value::S16(n as i16)).collect(),
        (_, Value::S32(n)) => signed(i64::from(*n)).map(|n| Value::S32(n as i32)).collect(),
        (_, Value::S64(n)) => signed(*n).map(Value::S64).collect(),
        (_, Value::U8(n)) => unsigned(u64::from(*n)).map(|n| Value::U8(n as u8)).collect(),
        (_, Value::U16(n)) => unsigned(u64::from(*n)).map(|n| Value::U16(n as u16)).collect(),
        (_, Value::U32(n)) => unsigned(u64::from(*n)).map(|n| Value::U32(n as u32)).collect(),
        (_, Value::U64(n)) => unsigned(*n).map(Value::U64).collect(),
        (_, Value::F32(x)) => floats(f64::from(*x)).map(|x| Value::F32(x as f32)).collect(),
        (_, Value::F64(x)) => floats(*x).map(Value::F64).collect(),
        (_, Value::Char(c)) => ['a', ' '].into_iter().filter(|s| s < c).map(Value::Char).collect(),
        (_, Value::String(text)) => texts(text),
        (_, Value::Flags(bits)) => {
            (0..32).filter(|bit| bits >> bit & 1 != 0).map(|bit| Value::Flags(bits & !(1 << bit))).collect()
        }
        (ValType::Enum(_), Value::Enum(case)) if *case > 0 => vec![Value::Enum(0), Value::Enum(case - 1)],
        (_, Value::Own(handle)) if handle.rep > 0 => {
            [0, handle.rep - 1].map(|rep| Value::Own(Resource { rep, ..*handle })).to_vec()
        }
        (_, Value::Borrow(handle)) if handle.rep > 0 => {
            [0, handle.rep - 1].map(|rep| Value::Borrow(Resource { rep, ..*handle })).to_vec()
        }
        (ValType::List(elem), Value::List(elems)) => lists(elems, |value| simpler(elem, value)),
        (ValType::FixedList(elem, _), Value::List(elems)) => {
            parts(elems, |_, value| simpler(elem, value), Value::List)
        }
        (ValType::Map(entry), Value::Map(entries)) => maps(&entry.0, &entry.1, entries),
        (ValType::Record(fields), Value::Record(values)) => {
            parts(values, |at, value| simpler(&fields[at].ty, value), Value::Record)
        }
        (ValType::Tuple(types), Value::Tuple(values)) => {
            parts(values, |at, value| simpler(&types[at], value), Value::Tuple)
        }
        (ValType::Variant(cases), Value::Variant(case, payload)) => {
            let bare = (0..*case).filter(|case| cases[*case as usize].ty.is_none());
            let mut found: Vec<Value> = bare.map(|case| Value::Variant(case, None)).collect();
            if let (Some(ty), Some(payload)) = (&cases[*case as usize].ty, payload) {
                let inner = simpler(ty, payload).into_iter();
                found.extend(inner.map(|value| Value::Variant(*case, Some(Box::new(value)))));
            }
            found
        }
        (ValType::Option(ty), Value::Option(Some(payload))) => {
            let inner = simpler(ty, payload).into_iter().map(|value| Value::Option(Some(Box::new(value))));
            std::iter::once(Value::Option(None)).chain(inner).collect()
        }
        (ValType::Result(ty), Value::Result(Ok(Some(payload)))) => {
            let inner = ty.ok.iter().flat_map(|ty| simpler(ty, payload));
            inner.map(|value| Value::Result(Ok(Some(Box::new(value))))).collect()
        }
        (ValType::Result(ty), Value::Result(Err(Some(payload)))) => {
            let inner = ty.err.iter().flat_map(|ty| simpler(ty, payload));
            inner.map(|value| Value::Result(Err(Some(Box::new(value))))).collect()
        }
        _ => Vec::new(),
    };
    found.retain(|simpler| simpler != value);
    found
}

/// Towards 0 by halves, then by ones.
fn unsigned(n: u64) -> impl Iterator<Item = u64> {
    [0, 1, n / 2, n - n / 8, n.saturating_sub(1)].into_iter().filter(move |simpler| *simpler < n)
}

fn signed(n: i64) -> impl Iterator<Item = i64> {
    let all = [0, 1, n.checked_neg().unwrap_or(0), n / 2, n - n / 8, n - n.signum()];
    all.into_iter().filter(move |simpler| {
        simpler.unsigned_abs() < n.unsigned_abs() || (simpler.unsigned_abs() == n.unsigned_abs() && n < 0)
    })
}

fn floats(x: f64) -> impl Iterator<Item = f64> {
    let all = [0.0, 1.0, x.trunc(), (x / 2.0).trunc(), x.abs()];
    let weight = |x: f64| {
        let digits = if x.fract() == 0.0 { 0.0 } else { 0.5 };
        if x.is_nan() { (f64::INFINITY, true) } else { (x.abs() + digits, x.is_sign_negative()) }
    };
    all.into_iter().filter(move |simpler| !simpler.is_nan() && weight(*simpler) < weight(x))
}

fn texts(text: &str) -> Vec<Value> {
    let chars: Vec<char> = text.chars().collect();
    let make = |chars: &[char]| Value::String(chars.iter().collect::<String>().into());
    let mut found: Vec<Value> =
        cuts(chars.len()).map(|(from, to)| make(&without(&chars, from, to))).collect();
    for (at, c) in chars.iter().enumerate().take(64) {
        for simple in ['a', ' '].into_iter().filter(|simple| simple < c) {
            let mut chars = chars.clone();
            chars[at] = simple;
            found.push(make(&chars));
        }
    }
    found
}

fn lists(elems: &[Value], simpler: impl Fn(&Value) -> Vec<Value>) -> Vec<Value> {
    let mut found: Vec<Value> =
        cuts(elems.len()).map(|(from, to)| Value::List(without(elems, from, to))).collect();
    found.extend(parts(elems, |_, value| simpler(value), Value::List));
    found
}

fn maps(key: &ValType, value: &ValType, entries: &[(Value, Value)]) -> Vec<Value> {
    let mut found: Vec<Value> =
        cuts(entries.len()).map(|(from, to)| Value::Map(without(entries, from, to))).collect();
    for at in 0..entries.len().min(64) {
        let keys = simpler(key, &entries[at].0).into_iter().map(|key| (key, entries[at].1.clone()));
        let values = simpler(value, &entries[at].1).into_iter().map(|value| (entries[at].0.clone(), value));
        found.extend(keys.chain(values).map(|entry| {
            let mut entries = entries.to_vec();
            entries[at] = entry;
            Value::Map(entries)
        }));
    }
    found
}

/// One part simpler, the others as they are; of many parts the first ones only.
fn parts(
    values: &[Value],
    simpler: impl Fn(usize, &Value) -> Vec<Value>,
    make: fn(Vec<Value>) -> Value,
) -> Vec<Value> {
    let mut found = Vec::new();
    for (at, value) in values.iter().enumerate().take(64) {
        found.extend(simpler(at, value).into_iter().map(|simpler| {
            let mut values = values.to_vec();
            values[at] = simpler;
            make(values)
        }));
    }
    found
}

/// What to cut out of a list of this length: all, halves, quarters …, single ones.
fn cuts(length: usize) -> impl Iterator<Item = (usize, usize)> {
    let sizes = std::iter::successors(Some(length), |size| (*size > 1).then_some(size / 2));
    sizes.filter(|size| *size > 0).flat_map(move |size| {
        let places = length.div_ceil(size).min(64);
        (0..places).map(move |place| (place * size, (place * size + size).min(length)))
    })
}

fn without<T: Clone>(items: &[T], from: usize, to: usize) -> Vec<T> {
    items[..from].iter().chain(&items[to..]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::simpler;
    use crate::types::ValType;
    use crate::value::Value;

    /// Takes the first simpler value that still fails, until there is none.
    fn least(ty: &ValType, mut value: Value, fails: impl Fn(&Value) -> bool) -> Value {
        while let Some(next) = simpler(ty, &value).into_iter().find(&fails) {
            value = next;
        }
        value
    }

    #[test]
    fn finds_the_least_that_fails() {
        let big = |value: &Value| matches!(value, Value::U32(n) if *n >= 1000);
        assert_eq!(least(&ValType::U32, Value::U32(4_000_000_000), big), Value::U32(1000));
        let far = |value: &Value| matches!(value, Value::S64(n) if n.abs() > 77);
        assert_eq!(least(&ValType::S64, Value::S64(i64::MIN), far), Value::S64(78));
        let has_x = |value: &Value| matches!(value, Value::String(text) if text.contains('x'));
        assert_eq!(
            least(&ValType::String, Value::String("some text with x in it".into()), has_x),
            Value::String("x".into())
        );
        let list = ValType::List(std::sync::Arc::new(ValType::U8));
        let long = |value: &Value| matches!(value, Value::List(elems) if elems.len() > 4);
        let elems = (0..100).map(Value::U8).collect();
        assert_eq!(least(&list, Value::List(elems), long), Value::List(vec![Value::U8(0); 5]));
    }
}
