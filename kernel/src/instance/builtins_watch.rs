//! The built-in of watched code: texts that a function got which looks as if it compared them.

use super::builtins::{domain_of, instance_of};
use crate::limits::WATCHED_TEXT_BYTES;

/// `watch_texts`: the first `count` of the arguments are the function's: two pointers to texts that end in 0; two
/// pointers and a length; or two times a pointer and a length. Nothing is noted of what is outside the memory.
///
/// # Safety
/// Called by compiled code of an instance, with its context.
pub(super) unsafe extern "C" fn texts(ctx: *mut u8, count: u32, a: u32, b: u32, c: u32, d: u32) {
    // SAFETY: the caller's promise.
    let (domain, instance) = unsafe { (domain_of(ctx), instance_of(ctx)) };
    let (Some(board), Some(memory)) = (domain.engine().board(), instance.memories.first()) else { return };
    let text = |at: u32, bytes: u32| {
        let mut text = vec![0; (bytes as usize).min(WATCHED_TEXT_BYTES)];
        memory.read(u64::from(at), &mut text).map(|()| text)
    };
    let ended = |at: u32| {
        let rest = u64::from(at) < memory.bytes() as u64;
        let bytes = (memory.bytes() as u64).saturating_sub(u64::from(at)).min(WATCHED_TEXT_BYTES as u64);
        let text = rest.then(|| text(at, u32::try_from(bytes).ok()?)).flatten()?;
        let end = text.iter().position(|byte| *byte == 0)?;
        Some(text[..end].to_vec())
    };
    let pair = match count {
        2 => ended(a).zip(ended(b)),
        3 if c > 1 => text(a, c).zip(text(b, c)),
        4 if b > 1 && d > 1 => text(a, b).zip(text(c, d)),
        _ => None,
    };
    if let Some((left, right)) = pair {
        board.note_texts(&left, &right);
    }
}
