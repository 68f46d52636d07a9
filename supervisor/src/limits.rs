//! Every bound of this crate on what guests and peers can make it hold.

/// Lines that are kept of one process's output if nobody says how many; the oldest go first.
pub const LOG_LINES: usize = 4096;

/// Lines that can be asked to be kept of one process's output.
pub const LOG_LINES_MOST: usize = 1 << 16;

/// Bytes that are kept of one process's output; the oldest lines go first.
pub const LOG_BYTES: usize = 1 << 20;

/// Bytes of one line; a longer one is broken there.
pub const LOG_LINE_BYTES: usize = 8 << 10;

/// Core dumps that faults of one tree leave; further ones are not written.
pub const CORE_FILES: usize = 16;

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

/// Clients of a control socket at once; further ones are told so.
pub const CONTROL_CLIENTS: usize = 32;

/// Lines of output that one answer holds: with the longest lines less than a frame may have.
pub const LOG_LINES_AT_ONCE: usize = 500;

/// Control sockets that are asked at once, a thread each.
pub const SOCKETS_AT_ONCE: usize = 64;

/// Clients that read meters over HTTP at once; further ones are told so.
pub const SCRAPE_CLIENTS: usize = 8;

/// Bytes of the head of one of their requests.
pub const SCRAPE_REQUEST_BYTES: usize = 8 << 10;

/// Edges of a tree that one answer holds; of more, those that are used most.
pub const EDGES_AT_ONCE: usize = 10_000;

/// Traced calls that wait to be read by one client; further ones are counted.
pub const TRACED_CALLS: usize = 10_000;

/// Spans that wait to be sent to a collector; further ones are counted.
pub const SPANS_QUEUED: usize = 10_000;

/// Spans that one request to a collector, or one line of a file, holds.
pub const SPANS_AT_ONCE: usize = 512;

/// What is kept of what happened within one span; further things are only told as they happen.
pub const MOMENTS_OF_A_SPAN: usize = 128;

/// Bytes that are read of a collector's answer.
pub const COLLECTOR_ANSWER_BYTES: usize = 4 << 10;

/// Bytes of one part of a core dump.
pub const DUMP_PART_BYTES: u64 = 4 << 20;

/// Handles of a process that are shown; further ones are counted.
pub const HANDLES_SHOWN: usize = 1000;

/// Lines and events of a tree that are on their way to the terminal of `atoll up`; further ones are counted.
pub const LINES_ON_THE_WAY: usize = 4096;
