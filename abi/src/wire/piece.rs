//! What is read and written field by field: numbers, texts, and what is made of them.

use super::{Cursor, Slot, WireError};
use crate::id::{DomainId, ProcessId};
use crate::limits::{WIRE_ELEMENTS, WIRE_TEXT_BYTES};
use crate::types::ResourceType;
use crate::value::Resource;

/// Something with exactly one encoding.
pub trait Piece: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it.
    ///
    /// # Errors
    /// The bytes are something else.
    fn take(from: &mut Cursor<'_>) -> Result<Self, WireError>;
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(impl Piece for $number {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn take(from: &mut Cursor<'_>) -> Result<$number, WireError> {
                Ok($number::from_le_bytes(from.array(stringify!($number))?))
            }
        })*
    };
}

numbers! { u8 u16 u32 u64 }

/// Has structures cross as their fields, one after another.
#[macro_export]
macro_rules! wire_fields {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        $(impl $crate::wire::Piece for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::Piece::put(&self.$field, out);)*
            }
            fn take(from: &mut $crate::wire::Cursor<'_>) -> Result<$type, $crate::wire::WireError> {
                Ok($type { $($field: $crate::wire::Piece::take(from)?),* })
            }
        })*
    };
}

wire_fields! {
    ProcessId { index, generation }
    DomainId { index, generation }
    Resource { ty, rep, generation }
    Slot { is_own, resource }
}

impl Piece for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(from: &mut Cursor<'_>) -> Result<bool, WireError> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(from.wrong("yes or no, 1 or 0", format!("{other}"))),
        }
    }
}

impl Piece for ResourceType {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<ResourceType, WireError> {
        u32::take(from).map(ResourceType)
    }
}

impl Piece for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<String, WireError> {
        take_text(from).map(str::to_owned)
    }
}

impl Piece for Box<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Box<str>, WireError> {
        take_text(from).map(Box::from)
    }
}

impl<T: Piece> Piece for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(part) = self {
            part.put(out);
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<Option<T>, WireError> {
        Ok(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
}

impl<T: Piece> Piece for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Box<T>, WireError> {
        T::take(from).map(Box::new)
    }
}

impl<A: Piece, B: Piece> Piece for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<(A, B), WireError> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<T: Piece> Piece for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self, out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Vec<T>, WireError> {
        let count = u32::take(from)? as usize;
        // Each takes a byte at least.
        if count > WIRE_ELEMENTS || count > from.left() {
            let allowed = from.left().min(WIRE_ELEMENTS);
            return Err(from.wrong(format!("at most {allowed} elements"), format!("{count}")));
        }
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            parts.push(T::take(from)?);
        }
        Ok(parts)
    }
}

/// Appends what a `Vec` of the same would: no more than [`WIRE_ELEMENTS`], the first ones.
pub fn put_all<T: Piece>(parts: &[T], out: &mut Vec<u8>) {
    let parts = &parts[..parts.len().min(WIRE_ELEMENTS)];
    (parts.len() as u32).put(out);
    parts.iter().for_each(|part| part.put(out));
}

/// Appends a text, as far as [`WIRE_TEXT_BYTES`] go.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(WIRE_TEXT_BYTES)];
    (text.len() as u32).put(out);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a text.
///
/// # Errors
/// It is too long, cut off, or not UTF-8.
pub fn take_text<'b>(from: &mut Cursor<'b>) -> Result<&'b str, WireError> {
    let len = u32::take(from)? as usize;
    if len > WIRE_TEXT_BYTES {
        return Err(from.wrong(format!("a text of at most {WIRE_TEXT_BYTES} bytes"), format!("{len}")));
    }
    let bytes = from.take(len, "a text")?;
    str::from_utf8(bytes).map_err(|error| from.wrong("UTF-8", error.to_string()))
}
