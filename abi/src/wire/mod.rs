//! Component values as bytes, by their types: what a call is made of where no memory is shared that could be trusted.
//!
//! A message is bytes and handle slots. A value has exactly one encoding, so what is decoded and encoded again is the
//! same. Whoever reads trusts nothing: lengths, discriminants, texts, characters, handles and depth are checked, memory is
//! spent only for what is there, and an error says what was expected and where.
//!
//! | type | bytes |
//! |---|---|
//! | `bool`, integers, floats, `char` | as many as in memory, little-endian; every NaN is the canonical one |
//! | `string`, `list`, `map` | `u32` length, then UTF-8, elements, pairs |
//! | `list<T, N>`, `record`, `tuple` | their parts |
//! | `variant`, `enum`, `option`, `result` | the discriminant in as many bytes as in memory, then the payload |
//! | `flags` | as in memory; bits without a label are 0 |
//! | `own`, `borrow` | none: the next slot |
//!
//! - [`packing`]: values to bytes; [`unpacking`]: bytes to values
//! - [`lifting`]: from a guest's memory to bytes, without values in between; [`lowering`]: the other way; `strips`: what is
//!   copied as it is
//! - [`cursor`]: reading bytes that nobody vouches for; [`piece`]: what is read and written field by field
//! - [`postmortem`]: faults as bytes; [`interned`]: the fixed texts in them

pub mod cursor;
pub mod interned;
pub mod lifting;
pub mod lowering;
pub mod packing;
pub mod piece;
pub mod postmortem;
mod strips;
pub mod unpacking;

use crate::types::ValType;
use crate::value::Resource;

pub use cursor::{Cursor, WireError};
pub use piece::Piece;

/// Values under way: what they are made of but handles, and the handles in the order in which values have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The bytes of all values, one after another.
    pub bytes: Vec<u8>,
    /// One for each handle.
    pub slots: Vec<Slot>,
}

/// A handle under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whether it is given away, or lent for the length of the call.
    pub is_own: bool,
    /// What it leads to.
    pub resource: Resource,
}

impl Message {
    /// A message that nothing is in yet.
    #[must_use]
    pub fn new() -> Message {
        Message::default()
    }
}

/// The fewest bytes and slots, together, that a value of this type takes.
fn least(ty: &ValType) -> usize {
    match ty {
        ValType::Bool | ValType::S8 | ValType::U8 => 1,
        ValType::S16 | ValType::U16 => 2,
        ValType::S32 | ValType::U32 | ValType::F32 | ValType::Char => 4,
        ValType::S64 | ValType::U64 | ValType::F64 => 8,
        ValType::String | ValType::List(_) | ValType::Map(_) => 4,
        ValType::FixedList(elem, count) => least(elem).saturating_mul(*count as usize),
        ValType::Record(fields) => sum(fields.iter().map(|field| least(&field.ty))),
        ValType::Tuple(types) => sum(types.iter().map(least)),
        ValType::Own(_) | ValType::Borrow(_) => 1,
        ValType::Flags(_)
        | ValType::Variant(_)
        | ValType::Enum(_)
        | ValType::Option(_)
        | ValType::Result(_) => 1,
        ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext => 0,
    }
}

fn sum(parts: impl Iterator<Item = usize>) -> usize {
    parts.fold(0, usize::saturating_add)
}

/// How many cases a type has; 0 if it has none.
fn cases(ty: &ValType) -> usize {
    match ty {
        ValType::Variant(cases) => cases.len(),
        ValType::Enum(labels) => labels.len(),
        ValType::Option(_) | ValType::Result(_) => 2,
        _ => 0,
    }
}

/// Bytes of the discriminant of a type with so many cases.
fn discriminant_bytes(cases: usize) -> usize {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Bytes of flags with so many labels.
fn flags_bytes(labels: usize) -> usize {
    match labels {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}
