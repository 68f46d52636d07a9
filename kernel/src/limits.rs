//! Every bound of the kernel, in one place.

/// Address space for all machine code of the OS process, bytes.
pub const CODE_ARENA_BYTES: usize = 1 << 30;
/// What a 32-bit index can reach, bytes.
pub const MEMORY32_BYTES: usize = 1 << 32;
/// Unmapped bytes behind every linear memory. Compiled code leaves out a bounds check where the constant
/// offset plus the access size is at most this.
pub const MEMORY_GUARD_BYTES: usize = 32 << 20;
/// The most that a memory with 64-bit indices can hold, bytes: it grows inside one reservation of that size. Compiled
/// code takes a greater index as this one, which faults.
pub const MEMORY64_BYTES: usize = 16 << 30;
/// Unused memory reservations kept mapped for the next memory.
pub const POOLED_MEMORIES: usize = 64;
/// Stack that guest code may use, bytes.
pub const GUEST_STACK_BYTES: usize = 1 << 20;
/// Stack below the guest's limit, for the host functions that it calls, bytes.
pub const HOST_HEADROOM_BYTES: usize = 1 << 20;
/// Unmapped bytes below every stack.
pub const STACK_GUARD_BYTES: usize = 64 << 10;
/// A stack on which guest code faulted keeps its memory for the next call if no more than this was in use.
pub const KEPT_STACK_BYTES: usize = 64 << 10;
/// Unused guest stacks that one OS thread keeps for itself.
pub const POOLED_STACKS_PER_THREAD: usize = 4;
/// Accounts between which one turn is divided where threads hand the processor over.
pub const STINT_ACCOUNTS: usize = 16;
/// Unused guest stacks kept for all OS threads together.
pub const POOLED_STACKS: usize = 64;
/// The stack that signal handlers run on, bytes.
pub const SIGNAL_STACK_BYTES: usize = 64 << 10;
/// Frames of a backtrace that a fault keeps, from the innermost outwards.
pub const FAULT_FRAMES: usize = 64;
/// The same of a fault that went through several domains, each of which adds its own.
pub const FAULT_FRAMES_OVER_BOUNDARIES: usize = 256;
/// Bytes of each name in a fault that another OS process tells of.
pub const FAULT_TEXT_BYTES: usize = 1 << 10;
/// Elements of one table.
pub const TABLE_ELEMENTS: u64 = 10_000_000;
/// Core exceptions alive in one domain.
pub const EXCEPTIONS: usize = 1 << 20;
/// Exceptions made since the last collection before another is tried.
pub const EXCEPTIONS_BETWEEN_COLLECTIONS: usize = 1 << 12;
/// Bytes of one exception's payload.
pub const EXCEPTION_BYTES: u32 = 16 << 10;
/// Bytes of function bodies that are worth another compiling thread.
pub const COMPILE_BYTES_PER_THREAD: usize = 4 << 10;
/// Addresses below this are never mapped: compiled code makes an access fault by going there.
pub const NULL_BYTES: usize = 64 << 10;
/// Parts of the types of one function between components: what is written out as code, so that a small file
/// cannot make much of it.
pub const ADAPTER_NODES: u32 = 1 << 14;
/// The same for all functions of a tree together.
pub const ADAPTERS_NODES: u32 = 1 << 20;
/// Parts of a parameter's type whose values compiled code takes over a boundary; larger ones go in letters.
pub const COUNTED_NODES: u32 = 1 << 8;
/// A type with more parts than this is copied by a function of its own, which all adapters share.
pub const ADAPTER_INLINE_NODES: u32 = 32;
/// A fixed-length list with more elements than this is copied by a loop.
pub const ADAPTER_UNROLLED_ELEMENTS: u32 = 4;
/// Values that the calls, blocks and branches of one function carry together: each byte of a function can
/// stand for a thousand of them.
pub const MAX_CARRIED_VALUES: usize = 1 << 22;
/// Locals times blocks of one function: what building its data flow can cost at worst.
pub const MAX_LOCALS_TIMES_BLOCKS: usize = 1 << 28;
/// Edges of watched code that are told apart.
pub const WATCHED_EDGES: usize = 1 << 21;
/// Comparisons of watched code that are kept.
pub const WATCHED_COMPARES: usize = 1 << 14;
/// Pairs of texts of watched code that are kept.
pub const WATCHED_TEXTS: usize = 1 << 10;
/// Bytes that are kept of each of them.
pub const WATCHED_TEXT_BYTES: usize = 64;
/// Characters of a call's arguments, and of its result, that a trace tells.
pub const TRACED_CHARS: usize = 256;
/// Processes of one tree.
pub const MAX_PROCESSES: usize = 10_000;
/// Core instances of one tree.
pub const MAX_CORE_INSTANCES: usize = 30_000;
/// Lowered functions and resource built-ins of one tree.
pub const MAX_ADAPTERS: usize = 200_000;
/// How deep component instances nest.
pub const MAX_NESTED_INSTANCES: usize = 100;
