//! Every limit of the servers, in one place.

/// Bytes that one read of a stream or file returns at most; a guest that asks for more gets less.
pub const MAX_READ: usize = 256 << 10;
/// Bytes that `check-write` permits at once.
pub const WRITE_PERMIT: u64 = 256 << 10;
/// Bytes that the blocking writes take (`wasi:io/streams`: "up to 4096 bytes").
pub const MAX_BLOCKING_WRITE: u64 = 4096;
/// Random bytes that one call returns; it cannot return fewer than asked for, so more is a trap.
pub const MAX_RANDOM: u64 = 64 << 20;
/// Resources of one kind that a tree may hold.
pub const MAX_RESOURCES: usize = 1 << 20;
/// Bytes of the names and values of one `fields` (HTTP headers or trailers).
pub const MAX_FIELDS_BYTES: usize = 128 << 10;
