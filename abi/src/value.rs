//! Component values as data, for hosts, tools and the interpreter.
//!
//! A value alone does not know its labels: read it beside its [`crate::types::ValType`].

use crate::types::ResourceType;

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
}
