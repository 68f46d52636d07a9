//! Core WebAssembly types as the kernel holds them: no lifetimes, and a concrete reference type names its
//! signature by [`SigId`], so that types of different modules compare by value.

use std::fmt;

use super::sig::SigId;
pub use crate::mem::linear::MemoryType;

/// A core value type (core spec, "Value Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// A vector of 128 bits.
    V128,
    /// A reference: one word, 0 is null.
    Ref(RefType),
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefType {
    /// Whether null is one of its values.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeapType {
    /// Any function.
    Func,
    /// No function: the bottom of the hierarchy.
    NoFunc,
    /// A reference of the host.
    Extern,
    /// The bottom of that hierarchy.
    NoExtern,
    /// An exception.
    Exn,
    /// The bottom of that hierarchy.
    NoExn,
    /// A function of this signature.
    Concrete(SigId),
    /// Anything of the guests' own heap: no value but null exists, as nothing makes one yet.
    Any,
    /// What can be compared.
    Eq,
    /// A number of 31 bits.
    I31,
    /// Any structure.
    Struct,
    /// Any array.
    Array,
    /// The bottom of that hierarchy.
    None,
    /// A structure of this type.
    ConcreteStruct(SigId),
    /// An array of this type.
    ConcreteArray(SigId),
}

impl HeapType {
    /// Whether every value of `self` is one of `other` (core spec, "Matching", heap types), declared subtypes of
    /// concrete types left aside.
    #[must_use]
    pub fn matches(self, other: HeapType) -> bool {
        use HeapType::{
            Any, Array, Concrete, ConcreteArray, ConcreteStruct, Eq, Exn, Extern, Func, I31, NoExn, NoExtern,
            NoFunc, None, Struct,
        };
        self == other
            || matches!(
                (self, other),
                (Concrete(_), Func)
                    | (NoFunc, Func | Concrete(_))
                    | (NoExtern, Extern)
                    | (NoExn, Exn)
                    | (None, Any | Eq | I31 | Struct | Array | ConcreteStruct(_) | ConcreteArray(_))
                    | (Eq | I31 | Struct | Array | ConcreteStruct(_) | ConcreteArray(_), Any)
                    | (I31 | Struct | Array | ConcreteStruct(_) | ConcreteArray(_), Eq)
                    | (ConcreteStruct(_), Struct)
                    | (ConcreteArray(_), Array)
            )
    }
}

impl RefType {
    /// `funcref`
    pub const FUNC: RefType = RefType { nullable: true, heap: HeapType::Func };
    /// `externref`
    pub const EXTERN: RefType = RefType { nullable: true, heap: HeapType::Extern };
    /// `exnref`
    pub const EXN: RefType = RefType { nullable: true, heap: HeapType::Exn };

    /// Whether every value of `self` is one of `other` (core spec, "Matching", reference types).
    #[must_use]
    pub fn matches(self, other: RefType) -> bool {
        (other.nullable || !self.nullable) && self.heap.matches(other.heap)
    }
}

impl ValType {
    /// Whether every value of `self` is one of `other` (core spec, "Matching", value types).
    #[must_use]
    pub fn matches(self, other: ValType) -> bool {
        match (self, other) {
            (ValType::Ref(a), ValType::Ref(b)) => a.matches(b),
            (a, b) => a == b,
        }
    }
}

/// A core function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct CoreFuncType {
    /// Parameters.
    pub params: Box<[ValType]>,
    /// Results.
    pub results: Box<[ValType]>,
}

/// A table's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableType {
    /// What it holds.
    pub element: RefType,
    /// Elements at instantiation.
    pub minimum: u64,
    /// Elements that it may have.
    pub maximum: Option<u64>,
    /// Whether indices are 64 bits wide.
    pub table64: bool,
}

/// A global's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    /// What it holds.
    pub ty: ValType,
    /// Whether it can be set.
    pub mutable: bool,
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeapType::Func => f.write_str("func"),
            HeapType::NoFunc => f.write_str("nofunc"),
            HeapType::Extern => f.write_str("extern"),
            HeapType::NoExtern => f.write_str("noextern"),
            HeapType::Exn => f.write_str("exn"),
            HeapType::NoExn => f.write_str("noexn"),
            HeapType::Any => f.write_str("any"),
            HeapType::Eq => f.write_str("eq"),
            HeapType::I31 => f.write_str("i31"),
            HeapType::Struct => f.write_str("struct"),
            HeapType::Array => f.write_str("array"),
            HeapType::None => f.write_str("none"),
            HeapType::Concrete(SigId(id))
            | HeapType::ConcreteStruct(SigId(id))
            | HeapType::ConcreteArray(SigId(id)) => write!(f, "type {id}"),
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(RefType { nullable: true, heap }) => write!(f, "(ref null {heap})"),
            ValType::Ref(RefType { nullable: false, heap }) => write!(f, "(ref {heap})"),
        }
    }
}
