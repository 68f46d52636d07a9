//! Arguments with handles as text: `own(2)` and `borrow(2)` name resources by a number that whoever runs them gives a
//! meaning to. [`crate::wave`] writes them so and does not read them, because alone they mean nothing.

use std::sync::Arc;

use crate::types::{Case, Field, FuncType, ResourceType, ResultType, ValType};
use crate::value::{Resource, Value};
use crate::wave::{self, WaveError};

/// Reads the arguments of a call, parentheses included; a handle's number becomes its representation.
///
/// # Errors
/// As [`wave::parse_args`]; streams, futures and error contexts have no text.
pub fn parse_args(ty: &FuncType, text: &str) -> Result<Vec<Value>, WaveError> {
    if !ty.params.iter().any(|(_, ty)| ty.has_handle()) {
        return wave::parse_args(ty, text);
    }
    let params = ty.params.iter().map(|(name, ty)| (name.clone(), written(ty))).collect();
    let values = wave::parse_args(&FuncType { params, result: None, is_async: false }, text)?;
    Ok(ty.params.iter().zip(values).map(|((_, ty), value)| handed(ty, value)).collect())
}

/// The type without handles that is written the same.
fn written(ty: &ValType) -> ValType {
    let handle = |name: &str| ValType::Variant([Case { name: name.into(), ty: Some(ValType::U32) }].into());
    match ty {
        ValType::Own(_) => handle("own"),
        ValType::Borrow(_) => handle("borrow"),
        ValType::List(elem) => ValType::List(Arc::new(written(elem))),
        ValType::FixedList(elem, count) => ValType::FixedList(Arc::new(written(elem)), *count),
        ValType::Map(entry) => ValType::Map(Arc::new((written(&entry.0), written(&entry.1)))),
        ValType::Record(fields) => ValType::Record(
            fields.iter().map(|field| Field { name: field.name.clone(), ty: written(&field.ty) }).collect(),
        ),
        ValType::Tuple(types) => ValType::Tuple(types.iter().map(written).collect()),
        ValType::Variant(cases) => ValType::Variant(
            cases
                .iter()
                .map(|case| Case { name: case.name.clone(), ty: case.ty.as_ref().map(written) })
                .collect(),
        ),
        ValType::Option(some) => ValType::Option(Arc::new(written(some))),
        ValType::Result(result) => ValType::Result(Arc::new(ResultType {
            ok: result.ok.as_ref().map(written),
            err: result.err.as_ref().map(written),
        })),
        other => other.clone(),
    }
}

/// A value of [`written`] as one of `ty`.
fn handed(ty: &ValType, value: Value) -> Value {
    let resource = |ty: &ResourceType, payload: Option<Box<Value>>| match payload.as_deref() {
        Some(Value::U32(rep)) => Resource { ty: *ty, rep: *rep, generation: 0 },
        _ => Resource { ty: *ty, rep: 0, generation: 0 },
    };
    let boxed = |ty: Option<&ValType>, payload: Option<Box<Value>>| match (ty, payload) {
        (Some(ty), Some(value)) => Some(Box::new(handed(ty, *value))),
        (_, payload) => payload,
    };
    match (ty, value) {
        (ValType::Own(ty), Value::Variant(_, payload)) => Value::Own(resource(ty, payload)),
        (ValType::Borrow(ty), Value::Variant(_, payload)) => Value::Borrow(resource(ty, payload)),
        (ValType::List(elem) | ValType::FixedList(elem, _), Value::List(elems)) => {
            Value::List(elems.into_iter().map(|value| handed(elem, value)).collect())
        }
        (ValType::Map(entry), Value::Map(entries)) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (handed(&entry.0, key), handed(&entry.1, value)))
                .collect(),
        ),
        (ValType::Record(fields), Value::Record(values)) => {
            Value::Record(fields.iter().zip(values).map(|(field, value)| handed(&field.ty, value)).collect())
        }
        (ValType::Tuple(types), Value::Tuple(values)) => {
            Value::Tuple(types.iter().zip(values).map(|(ty, value)| handed(ty, value)).collect())
        }
        (ValType::Variant(cases), Value::Variant(case, payload)) => {
            let ty = cases.get(case as usize).and_then(|case| case.ty.as_ref());
            Value::Variant(case, boxed(ty, payload))
        }
        (ValType::Option(ty), Value::Option(payload)) => Value::Option(boxed(Some(ty), payload)),
        (ValType::Result(ty), Value::Result(Ok(payload))) => {
            Value::Result(Ok(boxed(ty.ok.as_ref(), payload)))
        }
        (ValType::Result(ty), Value::Result(Err(payload))) => {
            Value::Result(Err(boxed(ty.err.as_ref(), payload)))
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{FuncType, ValType, parse_args};
    use crate::types::ResourceType;
    use crate::wave;

    #[test]
    fn what_is_written_is_read() {
        let ty = ResourceType(3);
        let inner = ValType::Tuple([ValType::Own(ty), ValType::U8].into());
        let params: [(Box<str>, ValType); 2] =
            [("self".into(), ValType::Borrow(ty)), ("more".into(), ValType::List(inner.into()))];
        let func = FuncType { params: params.into(), result: None, is_async: false };
        let text = "(borrow(4), [(own(1), 2), (own(7), 3)])";
        let values = parse_args(&func, text).unwrap();
        let again: Vec<String> =
            func.params.iter().zip(&values).map(|((_, ty), value)| wave::print(ty, value)).collect();
        assert_eq!(format!("({})", again.join(", ")), text);
        assert!(parse_args(&func, "(borrow(4), [(own(x), 2)])").is_err());
    }
}
