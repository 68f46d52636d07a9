//! Whether an error's text is the one that a script expects.
//!
//! Scripts name errors in the words of the reference interpreter or of Wasmtime. A text matches if it contains the
//! script's; where the two traditions differ, the differences are listed here, and nowhere else.

/// What scripts call a trap that says less than they do: the script's word begins with the first, ours contains the second.
const LOOSER: [(&str, &str); 4] = [
    // The core suite names the index of the element.
    ("uninitialized element ", "uninitialized element"),
    // Function references: the suite says of which kind the null was.
    ("null function", "uninitialized element"),
    ("null ", "null reference"),
    // Wasmtime's adapters check what `realloc` returned as if it were the list that was passed.
    ("list content out-of-bounds", "realloc return: beyond end of memory"),
];

/// Whether the trap `got` is the one that the script calls `expected`.
pub(super) fn trap_matches(got: &str, expected: &str) -> bool {
    let expected = expected.strip_prefix("wasm trap: ").unwrap_or(expected);
    got.contains(expected)
        || LOOSER.iter().any(|(script, ours)| expected.starts_with(script) && got.contains(ours))
}

/// Whether the link error `got` is the one that the script calls `expected`.
pub(super) fn link_matches(got: &str, expected: &str) -> bool {
    got.contains(expected)
}

#[cfg(test)]
mod tests {
    use super::trap_matches;

    #[test]
    fn indices_and_kinds_are_forgiven() {
        assert!(trap_matches("integer divide by zero", "integer divide by zero"));
        assert!(trap_matches("uninitialized element", "uninitialized element 2"));
        assert!(trap_matches("null reference", "null structure reference"));
        assert!(trap_matches("unaligned pointer: x", "wasm trap: unaligned pointer"));
        assert!(!trap_matches("out of bounds memory access", "out of bounds table access"));
        assert!(!trap_matches("uninitialized element", "undefined element"));
    }
}
