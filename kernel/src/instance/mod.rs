//! Core instances: what a library becomes when a process loads it.
//!
//! An instance is a context (`VmCtx`) that compiled code works on and a record that the built-ins work on.
//! Both belong to a [`crate::domain::Domain`], and neither moves.
//!
//! - [`matching`]: whether what is given fits what is imported
//! - [`create`]: making an instance, from imports to the start function
//! - [`images`]: initial memory contents, computed once for a library
//! - [`tables`]: the tables of instances and of the host
//! - [`exceptions`]: core exceptions and when they are dropped
//! - [`builtins`]: the table of the kernel functions that compiled code calls
//! - [`builtins_memory`], [`builtins_table`], [`builtins_atomic`], [`builtins_exception`],
//!   [`builtins_component`], [`builtins_watch`]: those functions

pub mod builtins;
pub mod builtins_atomic;
pub mod builtins_component;
pub mod builtins_exception;
pub mod builtins_memory;
pub mod builtins_table;
pub mod builtins_watch;
pub mod create;
pub mod exceptions;
pub mod images;
pub mod matching;
pub mod tables;

use std::sync::Arc;

use self::tables::Table;
use crate::domain::externs::{DomainKey, Extern, Func, GlobalRef, MemoryRef, TableRef, TagRef};
use crate::jit::constexpr::ConstEnv;
use crate::jit::library::Library;
use crate::jit::module::{ElementItems, Entity};
use crate::mem::block::Block;
use crate::mem::linear::Memory;
use crate::vm::{VmFuncImport, VmFuncRef, VmGlobal, VmTag};

/// An instance's place in its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceIndex(pub u32);

/// A core instance.
#[derive(Debug)]
pub struct Instance {
    /// What it is an instance of.
    pub library: Arc<Library>,
    /// The process that loaded it, if it is one of a component.
    pub process: Option<u32>,
    /// The `VmCtx`.
    pub(crate) ctx: Block,
    /// Memories by index, imported ones first.
    pub(crate) memories: Vec<Arc<Memory>>,
    /// Tables by index, imported ones first.
    pub(crate) tables: Vec<*mut Table>,
}

// SAFETY: the tables are its domain's, which goes where the instance goes.
unsafe impl Send for Instance {}

impl Instance {
    /// The memories that it defines.
    pub(crate) fn own_memories(&self) -> impl Iterator<Item = &Arc<Memory>> {
        self.memories.iter().skip(self.library.module.imported.memories as usize)
    }

    /// Bytes of the memories that it defines.
    #[must_use]
    pub fn own_memory_bytes(&self) -> u64 {
        self.own_memories().map(|memory| memory.bytes() as u64).sum()
    }

    /// How far into the memories that it defines something was ever written: bytes up to the last one that is not 0. Of
    /// shared memories nothing.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        const ZERO: [u8; 4096] = [0; 4096];
        let written = |memory: &Arc<Memory>| {
            // SAFETY: the memory is not shared, and the domain's: nothing runs in it now.
            let bytes = unsafe { memory.as_slice() };
            let blank = bytes.rchunks(ZERO.len()).take_while(|chunk| **chunk == ZERO[..chunk.len()]).count();
            let rest = &bytes[..bytes.len().saturating_sub(blank * ZERO.len())];
            rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
        };
        self.own_memories().filter(|memory| !memory.ty().shared).map(written).sum()
    }

    /// Elements of the tables that it defines.
    #[must_use]
    pub fn own_table_elements(&self) -> u64 {
        let imported = self.library.module.imported.tables as usize;
        // SAFETY: the tables are the domain's, which lives as long as the instance; nothing runs in it now.
        self.tables.iter().skip(imported).map(|table| unsafe { &**table }.len()).sum()
    }

    /// What the host holds of one of its things.
    pub(crate) fn entity(&self, domain: DomainKey, entity: Entity) -> Extern {
        let module = &self.library.module;
        match entity {
            Entity::Func(index) => {
                Extern::Func(Func { import: self.func(index), sig: module.func_sig(index), domain })
            }
            Entity::Table(index) => Extern::Table(TableRef { table: self.tables[index as usize], domain }),
            Entity::Memory(index) => {
                Extern::Memory(MemoryRef { memory: Arc::clone(&self.memories[index as usize]), domain })
            }
            Entity::Global(index) => {
                let ty = module.globals[index as usize];
                Extern::Global(GlobalRef { global: self.global(index), ty, domain })
            }
            Entity::Tag(index) => {
                Extern::Tag(TagRef { tag: self.tag(index), sig: module.tag_sig(index), domain })
            }
        }
    }

    /// How to call a function, by index in the module.
    pub(crate) fn func(&self, index: u32) -> VmFuncImport {
        let module = &self.library.module;
        match module.defined_func(index) {
            Some(defined) => VmFuncImport { code: self.library.func(defined), ctx: self.ctx.base() },
            None => self.ctx.get(module.layout.func_import(index)),
        }
    }

    /// A global's address, by index in the module.
    pub(crate) fn global(&self, index: u32) -> *mut VmGlobal {
        let module = &self.library.module;
        match index.checked_sub(module.imported.globals) {
            Some(defined) => self.ctx.at(module.layout.global(defined)),
            None => self.ctx.get(module.layout.global_import(index)),
        }
    }

    fn tag(&self, index: u32) -> *mut VmTag {
        let module = &self.library.module;
        match index.checked_sub(module.imported.tags) {
            Some(defined) => self.ctx.at(module.layout.tag(defined)),
            None => self.ctx.get(module.layout.tag_import(index)),
        }
    }

    /// The reference to a function that can become one.
    fn func_ref(&self, index: u32) -> *mut VmFuncRef {
        let module = &self.library.module;
        self.ctx.at(module.layout.func_ref(module.func_refs[&index]))
    }

    /// Whether one of its function references is at `address`.
    pub(crate) fn holds_func_ref(&self, address: usize) -> bool {
        let module = &self.library.module;
        let first = self.ctx.base() as usize + module.layout.func_ref(0) as usize;
        let Some(offset) = address.checked_sub(first) else { return false };
        offset < module.func_ref_order.len() * size_of::<VmFuncRef>()
            && offset.is_multiple_of(size_of::<VmFuncRef>())
    }

    /// How many items an element segment has left: none once it is dropped.
    pub(crate) fn element_len(&self, segment: u32) -> usize {
        let dropped = self.ctx.get::<u8>(self.dropped_elements(segment));
        if dropped != 0 { 0 } else { self.library.module.elements[segment as usize].items.len() }
    }

    /// An item of an element segment: the word of a reference.
    ///
    /// Items are constant, so it makes no difference that they are evaluated when they are used.
    pub(crate) fn element(&self, segment: u32, item: usize) -> usize {
        match &self.library.module.elements[segment as usize].items {
            ElementItems::Funcs(funcs) => self.func_ref(funcs[item]) as usize,
            ElementItems::Exprs(exprs) => exprs[item].eval(&mut Constants(self)) as usize,
        }
    }

    /// Drops a data segment.
    pub(crate) fn drop_data(&mut self, segment: u32) {
        self.ctx.set(self.library.module.layout.dropped(segment), 1_u8);
    }

    /// Drops an element segment.
    pub(crate) fn drop_elements(&mut self, segment: u32) {
        self.ctx.set(self.dropped_elements(segment), 1_u8);
    }

    fn dropped_elements(&self, segment: u32) -> u32 {
        let module = &self.library.module;
        module
            .layout
            .dropped(u32::try_from(module.data.len()).expect("the validator bounds segments") + segment)
    }

    /// The bytes that a data segment has left: none once it is dropped.
    pub(crate) fn data(&self, segment: u32) -> &[u8] {
        let module = &self.library.module;
        let dropped = self.ctx.get::<u8>(module.layout.dropped(segment));
        if dropped != 0 { &[] } else { module.data_bytes(&module.data[segment as usize]) }
    }
}

/// What constant expressions of an instance see.
pub(crate) struct Constants<'a>(pub &'a Instance);

impl ConstEnv for Constants<'_> {
    fn global(&mut self, index: u32) -> u128 {
        // SAFETY: the address of a global of the instance, whose domain owns it.
        let bytes = unsafe { (*self.0.global(index)).0 };
        let ty = self.0.library.module.globals[index as usize].ty;
        u128::from_le_bytes(bytes) & crate::domain::signatures::mask(ty)
    }

    fn func(&mut self, index: u32) -> usize {
        self.0.func_ref(index) as usize
    }
}
