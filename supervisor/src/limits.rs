//! Every bound of this crate on what guests and peers can make it hold.

/// Lines that are kept of one process's output; the oldest go first.
pub const LOG_LINES: usize = 4096;

/// Bytes that are kept of one process's output; the oldest lines go first.
pub const LOG_BYTES: usize = 1 << 20;

/// Bytes of one line; a longer one is broken there.
pub const LOG_LINE_BYTES: usize = 8 << 10;

/// Processes whose output is kept; that of further ones is dropped.
pub const LOG_PROCESSES: usize = 4096;
