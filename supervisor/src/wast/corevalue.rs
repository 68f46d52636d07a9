//! Core values as a script writes and compares them.

use std::fmt;

use wast::core::{AbstractHeapType, HeapType, V128Const, WastArgCore};

/// What kind of core value some bits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `v128`
    V128,
    /// A reference to a function.
    Func,
    /// A reference to something of the host's.
    Extern,
    /// A reference to an exception.
    Exn,
    /// A reference to a garbage-collected object.
    Any,
}

/// A core value: the low bits of `bits`, as many as its kind has. A null reference is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreValue {
    pub(super) kind: Kind,
    pub(super) bits: u128,
}

impl CoreValue {
    /// The value of an argument in a script, or what is wrong with it.
    pub(super) fn from_arg(arg: &WastArgCore) -> Result<CoreValue, String> {
        let (kind, bits) = match arg {
            WastArgCore::I32(value) => (Kind::I32, u128::from(value.cast_unsigned())),
            WastArgCore::I64(value) => (Kind::I64, u128::from(value.cast_unsigned())),
            WastArgCore::F32(value) => (Kind::F32, u128::from(value.bits)),
            WastArgCore::F64(value) => (Kind::F64, u128::from(value.bits)),
            WastArgCore::V128(value) => (Kind::V128, v128_bits(value)),
            WastArgCore::RefNull(heap) => {
                (heap_kind(heap).ok_or_else(|| format!("`ref.null` of {heap:?} is not supported"))?, 0)
            }
            WastArgCore::RefExtern(value) => (Kind::Extern, extern_bits(*value)),
            WastArgCore::RefHost(_) => return Err("`ref.host` is not supported".to_owned()),
        };
        Ok(CoreValue { kind, bits })
    }
}

/// The word that stands for `ref.extern N`: never null.
pub(super) fn extern_bits(value: u32) -> u128 {
    u128::from(value) + 1
}

/// The kind of a reference to `heap`; `None` for one that a script cannot name by kind.
pub(super) fn heap_kind(heap: &HeapType) -> Option<Kind> {
    let HeapType::Abstract { ty, .. } = heap else { return Some(Kind::Func) };
    Some(match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Kind::Func,
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => Kind::Extern,
        AbstractHeapType::Exn | AbstractHeapType::NoExn => Kind::Exn,
        AbstractHeapType::Any
        | AbstractHeapType::Eq
        | AbstractHeapType::Struct
        | AbstractHeapType::Array
        | AbstractHeapType::I31
        | AbstractHeapType::None => Kind::Any,
        AbstractHeapType::Cont | AbstractHeapType::NoCont => return None,
    })
}

fn v128_bits(value: &V128Const) -> u128 {
    u128::from_le_bytes(value.to_le_bytes())
}

impl fmt::Display for CoreValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = self.bits as u64;
        match self.kind {
            Kind::I32 => write!(f, "(i32.const {})", (low as u32).cast_signed()),
            Kind::I64 => write!(f, "(i64.const {})", low.cast_signed()),
            Kind::F32 => write!(f, "(f32.const {} ;; {:#010x})", f32::from_bits(low as u32), low as u32),
            Kind::F64 => write!(f, "(f64.const {} ;; {low:#018x})", f64::from_bits(low)),
            Kind::V128 => write!(f, "(v128.const ;; {:#034x})", self.bits),
            Kind::Func => reference(f, "func", low),
            Kind::Exn => reference(f, "exn", low),
            Kind::Any => reference(f, "any", low),
            Kind::Extern if low == 0 => reference(f, "extern", low),
            Kind::Extern => write!(f, "(ref.extern {})", low - 1),
        }
    }
}

fn reference(f: &mut fmt::Formatter<'_>, heap: &str, word: u64) -> fmt::Result {
    if word == 0 { write!(f, "(ref.null {heap})") } else { write!(f, "(ref.{heap})") }
}
