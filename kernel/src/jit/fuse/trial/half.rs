//! One process of a world as a side of a call: the interpreter works on the same memory as the adapter.

use abi::fault::Trap;
use abi::side::{Encoding, Side};
use abi::types::ResourceType;

use super::rig::{DEFINED, allocate, guests_of, memory_of};
use crate::domain::Domain;

/// One process.
pub struct Half<'d> {
    pub domain: &'d mut Domain,
    pub process: u32,
    /// A copy of its memory, as the trait lends it by a shared reference.
    memory: Vec<u8>,
    encoding: Encoding,
}

impl Half<'_> {
    pub fn new(domain: &mut Domain, process: u32) -> Half<'_> {
        let memory = memory_of(domain, process as usize).to_vec();
        let encoding = guests_of(domain).encodings[process as usize];
        Half { domain, process, memory, encoding }
    }

    /// Writes the copy back.
    fn flush(&mut self) {
        memory_of(self.domain, self.process as usize).copy_from_slice(&self.memory);
    }
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Side for Half<'_> {
    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        self.flush();
        let pointer = allocate(self.domain, self.process as usize, [old, old_bytes], align, new_bytes)?;
        self.memory = memory_of(self.domain, self.process as usize).to_vec();
        Ok(pointer)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        guests_of(self.domain).handles.lift_own(self.process, ty, index)
    }

    /// The callee's view of what it borrowed: it drops the handle, as it must. The caller lends its handle for the call that
    /// is tried.
    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        if (ty, self.process) == (DEFINED, 1) {
            return Ok(index);
        }
        let handles = &mut guests_of(self.domain).handles;
        if self.process == 0 {
            return handles.lend(self.process, ty, index);
        }
        let rep = handles.rep(self.process, ty, index)?;
        handles.drop(self.process, ty, index)?;
        Ok(rep)
    }

    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        guests_of(self.domain).handles.add_own(self.process, ty, rep)
    }

    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        guests_of(self.domain).handles.add_own(self.process, ty, rep)
    }
}
