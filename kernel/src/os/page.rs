//! The size of a page.

/// Bytes of a page of the host.
#[must_use]
pub fn size() -> usize {
    region::page::size()
}

/// `bytes` rounded up to whole pages; `None` if that overflows.
#[must_use]
pub fn round_up(bytes: usize) -> Option<usize> {
    bytes.checked_next_multiple_of(size())
}
