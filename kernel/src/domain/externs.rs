//! What instances import and export, as the host holds it.

use std::sync::Arc;

use crate::instance::tables::Table;
use crate::jit::module::ImportType;
use crate::jit::sig::SigId;
use crate::jit::valtype::{GlobalType, MemoryType, TableType};
use crate::mem::linear::Memory;
use crate::vm::{VmFuncImport, VmGlobal, VmTag};

/// Which domain something belongs to. Never used again when the domain is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainKey(pub(super) u64);

/// Something that can be imported. It is of use only with its own domain, while that lives; only a shared
/// memory may go to another one.
#[derive(Clone, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A table.
    Table(TableRef),
    /// A memory.
    Memory(MemoryRef),
    /// A global.
    Global(GlobalRef),
    /// An exception tag.
    Tag(TagRef),
}

/// A function of a domain.
#[derive(Clone, Copy, Debug)]
pub struct Func {
    pub(crate) import: VmFuncImport,
    pub(crate) sig: SigId,
    pub(crate) domain: DomainKey,
}

/// A table of a domain.
#[derive(Clone, Copy, Debug)]
pub struct TableRef {
    pub(crate) table: *mut Table,
    pub(crate) domain: DomainKey,
}

/// A memory.
#[derive(Clone, Debug)]
pub struct MemoryRef {
    pub(crate) memory: Arc<Memory>,
    pub(crate) domain: DomainKey,
}

/// A global of a domain.
#[derive(Clone, Copy, Debug)]
pub struct GlobalRef {
    pub(crate) global: *mut VmGlobal,
    pub(crate) ty: GlobalType,
    pub(crate) domain: DomainKey,
}

/// A tag of a domain.
#[derive(Clone, Copy, Debug)]
pub struct TagRef {
    pub(crate) tag: *mut VmTag,
    pub(crate) sig: SigId,
    pub(crate) domain: DomainKey,
}

// SAFETY: addresses that only their domain uses, after it has compared its key.
unsafe impl Send for Func {}
// SAFETY: as above.
unsafe impl Sync for Func {}
// SAFETY: as above.
unsafe impl Send for TableRef {}
// SAFETY: as above.
unsafe impl Sync for TableRef {}
// SAFETY: as above.
unsafe impl Send for GlobalRef {}
// SAFETY: as above.
unsafe impl Sync for GlobalRef {}
// SAFETY: as above.
unsafe impl Send for TagRef {}
// SAFETY: as above.
unsafe impl Sync for TagRef {}

impl Func {
    /// The function's signature, as a number of the domain's engine.
    #[must_use]
    pub fn sig(&self) -> SigId {
        self.sig
    }
}

impl MemoryRef {
    /// The memory's type, with the minimum that it began with.
    #[must_use]
    pub fn ty(&self) -> MemoryType {
        *self.memory.ty()
    }
}

impl GlobalRef {
    /// The global's type.
    #[must_use]
    pub fn ty(&self) -> GlobalType {
        self.ty
    }
}

impl Extern {
    /// The function, if it is one.
    #[must_use]
    pub fn func(&self) -> Option<Func> {
        match self {
            Extern::Func(func) => Some(*func),
            _ => None,
        }
    }

    /// The memory, if it is one.
    #[must_use]
    pub fn memory(&self) -> Option<&MemoryRef> {
        match self {
            Extern::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    /// Whether the thing may be used with the domain of this key.
    #[must_use]
    pub(crate) fn belongs_to(&self, key: DomainKey) -> bool {
        match self {
            Extern::Func(func) => func.domain == key,
            Extern::Table(table) => table.domain == key,
            Extern::Memory(memory) => memory.domain == key || memory.memory.ty().shared,
            Extern::Global(global) => global.domain == key,
            Extern::Tag(tag) => tag.domain == key,
        }
    }

    /// Its type, with the present size of a table or memory as its minimum (core spec, "External Typing").
    ///
    /// Only for what [`Self::belongs_to`] a domain that lives.
    #[must_use]
    pub(crate) fn ty(&self) -> ImportType {
        match self {
            Extern::Func(func) => ImportType::Func(func.sig),
            Extern::Table(table) => {
                // SAFETY: the domain that owns the table lives, and nothing runs in it now.
                let table = unsafe { &*table.table };
                ImportType::Table(TableType { minimum: table.len(), ..*table.ty() })
            }
            Extern::Memory(memory) => {
                let memory = &memory.memory;
                ImportType::Memory(MemoryType { minimum: memory.pages(), ..*memory.ty() })
            }
            Extern::Global(global) => ImportType::Global(global.ty),
            Extern::Tag(tag) => ImportType::Tag(tag.sig),
        }
    }
}
