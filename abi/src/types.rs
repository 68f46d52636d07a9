//! Value, function and resource types, as they stand after linking.
//!
//! Linking resolves every resource type to one number per running tree, so both sides of a call see the same
//! [`FuncType`]. Types are shared by reference: cloning one is a counter, not a tree.

use std::sync::Arc;

/// A resource type of one linked tree. Two handles have the same type if these numbers are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceType(pub u32);

/// A value type (Component Model explainer, "Type Definitions").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`: a Unicode scalar value
    Char,
    /// `string`
    String,
    /// `error-context`
    ErrorContext,
    /// `list<T>`
    List(Arc<ValType>),
    /// `list<T, N>`
    FixedList(Arc<ValType>, u32),
    /// `map<K, V>`: the ABI of `list<tuple<K, V>>`
    Map(Arc<(ValType, ValType)>),
    /// `record { … }`
    Record(Arc<[Field]>),
    /// `tuple<…>`
    Tuple(Arc<[ValType]>),
    /// `variant { … }`
    Variant(Arc<[Case]>),
    /// `enum { … }`
    Enum(Arc<[Box<str>]>),
    /// `option<T>`
    Option(Arc<ValType>),
    /// `result<T, E>`
    Result(Arc<ResultType>),
    /// `flags { … }`: 1 to 32 labels
    Flags(Arc<[Box<str>]>),
    /// `own<R>`
    Own(ResourceType),
    /// `borrow<R>`
    Borrow(ResourceType),
    /// `stream<T>`
    Stream(Option<Arc<ValType>>),
    /// `future<T>`
    Future(Option<Arc<ValType>>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The label, kebab-case.
    pub name: Box<str>,
    /// Its type.
    pub ty: ValType,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// The label, kebab-case.
    pub name: Box<str>,
    /// Its payload.
    pub ty: Option<ValType>,
}

/// The two payloads of `result<T, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResultType {
    /// Payload of `ok`.
    pub ok: Option<ValType>,
    /// Payload of `err`.
    pub err: Option<ValType>,
}

/// A component-level function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FuncType {
    /// Parameter labels and types, in order.
    pub params: Box<[(Box<str>, ValType)]>,
    /// The result, if there is one.
    pub result: Option<ValType>,
    /// Whether the type is `async`.
    pub is_async: bool,
}

impl ValType {
    /// What kind of type it is, for messages: as in WIT, without what it is made of.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            ValType::Bool => "bool",
            ValType::S8 => "s8",
            ValType::U8 => "u8",
            ValType::S16 => "s16",
            ValType::U16 => "u16",
            ValType::S32 => "s32",
            ValType::U32 => "u32",
            ValType::S64 => "s64",
            ValType::U64 => "u64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Char => "char",
            ValType::String => "string",
            ValType::ErrorContext => "error-context",
            ValType::List(_) => "list",
            ValType::FixedList(..) => "fixed-length list",
            ValType::Map(_) => "map",
            ValType::Record(_) => "record",
            ValType::Tuple(_) => "tuple",
            ValType::Variant(_) => "variant",
            ValType::Enum(_) => "enum",
            ValType::Option(_) => "option",
            ValType::Result(_) => "result",
            ValType::Flags(_) => "flags",
            ValType::Own(_) => "own",
            ValType::Borrow(_) => "borrow",
            ValType::Stream(_) => "stream",
            ValType::Future(_) => "future",
        }
    }

    /// The payload types of a variant-like type (`variant`, `enum`, `option`, `result`), one per case in
    /// discriminant order; `None` for every other type.
    #[must_use]
    pub fn cases(&self) -> Option<Vec<Option<&ValType>>> {
        match self {
            ValType::Variant(cases) => Some(cases.iter().map(|case| case.ty.as_ref()).collect()),
            ValType::Enum(names) => Some(vec![None; names.len()]),
            ValType::Option(some) => Some(vec![None, Some(some)]),
            ValType::Result(result) => Some(vec![result.ok.as_ref(), result.err.as_ref()]),
            _ => None,
        }
    }

    /// Whether a value of this type can hold a `borrow` handle.
    #[must_use]
    pub fn has_borrow(&self) -> bool {
        self.any(&|ty| matches!(ty, ValType::Borrow(_)))
    }

    /// Whether a value of this type can hold any handle.
    #[must_use]
    pub fn has_handle(&self) -> bool {
        self.any(&|ty| {
            matches!(
                ty,
                ValType::Own(_)
                    | ValType::Borrow(_)
                    | ValType::Stream(_)
                    | ValType::Future(_)
                    | ValType::ErrorContext
            )
        })
    }

    /// Whether lowering a value of this type can need memory that the callee allocates.
    #[must_use]
    pub fn has_pointer(&self) -> bool {
        self.any(&|ty| matches!(ty, ValType::String | ValType::List(_) | ValType::Map(_)))
    }

    /// Whether `test` holds for this type or any type inside it.
    pub fn any(&self, test: &impl Fn(&ValType) -> bool) -> bool {
        if test(self) {
            return true;
        }
        match self {
            ValType::List(elem) | ValType::FixedList(elem, _) | ValType::Option(elem) => elem.any(test),
            ValType::Map(entry) => entry.0.any(test) || entry.1.any(test),
            ValType::Record(fields) => fields.iter().any(|field| field.ty.any(test)),
            ValType::Tuple(types) => types.iter().any(|ty| ty.any(test)),
            ValType::Variant(cases) => {
                cases.iter().filter_map(|case| case.ty.as_ref()).any(|ty| ty.any(test))
            }
            ValType::Result(result) => [&result.ok, &result.err].into_iter().flatten().any(|ty| ty.any(test)),
            _ => false,
        }
    }
}

impl FuncType {
    /// Whether a parameter can hold a `borrow` handle, so that a call needs a scope.
    #[must_use]
    pub fn has_borrow(&self) -> bool {
        self.params.iter().any(|(_, ty)| ty.has_borrow())
    }
}

impl ResourceType {
    const HOST: u32 = 1 << 31;

    /// The type of handles to what is no more: nobody defines it, so nothing takes them.
    pub const GONE: ResourceType = ResourceType(u32::MAX - 1);

    /// The `n`th resource type that the host defines. Linking numbers the guests' own from 0.
    #[must_use]
    pub const fn host(n: u32) -> ResourceType {
        ResourceType(n | Self::HOST)
    }

    /// Whether the host defines this type.
    #[must_use]
    pub const fn is_host(self) -> bool {
        self.0 & Self::HOST != 0
    }
}
