//! How a run ends badly: what happened, where, and who was on the call chain.

use std::fmt;

use crate::id::{DomainId, ProcessId};

/// What a guest did wrong. The texts are the field's usual ones, so that tools and suites recognise them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// `unreachable` was executed.
    #[error("wasm `unreachable` instruction executed")]
    Unreachable,
    /// A load or store left its memory.
    #[error("out of bounds memory access")]
    MemoryOutOfBounds,
    /// An atomic access was misaligned.
    #[error("unaligned atomic")]
    UnalignedAtomic,
    /// `memory.atomic.wait` on unshared memory.
    #[error("expected shared memory")]
    ExpectedShared,
    /// A table access left its table.
    #[error("out of bounds table access")]
    TableOutOfBounds,
    /// `call_indirect` through an index beyond its table.
    #[error("undefined element: out of bounds table access")]
    UndefinedElement,
    /// `call_indirect` through a null entry.
    #[error("uninitialized element")]
    UninitializedElement,
    /// `call_indirect` to a function of another type.
    #[error("indirect call type mismatch")]
    BadSignature,
    /// `i32.div_s` of the smallest integer by −1.
    #[error("integer overflow")]
    IntegerOverflow,
    /// A division or remainder by zero.
    #[error("integer divide by zero")]
    IntegerDivideByZero,
    /// A float that no integer of the type holds.
    #[error("invalid conversion to integer")]
    BadConversionToInteger,
    /// A null reference where one to something was needed.
    #[error("null reference")]
    NullReference,
    /// `call_ref` of a null function reference.
    #[error("null function reference")]
    NullFunctionReference,
    /// `throw_ref` of a null exception reference.
    #[error("null exception reference")]
    NullExceptionReference,
    /// The call stack is full.
    #[error("call stack exhausted")]
    StackOverflow,
    /// A core exception that nothing caught.
    #[error("uncaught exception")]
    UncaughtException,
    /// A call into a process that a trap ended, or that is on the stack already.
    #[error("cannot enter component instance")]
    CannotEnter,
    /// A call out of a process that is in `realloc` or `post-return`.
    #[error("cannot leave component instance")]
    CannotLeave,
    /// A pointer that the ABI requires to be aligned is not.
    #[error("unaligned pointer: {what} at {pointer:#x} must be aligned to {align}")]
    UnalignedPointer {
        /// What the pointer was to.
        what: &'static str,
        /// The pointer.
        pointer: u64,
        /// The alignment it must have, bytes.
        align: u32,
    },
    /// A string's pointer and length leave the memory.
    #[error(
        "string pointer/length out of bounds of memory: string content out-of-bounds: {pointer:#x} + {bytes} bytes, memory has {memory}"
    )]
    StringOutOfBounds {
        /// Where the string begins.
        pointer: u64,
        /// Its length in bytes.
        bytes: u64,
        /// The memory's length in bytes.
        memory: u64,
    },
    /// A string is longer than the ABI's limit.
    #[error("string pointer/length out of bounds of memory: {bytes} bytes, at most {limit} are allowed")]
    StringTooLong {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A list's pointer and length leave the memory.
    #[error(
        "list pointer/length out of bounds of memory: list content out-of-bounds: {pointer:#x} + {bytes} bytes, memory has {memory}"
    )]
    ListOutOfBounds {
        /// Where the list begins.
        pointer: u64,
        /// Its length in bytes.
        bytes: u64,
        /// The memory's length in bytes.
        memory: u64,
    },
    /// A list is longer than the ABI's limit.
    #[error("list pointer/length out of bounds of memory: {bytes} bytes, at most {limit} are allowed")]
    ListTooLong {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The area for parameters or results in memory leaves the memory.
    #[error("pointer out of bounds of memory: {what} at {pointer:#x} + {bytes} bytes, memory has {memory}")]
    PointerOutOfBounds {
        /// What the pointer was to.
        what: &'static str,
        /// The pointer.
        pointer: u64,
        /// How many bytes were needed.
        bytes: u64,
        /// The memory's length in bytes.
        memory: u64,
    },
    /// `realloc` returned a region that leaves the memory.
    #[error("realloc return: beyond end of memory: {pointer:#x} + {bytes} bytes, memory has {memory}")]
    ReallocOutOfBounds {
        /// What it returned.
        pointer: u64,
        /// How many bytes were asked for.
        bytes: u64,
        /// The memory's length in bytes.
        memory: u64,
    },
    /// `realloc` returned a misaligned pointer.
    #[error("realloc return: result not aligned: unaligned pointer {pointer:#x} must be aligned to {align}")]
    ReallocUnaligned {
        /// What it returned.
        pointer: u64,
        /// The alignment asked for, bytes.
        align: u32,
    },
    /// Bytes that are not the UTF-8 they should be.
    #[error("invalid utf-8 encoding")]
    InvalidUtf8,
    /// Bytes that end inside a UTF-8 sequence.
    #[error("incomplete utf-8 byte sequence")]
    IncompleteUtf8,
    /// Code units that are not the UTF-16 they should be.
    #[error("unpaired surrogate found: invalid utf-16 encoding")]
    InvalidUtf16,
    /// A `char` that is no Unicode scalar value.
    #[error("invalid `char` bit pattern: {0:#x}")]
    InvalidChar(u32),
    /// A discriminant that names no case.
    #[error("invalid variant discriminant: {discriminant}, the type has {cases} cases")]
    InvalidDiscriminant {
        /// What the guest wrote.
        discriminant: u32,
        /// How many cases there are.
        cases: u32,
    },
    /// A handle index that names nothing.
    #[error("unknown handle index {0}")]
    UnknownHandle(u32),
    /// A handle of another type.
    #[error(
        "handle index {index} used with the wrong type, expected guest-defined resource but found a different guest-defined resource"
    )]
    WrongHandleType {
        /// The handle.
        index: u32,
    },
    /// A borrow handle where an own handle is needed.
    #[error(
        "handle index {index} is a borrow, expected an own handle: cannot lift own resource from a borrow"
    )]
    NotOwned {
        /// The handle.
        index: u32,
    },
    /// An own handle was given away or dropped while it is lent.
    #[error("cannot remove owned resource while borrowed: handle index {index} is lent {lends} times")]
    StillLent {
        /// The handle.
        index: u32,
        /// How often it is lent.
        lends: u32,
    },
    /// A call returned with borrow handles left.
    #[error("borrow handles still remain at the end of the call: {0}")]
    BorrowsRemain(u32),
    /// The handle table is full.
    #[error("resource table has no free keys: at most {limit} handles are allowed")]
    HandlesExhausted {
        /// The limit.
        limit: u32,
    },
    /// Something the kernel does not do.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A limit was reached.
    #[error("{limit} exceeded: {value} is more than {allowed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// The value.
        value: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// Somebody ended it: who, and perhaps why.
    #[error("killed: {0}")]
    Killed(String),
    /// The domain that was called, or that a handle leads to, is no more: why.
    #[error("the domain is gone: {0}")]
    Gone(String),
    /// Domains wait for each other: the cycle, by names.
    #[error("deadlock: {0}")]
    Deadlock(String),
    /// The guest was given so many steps, and has taken them.
    #[error("out of steps: it has not come to an end within those it was given")]
    OutOfSteps,
    /// A host function failed.
    #[error("{0}")]
    Host(String),
    /// A host function asked for the whole tree to end; not a guest's fault.
    #[error("exit with code {0}")]
    Exit(u8),
}

/// One frame of a backtrace, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The process whose frame it is.
    pub process: Option<ProcessId>,
    /// The process's name, as a path from the root.
    pub process_name: String,
    /// The core module's name, if it has one.
    pub module: Option<String>,
    /// Function index in its module, or none for an adapter.
    pub func_index: Option<u32>,
    /// The function's name from the name section, or the adapter's from its edge.
    pub func_name: Option<String>,
    /// Byte offset in the module's binary.
    pub offset: Option<u32>,
}

/// Values of a processor's registers, by name.
pub type Registers = Vec<(&'static str, u64)>;

/// A record of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub trap: Trap,
    /// The process it happened in.
    pub process: Option<ProcessId>,
    /// That process's name, as a path from the root.
    pub process_name: Box<str>,
    /// The domain it happened in.
    pub domain: Option<DomainId>,
    /// The call chain over all processes, innermost first.
    pub frames: Vec<Frame>,
    /// The processor's registers, by name, where the innermost frame's code was interrupted; none if it was not.
    pub registers: Option<Box<Registers>>,
}

impl Fault {
    /// A fault of `trap` with nothing known of where.
    #[must_use]
    pub fn new(trap: Trap) -> Fault {
        Fault {
            trap,
            process: None,
            process_name: "".into(),
            domain: None,
            frames: Vec::new(),
            registers: None,
        }
    }
}

impl From<Trap> for Fault {
    fn from(trap: Trap) -> Fault {
        Fault::new(trap)
    }
}

impl From<Box<Fault>> for Fault {
    fn from(fault: Box<Fault>) -> Fault {
        *fault
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trap)
    }
}

impl std::error::Error for Fault {}
