//! Pages: their size, and which of them are there.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

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

/// How many bytes of a range of addresses are in the machine's memory now; `None` if the system does not say.
#[must_use]
pub fn resident_bytes(range: Range<usize>) -> Option<u64> {
    const ENTRY_BYTES: usize = 8;
    const ENTRIES_A_READ: usize = 4096;
    let file = File::open("/proc/self/pagemap").ok()?;
    let (first, end) = (range.start / size(), range.end.div_ceil(size()));
    let mut entries = [0; ENTRIES_A_READ * ENTRY_BYTES];
    let mut resident = 0;
    for at in (first..end).step_by(ENTRIES_A_READ) {
        let entries = &mut entries[..(end - at).min(ENTRIES_A_READ) * ENTRY_BYTES];
        file.read_exact_at(entries, (at * ENTRY_BYTES) as u64).ok()?;
        // The highest bit of an entry says that its page is there.
        resident +=
            entries.chunks_exact(ENTRY_BYTES).filter(|entry| entry[ENTRY_BYTES - 1] & 0x80 != 0).count();
    }
    Some((resident * size()) as u64)
}
