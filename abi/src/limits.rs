//! Every bound of the canonical ABI and of the console's protocol, in one place.

/// More parameters than this, flattened, are passed in memory (CanonicalABI.md, "Flattening").
pub const MAX_FLAT_PARAMS: usize = 16;
/// The same for an import that is lowered with the option `async`.
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
/// More results than this, flattened, are returned in memory.
pub const MAX_FLAT_RESULTS: usize = 1;
/// A string's bytes, in the encoding it has in memory.
pub const MAX_STRING_BYTES: u32 = (1 << 28) - 1;
/// A list's bytes in memory.
pub const MAX_LIST_BYTES: u32 = (1 << 28) - 1;
/// Entries of a handle table; index 0 is reserved.
pub const MAX_HANDLES: u32 = (1 << 28) - 1;
/// Nested handle-scope depth of one domain: every call that lends opens one.
pub const MAX_SCOPES: usize = 1 << 16;
/// How deep value types nest; validation allows 100.
pub const MAX_TYPE_DEPTH: u32 = 128;
/// Bytes of the host's memory that the values of one call may take, as [`crate::value::Value`]s or as Rust types. Lists and strings can
/// overlap in a guest's memory, so what they are in the host's is not bounded by the guest's memory.
pub const MAX_VALUE_BYTES: usize = 1 << 30;
/// Elements of a list that cross before others are let run.
pub const ELEMENTS_A_TURN: u32 = 1 << 14;
/// The same of elements that are moved as bytes: bytes.
pub const BYTES_A_TURN: u32 = 1 << 20;
/// Bytes of a text in a message that is no component value: a path, a reason.
pub const WIRE_TEXT_BYTES: usize = 64 << 10;
/// Elements of a list in a message that is no component value: frames, handles.
pub const WIRE_ELEMENTS: usize = 1 << 20;
/// Fixed texts that come in messages and are kept for ever.
pub const INTERNED_TEXTS: usize = 512;
/// Bytes of each of them.
pub const INTERNED_TEXT_BYTES: usize = 256;
/// Bytes of the words of a greeting of the console's protocol.
pub const MAX_GREETING_BYTES: usize = 512;
/// Bytes of one request to a supervisor; arguments of calls are in there.
pub const MAX_REQUEST_BYTES: usize = 256 << 10;
/// Bytes of one answer of a supervisor.
pub const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// How deep a tree nests that is sent to a console; the kernel allows 100.
pub const MAX_TREE_DEPTH: usize = 128;
