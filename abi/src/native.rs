//! Rust types that stand for component values where a call is made with [`Value`]s: typed calls from the host.

use crate::typed::Typed;
use crate::types::ValType;
use crate::value::Value;

/// A Rust type whose values are values of one component-level type.
pub trait Native: Typed {
    /// The value.
    fn into_value(self) -> Value;

    /// The value back; `None` if it is one of another type.
    fn from_value(value: Value) -> Option<Self>;
}

/// The parameters of a function, as a tuple of Rust types.
pub trait NativeParams: Sized {
    /// Their types, in order.
    fn types() -> Vec<ValType>;

    /// Their values, in order.
    fn into_values(self) -> Vec<Value>;
}

/// The result of a function: a Rust type, or `()` for none.
pub trait NativeResult: Sized {
    /// Its type.
    fn ty() -> Option<ValType>;

    /// The result back; `None` if it is of another type.
    fn from_result(value: Option<Value>) -> Option<Self>;
}

macro_rules! scalar {
    ($($rust:ty, $case:ident;)*) => {
        $(impl Native for $rust {
            fn into_value(self) -> Value {
                Value::$case(self)
            }
            fn from_value(value: Value) -> Option<$rust> {
                match value {
                    Value::$case(value) => Some(value),
                    _ => None,
                }
            }
        })*
    };
}

scalar! {
    bool, Bool;
    i8, S8;
    u8, U8;
    i16, S16;
    u16, U16;
    i32, S32;
    u32, U32;
    i64, S64;
    u64, U64;
    f32, F32;
    f64, F64;
    char, Char;
}

impl Native for String {
    fn into_value(self) -> Value {
        Value::String(self.into())
    }
    fn from_value(value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.into()),
            _ => None,
        }
    }
}

impl<T: Native> Native for Vec<T>
where
    Vec<T>: Typed,
{
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
    fn from_value(value: Value) -> Option<Vec<T>> {
        match value {
            Value::List(elements) => elements.into_iter().map(T::from_value).collect(),
            _ => None,
        }
    }
}

impl<T: Native> Native for Option<T>
where
    Option<T>: Typed,
{
    fn into_value(self) -> Value {
        Value::Option(self.map(|value| Box::new(value.into_value())))
    }
    fn from_value(value: Value) -> Option<Option<T>> {
        match value {
            Value::Option(None) => Some(None),
            Value::Option(Some(value)) => T::from_value(*value).map(Some),
            _ => None,
        }
    }
}

impl<T: NativeResult + IntoPayload, E: NativeResult + IntoPayload> Native for Result<T, E>
where
    Result<T, E>: Typed,
{
    fn into_value(self) -> Value {
        Value::Result(match self {
            Ok(value) => Ok(value.into_payload()),
            Err(error) => Err(error.into_payload()),
        })
    }
    fn from_value(value: Value) -> Option<Result<T, E>> {
        match value {
            Value::Result(Ok(value)) => T::from_result(value.map(|value| *value)).map(Ok),
            Value::Result(Err(error)) => E::from_result(error.map(|error| *error)).map(Err),
            _ => None,
        }
    }
}

/// What a case of `result` carries: a value, or nothing for `()`.
pub trait IntoPayload {
    /// The payload.
    fn into_payload(self) -> Option<Box<Value>>;
}

impl IntoPayload for () {
    fn into_payload(self) -> Option<Box<Value>> {
        None
    }
}

impl<T: Native> IntoPayload for T {
    fn into_payload(self) -> Option<Box<Value>> {
        Some(Box::new(self.into_value()))
    }
}

impl NativeResult for () {
    fn ty() -> Option<ValType> {
        None
    }
    fn from_result(value: Option<Value>) -> Option<()> {
        value.is_none().then_some(())
    }
}

impl<T: Native> NativeResult for T {
    fn ty() -> Option<ValType> {
        Some(<T as Typed>::ty())
    }
    fn from_result(value: Option<Value>) -> Option<T> {
        T::from_value(value?)
    }
}

macro_rules! params {
    ($($name:ident)*) => {
        #[allow(non_snake_case)]
        impl<$($name: Native),*> NativeParams for ($($name,)*) {
            fn types() -> Vec<ValType> {
                vec![$(<$name as Typed>::ty()),*]
            }
            fn into_values(self) -> Vec<Value> {
                let ($($name,)*) = self;
                vec![$($name.into_value()),*]
            }
        }
    };
}

params! {}
params! { A }
params! { A B }
params! { A B C }
params! { A B C D }
params! { A B C D E }
params! { A B C D E F }

#[cfg(test)]
mod tests {
    use super::{Native, NativeParams, NativeResult};
    use crate::types::ValType;
    use crate::value::Value;

    #[test]
    fn values_go_there_and_back() {
        let value: Vec<Option<Result<String, ()>>> = vec![None, Some(Ok("a".to_owned())), Some(Err(()))];
        let dynamic = value.clone().into_value();
        assert_eq!(Vec::<Option<Result<String, ()>>>::from_value(dynamic.clone()), Some(value));
        assert_eq!(Vec::<Option<Result<String, u8>>>::from_value(dynamic.clone()), None);
        assert_eq!(<u32 as Native>::from_value(dynamic), None);
        assert_eq!((1u8, 'x').into_values(), [Value::U8(1), Value::Char('x')]);
        assert_eq!(<(u8, char)>::types(), [ValType::U8, ValType::Char]);
        assert_eq!((<() as NativeResult>::ty(), <()>::from_result(None)), (None, Some(())));
    }
}
