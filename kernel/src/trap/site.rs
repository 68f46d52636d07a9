//! What the kernel asks whoever made a piece of machine code.

use cranelift_codegen::ir::TrapCode;

/// Knows one [`crate::mem::code::CodeBlock`]. Offsets are bytes from the block's start.
pub trait CodeInfo: Send + Sync {
    /// Why the instruction at `offset` may fault; `None` if it never should.
    fn trap(&self, offset: u32) -> Option<TrapCode>;

    /// Whose code it is; `None` for trampolines, which no backtrace shows.
    ///
    /// For a caller's frame `offset` is inside the call instruction: one less than the return address.
    fn frame(&self, offset: u32) -> Option<CodeFrame>;

    /// The processes that an adapter joins; `None` for all other code. `offset` as in [`Self::frame`].
    fn edge(&self, _offset: u32) -> Option<Edge> {
        None
    }

    /// What the call that returns to `offset` does when its callee throws a core exception.
    fn catches(&self, offset: u32) -> Catch;
}

/// A frame of a backtrace, as its code knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeFrame {
    /// The core module's name, if it has one.
    pub module: Option<String>,
    /// Function index in its module; none for an adapter.
    pub func_index: Option<u32>,
    /// The function's name, or the adapter's.
    pub func_name: Option<String>,
    /// Byte offset in the module's binary.
    pub offset: Option<u32>,
}

/// From which process to which an adapter calls, as indices into the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Whose code called the adapter: frames further out are its.
    pub caller: u32,
    /// Whose code the adapter calls: frames further in are its.
    pub callee: u32,
}

impl Edge {
    /// Stands for no process of the domain.
    pub const NOBODY: u32 = u32::MAX;
}

/// What a call does with an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catch {
    /// Nothing: it passes through to the caller.
    Pass,
    /// Code at `offset` takes it: it gets the exception's address as its payload, and throws it again if it
    /// has no clause for it. Its stack pointer is `frame_bytes` below the frame pointer.
    Land {
        /// Where the code is.
        offset: u32,
        /// Frame pointer minus stack pointer at the call.
        frame_bytes: u32,
    },
    /// No exception leaves the callee: the guest traps ([`abi::fault::Trap::UncaughtException`]).
    Stop,
}
