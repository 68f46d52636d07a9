//! Every bound of this crate on what guests and peers can make it hold.

/// Lines that are kept of one process's output; the oldest go first.
pub const LOG_LINES: usize = 4096;

/// Bytes that are kept of one process's output; the oldest lines go first.
pub const LOG_BYTES: usize = 1 << 20;

/// Bytes of one line; a longer one is broken there.
pub const LOG_LINE_BYTES: usize = 8 << 10;

/// Processes whose output is kept; that of further ones is dropped.
pub const LOG_PROCESSES: usize = 4096;

/// Bytes of a type's text in a message; what is longer is cut.
pub const WIT_TEXT_BYTES: usize = 400;
/// How deep a type's text goes into types without a name.
pub const WIT_TEXT_DEPTH: usize = 12;
/// Bytes of a manifest.
pub const MANIFEST_BYTES: u64 = 1 << 20;
/// Processes that a manifest names.
pub const MANIFEST_PROCESSES: usize = 4096;
/// How deep supervisors of a manifest are nested.
pub const SUPERVISOR_DEPTH: usize = 16;

/// Restarts that a supervisor counts: an intensity above this is this.
pub const RESTARTS_COUNTED: usize = 1 << 16;
