//! Short names for texts: files are named by what is in them.

/// A number that follows from a text (FNV-1a): fit for names, not for secrets.
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
