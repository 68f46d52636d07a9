//! Component values as data, for hosts, tools and the interpreter.
//!
//! A value alone does not know its labels: read it beside its [`crate::types::ValType`].

use crate::types::{ResourceType, ValType};

/// A component value. Records, tuples and flags are positional; cases are discriminants.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `bool`
    Bool(bool),
    /// `s8`
    S8(i8),
    /// `u8`
    U8(u8),
    /// `s16`
    S16(i16),
    /// `u16`
    U16(u16),
    /// `s32`
    S32(i32),
    /// `u32`
    U32(u32),
    /// `s64`
    S64(i64),
    /// `u64`
    U64(u64),
    /// `f32`
    F32(f32),
    /// `f64`
    F64(f64),
    /// `char`
    Char(char),
    /// `string`
    String(Box<str>),
    /// `list<T>` and `list<T, N>`
    List(Vec<Value>),
    /// `map<K, V>`, in the order the guest gave
    Map(Vec<(Value, Value)>),
    /// `record`: one value per field
    Record(Vec<Value>),
    /// `tuple`: one value per element
    Tuple(Vec<Value>),
    /// `variant`: discriminant and payload
    Variant(u32, Option<Box<Value>>),
    /// `enum`: discriminant
    Enum(u32),
    /// `option<T>`
    Option(Option<Box<Value>>),
    /// `result<T, E>`
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
    /// `flags`: bit `i` is label `i`
    Flags(u32),
    /// `own<R>`: the host holds the resource itself
    Own(Resource),
    /// `borrow<R>`: valid until the call that brought it returns
    Borrow(Resource),
}

/// A resource as the host holds it: its type and its representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The resource type.
    pub ty: ResourceType,
    /// The representation that `resource.new` was given.
    pub rep: u32,
    /// Which life of the domain that implements it: a domain that was started again knows nothing of what it made
    /// before. 0 for the host's resources.
    pub generation: u32,
}

impl Value {
    /// Whether it is a value of this type.
    #[must_use]
    pub fn is(&self, ty: &ValType) -> bool {
        let payload = |ty: Option<&ValType>, value: &Option<Box<Value>>| match (ty, value) {
            (Some(ty), Some(value)) => value.is(ty),
            (ty, value) => ty.is_none() && value.is_none(),
        };
        match (ty, self) {
            (ValType::List(ty), Value::List(elems)) => elems.iter().all(|elem| elem.is(ty)),
            (ValType::FixedList(ty, count), Value::List(elems)) => {
                elems.len() == *count as usize && elems.iter().all(|elem| elem.is(ty))
            }
            (ValType::Map(ty), Value::Map(entries)) => {
                entries.iter().all(|(key, value)| key.is(&ty.0) && value.is(&ty.1))
            }
            (ValType::Record(fields), Value::Record(values)) => {
                fields.len() == values.len()
                    && fields.iter().zip(values).all(|(field, value)| value.is(&field.ty))
            }
            (ValType::Tuple(types), Value::Tuple(values)) => {
                types.len() == values.len() && types.iter().zip(values).all(|(ty, value)| value.is(ty))
            }
            (ValType::Variant(cases), Value::Variant(case, value)) => {
                cases.get(*case as usize).is_some_and(|case| payload(case.ty.as_ref(), value))
            }
            (ValType::Enum(labels), Value::Enum(case)) => (*case as usize) < labels.len(),
            (ValType::Option(ty), Value::Option(Some(value))) => value.is(ty),
            (ValType::Result(ty), Value::Result(Ok(value))) => payload(ty.ok.as_ref(), value),
            (ValType::Result(ty), Value::Result(Err(value))) => payload(ty.err.as_ref(), value),
            (ValType::Own(ty), Value::Own(resource)) | (ValType::Borrow(ty), Value::Borrow(resource)) => {
                resource.ty == *ty
            }
            (ValType::FixedList(..), _) => false,
            _ => ty.name() == self.name(),
        }
    }

    /// How much it carries: the bytes of its strings, and of its other values as memory lays them out; labels and
    /// discriminants are four.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all = |values: &[Value]| values.iter().map(Value::bytes).sum();
        match self {
            Value::Bool(_) | Value::S8(_) | Value::U8(_) => 1,
            Value::S16(_) | Value::U16(_) => 2,
            Value::S64(_) | Value::U64(_) | Value::F64(_) => 8,
            Value::String(text) => text.len() as u64,
            Value::List(values) | Value::Record(values) | Value::Tuple(values) => all(values),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.bytes() + value.bytes()).sum(),
            Value::Variant(_, payload) | Value::Option(payload) => {
                4 + payload.as_deref().map_or(0, Value::bytes)
            }
            Value::Result(Ok(payload) | Err(payload)) => 4 + payload.as_deref().map_or(0, Value::bytes),
            _ => 4,
        }
    }

    /// The resources that it owns, wherever in it they are.
    #[must_use]
    pub fn owned(&self) -> Vec<Resource> {
        let mut owned = Vec::new();
        self.collect_owned(&mut owned);
        owned
    }

    fn collect_owned(&self, owned: &mut Vec<Resource>) {
        let mut each = |values: &[Value]| values.iter().for_each(|value| value.collect_owned(owned));
        match self {
            Value::Own(resource) => owned.push(*resource),
            Value::List(values) | Value::Record(values) | Value::Tuple(values) => each(values),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.collect_owned(owned);
                    value.collect_owned(owned);
                }
            }
            Value::Variant(_, Some(value))
            | Value::Option(Some(value))
            | Value::Result(Ok(Some(value)) | Err(Some(value))) => value.collect_owned(owned),
            _ => {}
        }
    }

    /// What kind of value it is, for messages: as in WIT, without labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Value::Bool(_) => "bool",
            Value::S8(_) => "s8",
            Value::U8(_) => "u8",
            Value::S16(_) => "s16",
            Value::U16(_) => "u16",
            Value::S32(_) => "s32",
            Value::U32(_) => "u32",
            Value::S64(_) => "s64",
            Value::U64(_) => "u64",
            Value::F32(_) => "f32",
            Value::F64(_) => "f64",
            Value::Char(_) => "char",
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Record(_) => "record",
            Value::Tuple(_) => "tuple",
            Value::Variant(..) => "variant",
            Value::Enum(_) => "enum",
            Value::Option(_) => "option",
            Value::Result(_) => "result",
            Value::Flags(_) => "flags",
            Value::Own(_) => "own",
            Value::Borrow(_) => "borrow",
        }
    }
}
