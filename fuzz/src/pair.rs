//! Two hand-made processes and one adapter between them, which is [`kernel::jit::fuse::trial`]; some cases of the
//! well-behaved ones go through whole components instead ([`crate::chain`]).

use kernel::jit::fuse::trial::{try_calls, try_handles, try_hostile};

use crate::chain;
use crate::stretch::stretched;

/// A shorter input is lengthened to this.
const INPUT_BYTES: usize = 1_024;

/// A call between guests that mean well, with damage at most to what they pass.
///
/// # Panics
/// If an adapter does anything but what the interpreter does.
pub fn movers(data: &[u8]) {
    let bytes = stretched(data, INPUT_BYTES);
    let (first, rest) = bytes.split_first().expect("it was lengthened");
    match first % 8 {
        0 => chain::check(rest),
        _ => try_calls(rest),
    }
}

/// A call between guests that do what they like.
///
/// # Panics
/// If it harms anybody else.
pub fn hostile(data: &[u8]) {
    let bytes = stretched(data, INPUT_BYTES);
    let (first, rest) = bytes.split_first().expect("it was lengthened");
    match first % 4 {
        0 => try_handles(rest),
        _ => try_hostile(rest),
    }
}
