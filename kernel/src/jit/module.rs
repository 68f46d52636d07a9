//! What the kernel knows of a core module besides its code: no lifetimes, imports first in every index space.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::constexpr::ConstExpr;
use super::sig::SigId;
use super::valtype::{CoreFuncType, GlobalType, HeapType, MemoryType, RefType, TableType};
use crate::vm::{CtxCounts, CtxLayout};

/// A validated core module.
#[derive(Debug)]
pub struct Module {
    /// The name section's module name.
    pub name: Option<String>,
    /// The type section.
    pub types: Vec<Type>,
    /// Imports, as written.
    pub imports: Vec<Import>,
    /// Exports, as written.
    pub exports: Vec<Export>,
    /// Each function's type index.
    pub funcs: Vec<u32>,
    /// Tables' types.
    pub tables: Vec<TableType>,
    /// The first value of each defined table's elements; none is null.
    pub table_inits: Vec<Option<ConstExpr>>,
    /// Memories' types.
    pub memories: Vec<MemoryType>,
    /// Globals' types.
    pub globals: Vec<GlobalType>,
    /// The first value of each defined global.
    pub global_inits: Vec<ConstExpr>,
    /// Each tag's type index.
    pub tags: Vec<u32>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// The start function.
    pub start: Option<u32>,
    /// How many of each index space are imported.
    pub imported: Imported,
    /// Where each function's reference is in the context, for those that can become references.
    pub func_refs: HashMap<u32, u32>,
    /// The same functions in slot order.
    pub func_ref_order: Vec<u32>,
    /// How many of each thing the context holds.
    pub counts: CtxCounts,
    /// Where the context holds what.
    pub layout: CtxLayout,
    /// The binary without its function bodies and without custom sections but the name section; `data` points in here.
    pub bytes: Arc<[u8]>,
    /// Whether other instances can see each global.
    pub(super) shared_globals: Vec<bool>,
    pub(super) export_index: HashMap<String, usize>,
    pub(super) func_names: Vec<(u32, Box<str>)>,
}

/// An entry of the type section.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its number in the engine.
    pub sig: SigId,
    /// The signature; an empty one for structures and arrays.
    pub func: Arc<CoreFuncType>,
    /// What a reference to it refers to.
    pub heap: HeapType,
    /// Whether it has no subtypes.
    pub is_final: bool,
}

/// How many of each index space are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Functions.
    pub funcs: u32,
    /// Tables.
    pub tables: u32,
    /// Memories.
    pub memories: u32,
    /// Globals.
    pub globals: u32,
    /// Tags.
    pub tags: u32,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// What is wanted.
    pub ty: ImportType,
}

/// What an import wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportType {
    /// A function of this signature.
    Func(SigId),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag of this signature.
    Tag(SigId),
}

/// One export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub entity: Entity,
}

/// A thing of a module, by its index space and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// A function.
    Func(u32),
    /// A table.
    Table(u32),
    /// A memory.
    Memory(u32),
    /// A global.
    Global(u32),
    /// A tag.
    Tag(u32),
}

/// When a segment is used.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentMode {
    /// By `*.init`.
    Passive,
    /// At instantiation.
    Active {
        /// Table or memory index.
        target: u32,
        /// Where it goes.
        offset: ConstExpr,
    },
    /// Never; it declares functions that become references.
    Declared,
}

/// An element segment.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementSegment {
    /// When it is used.
    pub mode: SegmentMode,
    /// The type of its items.
    pub ty: RefType,
    /// The items.
    pub items: ElementItems,
}

/// The items of an element segment.
#[derive(Clone, Debug, PartialEq)]
pub enum ElementItems {
    /// References to functions, by index.
    Funcs(Box<[u32]>),
    /// Expressions.
    Exprs(Box<[ConstExpr]>),
}

/// A data segment.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSegment {
    /// When it is used.
    pub mode: SegmentMode,
    /// Its bytes in [`Module::bytes`].
    pub range: Range<usize>,
}

impl ElementItems {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            ElementItems::Funcs(funcs) => funcs.len(),
            ElementItems::Exprs(exprs) => exprs.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Module {
    /// The export of this name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<Entity> {
        self.export_index.get(name).map(|&at| self.exports[at].entity)
    }

    /// The name that the name section gives to a function, or else that under which it is exported.
    #[must_use]
    pub fn func_name(&self, func: u32) -> Option<&str> {
        if let Ok(at) = self.func_names.binary_search_by_key(&func, |entry| entry.0) {
            return Some(&self.func_names[at].1);
        }
        let exported = self.exports.iter().find(|export| export.entity == Entity::Func(func));
        exported.map(|export| &*export.name)
    }

    /// A function's signature number.
    #[must_use]
    pub fn func_sig(&self, func: u32) -> SigId {
        self.types[self.funcs[func as usize] as usize].sig
    }

    /// A function's signature.
    #[must_use]
    pub fn func_type(&self, func: u32) -> &Arc<CoreFuncType> {
        &self.types[self.funcs[func as usize] as usize].func
    }

    /// A tag's signature number.
    #[must_use]
    pub fn tag_sig(&self, tag: u32) -> SigId {
        self.types[self.tags[tag as usize] as usize].sig
    }

    /// A tag's signature: the parameters are the exception's values.
    #[must_use]
    pub fn tag_type(&self, tag: u32) -> &Arc<CoreFuncType> {
        &self.types[self.tags[tag as usize] as usize].func
    }

    /// A function's place among the defined ones, or none if it is imported.
    #[must_use]
    pub fn defined_func(&self, func: u32) -> Option<u32> {
        func.checked_sub(self.imported.funcs)
    }

    /// How many functions have bodies here.
    #[must_use]
    pub fn defined_funcs(&self) -> usize {
        self.funcs.len() - self.imported.funcs as usize
    }

    /// A data segment's bytes.
    #[must_use]
    pub fn data_bytes(&self, segment: &DataSegment) -> &[u8] {
        &self.bytes[segment.range.clone()]
    }

    /// What an import of the same type as this entity would ask for.
    #[must_use]
    pub fn entity_type(&self, entity: Entity) -> ImportType {
        match entity {
            Entity::Func(index) => ImportType::Func(self.func_sig(index)),
            Entity::Table(index) => ImportType::Table(self.tables[index as usize]),
            Entity::Memory(index) => ImportType::Memory(self.memories[index as usize]),
            Entity::Global(index) => ImportType::Global(self.globals[index as usize]),
            Entity::Tag(index) => ImportType::Tag(self.tag_sig(index)),
        }
    }
}
