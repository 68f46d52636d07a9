//! What the canonical ABI needs from one side of a call: a memory, an allocator, an encoding, handles.
//!
//! A guest's pointer is an allegation until [`Side::memory`] has been indexed with a checked range.

use crate::fault::Trap;
use crate::types::ResourceType;

/// How a side keeps its strings (canonical option `string-encoding`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `utf8`
    #[default]
    Utf8,
    /// `utf16`
    Utf16,
    /// `latin1+utf16`
    CompactUtf16,
}

/// One side of a call as the interpreter sees it.
///
/// The kernel implements this over a process; tests over a vector of bytes.
pub trait Side {
    /// How this side keeps its strings.
    fn encoding(&self) -> Encoding;

    /// The linear memory of the canonical option `memory`. Empty where there is none.
    fn memory(&self) -> &[u8];

    /// The same, to write.
    fn memory_mut(&mut self) -> &mut [u8];

    /// Calls the guest's `realloc`. What it returns is not checked here.
    ///
    /// The memory may have grown or moved when this returns.
    ///
    /// # Errors
    /// The trap that ended the guest's code, or that it has no `realloc`.
    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap>;

    /// Takes an own handle out of this side's table and gives its representation (`lift_own`).
    ///
    /// # Errors
    /// Unknown index, wrong type, a borrow, or lent.
    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap>;

    /// Reads a handle that this side lends for the length of the call (`lift_borrow`).
    ///
    /// # Errors
    /// Unknown index or wrong type.
    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap>;

    /// Puts an own handle into this side's table (`lower_own`).
    ///
    /// # Errors
    /// The table is full.
    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap>;

    /// Puts a borrow handle into this side's table, or gives the representation itself where this side
    /// implements the type (`lower_borrow`).
    ///
    /// # Errors
    /// The table is full.
    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap>;
}
