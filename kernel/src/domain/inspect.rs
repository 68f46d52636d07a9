//! Reading and changing memories, tables and globals from the host, between calls.

use super::Domain;
use super::externs::{GlobalRef, MemoryRef, TableRef};
use super::signatures::mask;
use crate::instance::tables::Table;
use crate::jit::valtype::ValType;

impl Domain {
    /// The bytes of an unshared memory of this domain; `None` for any other.
    #[must_use]
    pub fn memory(&self, memory: &MemoryRef) -> Option<&[u8]> {
        // SAFETY: the domain's own unshared memory: only guest code could store to it, and `&self` keeps it
        // from running.
        self.owns(memory).then(|| unsafe {
            let bytes = memory.memory.as_slice();
            std::slice::from_raw_parts(bytes.as_ptr(), bytes.len())
        })
    }

    /// The bytes of an unshared memory of this domain; `None` for any other.
    #[must_use]
    pub fn memory_mut(&mut self, memory: &MemoryRef) -> Option<&mut [u8]> {
        // SAFETY: the domain's own unshared memory: only guest code could use it, and `&mut self` keeps it
        // from running.
        self.owns(memory).then(|| unsafe {
            let bytes = memory.memory.as_mut_slice();
            std::slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len())
        })
    }

    /// Copies bytes out of a memory, a shared one too; `None` if it is another domain's or ends before.
    pub fn memory_read(&self, memory: &MemoryRef, at: u64, out: &mut [u8]) -> Option<()> {
        (memory.domain == self.key || memory.ty().shared).then_some(())?;
        memory.memory.read(at, out)
    }

    /// Grows a memory by `delta` pages and returns how many it had; `None` if that is not possible.
    pub fn memory_grow(&mut self, memory: &MemoryRef, delta: u64) -> Option<u64> {
        (memory.domain == self.key || memory.ty().shared).then_some(())?;
        memory.memory.grow(delta)
    }

    fn owns(&self, memory: &MemoryRef) -> bool {
        memory.domain == self.key && !memory.ty().shared
    }

    /// The value of a global, in the low bytes; `None` if it is another domain's.
    #[must_use]
    pub fn global(&self, global: &GlobalRef) -> Option<u128> {
        // SAFETY: the domain's own; nothing stores to it while it is borrowed.
        (global.domain == self.key)
            .then(|| u128::from_le_bytes(unsafe { (*global.global).0 }) & mask(global.ty.ty))
    }

    /// Sets a global; `None`, and nothing done, if it is another domain's, constant, or cannot hold the
    /// value.
    pub fn set_global(&mut self, global: &GlobalRef, value: u128) -> Option<()> {
        let fits = match global.ty.ty {
            ValType::Ref(ty) => self.is_ref(value, ty),
            _ => true,
        };
        (global.domain == self.key && global.ty.mutable && fits).then_some(())?;
        // SAFETY: the domain's own; `&mut self` keeps guest code from running.
        unsafe { (*global.global).0 = value.to_le_bytes() };
        Some(())
    }

    /// How many elements a table has; `None` if it is another domain's.
    #[must_use]
    pub fn table_len(&self, table: &TableRef) -> Option<u64> {
        Some(self.table_of(table)?.len())
    }

    /// An element's word, 0 for null; `None` if the table is another domain's or has no such element.
    #[must_use]
    pub fn table_get(&self, table: &TableRef, index: u64) -> Option<usize> {
        self.table_of(table)?.get(index)
    }

    /// Sets an element; `None`, and nothing done, if the table is another domain's, has no such element, or
    /// cannot hold it.
    pub fn table_set(&mut self, table: &TableRef, index: u64, word: usize) -> Option<()> {
        let element = self.table_of(table)?.ty().element;
        self.is_ref(word as u128, element).then_some(())?;
        // SAFETY: the domain's own; `&mut self` keeps guest code from running.
        unsafe { &mut *table.table }.fill(index, word, 1)
    }

    fn table_of(&self, table: &TableRef) -> Option<&Table> {
        // SAFETY: the domain's own, which it owns until it is dropped.
        (table.domain == self.key).then(|| unsafe { &*table.table })
    }
}
