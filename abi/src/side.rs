//! What the canonical ABI needs from one side of a call: a memory, an allocator, an encoding, handles.
//!
//! A guest's pointer is an allegation until [`Side::memory`] has been indexed with a checked range.

use crate::fault::Trap;
use crate::layout::Layout;
use crate::lift::NO_CASES;
use crate::limits::MAX_LIST_BYTES;
use crate::types::ResourceType;
use crate::value::Resource;

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

    /// Called now and then while long values cross: lets others run.
    ///
    /// # Errors
    /// The call is to end.
    fn checkpoint(&mut self) -> Result<(), Trap> {
        Ok(())
    }

    /// Which life of the domain that implements the type this side's handles lead to.
    fn generation(&self, ty: ResourceType) -> u32 {
        let _ = ty;
        0
    }

    /// The type under which a resource is to be put into this side's table: its own, or [`ResourceType::GONE`] if it
    /// was lost with the domain that implemented it.
    ///
    /// # Errors
    /// [`Trap::Gone`]: it was lost, and this side implements it, so that it would get a representation.
    fn known(&self, resource: &Resource) -> Result<ResourceType, Trap> {
        Ok(resource.ty)
    }
}

impl<'s> dyn Side + 's {
    /// Calls `realloc` and checks what it returns (CanonicalABI.md, `reallocate` and its callers).
    ///
    /// # Errors
    /// Those of [`Side::realloc`], or a region that is misaligned or out of bounds.
    pub fn allocate(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        let pointer = self.realloc(old, old_bytes, align, new_bytes)?;
        if !pointer.is_multiple_of(align) {
            return Err(Trap::ReallocUnaligned { pointer: u64::from(pointer), align });
        }
        let memory = self.memory().len() as u64;
        if u64::from(pointer) + u64::from(new_bytes) > memory {
            return Err(Trap::ReallocOutOfBounds {
                pointer: u64::from(pointer),
                bytes: u64::from(new_bytes),
                memory,
            });
        }
        Ok(pointer)
    }

    /// Checks a pointer to `what` that the guest gave: aligned, and `bytes` from it in bounds.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, what: &'static str, pointer: u32, layout: Layout) -> Result<(), Trap> {
        if !pointer.is_multiple_of(layout.align) {
            return Err(Trap::UnalignedPointer { what, pointer: u64::from(pointer), align: layout.align });
        }
        self.bytes(what, pointer, layout.size).map(|_| ())
    }

    /// Checks what a guest says of a list with elements of this layout.
    ///
    /// # Errors
    /// Longer than 2^28−1 bytes, misaligned or out of bounds.
    pub fn check_list(&self, pointer: u32, count: u32, element: Layout) -> Result<(), Trap> {
        let bytes = u64::from(count) * u64::from(element.size);
        if bytes > u64::from(MAX_LIST_BYTES) {
            return Err(Trap::ListTooLong { bytes, limit: u64::from(MAX_LIST_BYTES) });
        }
        if !pointer.is_multiple_of(element.align) {
            return Err(Trap::UnalignedPointer {
                what: "list",
                pointer: u64::from(pointer),
                align: element.align,
            });
        }
        let memory = self.memory().len() as u64;
        if u64::from(pointer) + bytes > memory {
            return Err(Trap::ListOutOfBounds { pointer: u64::from(pointer), bytes, memory });
        }
        Ok(())
    }

    /// The `bytes` bytes at `pointer`; `what` is for the error.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn bytes(&self, what: &'static str, pointer: u32, bytes: u32) -> Result<&[u8], Trap> {
        let memory = self.memory();
        let start = pointer as usize;
        memory
            .get(start..start.saturating_add(bytes as usize))
            .ok_or_else(|| outside(what, pointer, bytes, memory.len()))
    }

    /// The same, to write.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn region(&mut self, pointer: u32, bytes: u32) -> Result<&mut [u8], Trap> {
        let memory = self.memory_mut();
        let (start, len) = (pointer as usize, memory.len());
        memory
            .get_mut(start..start.saturating_add(bytes as usize))
            .ok_or_else(|| outside("store", pointer, bytes, len))
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn read<const N: usize>(&self, pointer: u32) -> Result<[u8; N], Trap> {
        let start = pointer as usize;
        let bytes = self.memory().get(start..).and_then(|bytes| bytes.first_chunk());
        bytes.copied().ok_or_else(|| outside("load", pointer, N as u32, self.memory().len()))
    }

    /// Writes `N` bytes.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn write<const N: usize>(&mut self, pointer: u32, value: [u8; N]) -> Result<(), Trap> {
        self.region(pointer, N as u32)?.copy_from_slice(&value);
        Ok(())
    }

    /// Reads an integer of at most eight bytes (`load_int`, unsigned).
    ///
    /// # Errors
    /// Out of bounds.
    pub fn read_uint(&self, pointer: u32, bytes: u32) -> Result<u64, Trap> {
        let mut wide = [0; 8];
        let bytes = self.bytes("value", pointer, bytes)?;
        wide.get_mut(..bytes.len()).ok_or(NO_CASES)?.copy_from_slice(bytes);
        Ok(u64::from_le_bytes(wide))
    }

    /// Writes the low bytes of an integer, at most eight (`store_int`).
    ///
    /// # Errors
    /// Out of bounds.
    pub fn write_uint(&mut self, pointer: u32, bytes: u32, value: u64) -> Result<(), Trap> {
        let value = value.to_le_bytes();
        let value = value.get(..bytes as usize).ok_or(NO_CASES)?;
        self.region(pointer, bytes)?.copy_from_slice(value);
        Ok(())
    }

    /// Reads the pointer and the length of a string or list.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn read_pair(&self, pointer: u32) -> Result<(u32, u32), Trap> {
        let pair = u64::from_le_bytes(self.read(pointer)?);
        Ok((pair as u32, (pair >> 32) as u32))
    }

    /// Writes the pointer and the length of a string or list.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn write_pair(&mut self, pointer: u32, first: u32, second: u32) -> Result<(), Trap> {
        self.write(pointer, (u64::from(second) << 32 | u64::from(first)).to_le_bytes())
    }
}

fn outside(what: &'static str, pointer: u32, bytes: u32, memory: usize) -> Trap {
    Trap::PointerOutOfBounds {
        what,
        pointer: u64::from(pointer),
        bytes: u64::from(bytes),
        memory: memory as u64,
    }
}
