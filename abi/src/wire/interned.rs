//! Fixed texts that come as bytes: each is kept once and for ever, so there is room for so many.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::piece::{put_text, take_text};
use super::{Cursor, Piece, WireError};
use crate::limits::{INTERNED_TEXT_BYTES, INTERNED_TEXTS};

static TEXTS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// What stands for a text that there is no room for.
pub const NOT_KEPT: &str = "something whose name is not kept";

/// The text, kept. Long ones are cut, and after so many different ones no more are kept.
#[must_use]
pub fn intern(text: &str) -> &'static str {
    let text = &text[..text.floor_char_boundary(INTERNED_TEXT_BYTES)];
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    if texts.len() >= INTERNED_TEXTS {
        return NOT_KEPT;
    }
    let kept: &'static str = Box::leak(text.into());
    texts.insert(kept);
    kept
}

impl Piece for &'static str {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<&'static str, WireError> {
        take_text(from).map(intern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_a_text_and_no_more_than_so_many() {
        let first = intern("deadline");
        assert!(std::ptr::eq(first, intern(&String::from("deadline"))));
        let long = "ä".repeat(INTERNED_TEXT_BYTES);
        assert!(intern(&long).len() <= INTERNED_TEXT_BYTES);
        for i in 0..2 * INTERNED_TEXTS {
            let _ = intern(&format!("hostile {i}"));
        }
        assert_eq!(intern("one more"), NOT_KEPT);
        assert_eq!(intern("deadline"), "deadline");
    }
}
