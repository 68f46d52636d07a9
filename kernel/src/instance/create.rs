//! Making an instance, from imports to the start function (core spec, "Instantiation").

use std::sync::Arc;

use abi::fault::{Fault, Trap};

use super::images::Images;
use super::matching::{self, LinkError};
use super::tables::Table;
use super::{Constants, Instance, InstanceIndex, builtins};
use crate::domain::Domain;
use crate::domain::externs::Extern;
use crate::jit::library::Library;
use crate::jit::module::Module;
use crate::jit::module::SegmentMode;
use crate::mem::MemError;
use crate::mem::block::{Block, Pinned};
use crate::mem::linear::Memory;
use crate::vm::{VmFuncRef, VmGlobal, VmTag, ctx};

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum InstantiateError {
    /// What was given does not fit the imports.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What it begins with is more than its process or its domain may still have.
    #[error("it begins with {needed} {what}, which is more than its quota leaves")]
    Quota {
        /// Of what.
        what: &'static str,
        /// How much.
        needed: u64,
    },
    /// Memory could not be had.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// A segment did not fit, or the start function went wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Domain {
    /// Makes an instance of `library`, its imports satisfied by `imports` one for one, for `process`.
    ///
    /// # Errors
    /// [`InstantiateError`]. After a fault the instance exists still, because references to it may be in
    /// tables that it imported, but its index is not given out.
    pub fn instantiate(
        &mut self,
        library: &Arc<Library>,
        imports: &[Extern],
        process: Option<u32>,
    ) -> Result<InstanceIndex, InstantiateError> {
        matching::check(self, library, imports)?;
        let instance = Pinned::new(self.allocate(library, imports, process)?);
        let index = self.add_instance(instance);
        self.initialise(index, library)?;
        if let Some(start) = library.module.start {
            let start = self.instance(index).entity(self.key(), crate::jit::module::Entity::Func(start));
            let start = start.func().expect("the validator checks that the start index is a function's");
            self.call_process(process, &start, &[], &mut [])?;
        }
        Ok(index)
    }

    /// The context and the record, with everything that can fail for want of memory.
    fn allocate(
        &mut self,
        library: &Arc<Library>,
        imports: &[Extern],
        process: Option<u32>,
    ) -> Result<Instance, InstantiateError> {
        let module = &library.module;
        let images = Images::of(library);
        let mut instance = Instance {
            library: Arc::clone(library),
            process,
            ctx: Block::new(module.layout.size()),
            memories: Vec::with_capacity(module.memories.len()),
            tables: Vec::with_capacity(module.tables.len()),
        };
        fill_imports(&mut instance, imports);
        self.check_quota(module, process)?;
        for (defined, ty) in module.memories.iter().skip(module.imported.memories as usize).enumerate() {
            instance.memories.push(Arc::new(Memory::new(*ty, images.image(defined))?));
        }
        let mut tables = Vec::new();
        for (ty, defined) in module.tables.iter().skip(module.imported.tables as usize).zip(0..) {
            let vm = instance.ctx.at(module.layout.table(defined));
            // SAFETY: the context lives as long as the domain, which owns both; only the table writes to its
            // record.
            tables.push(Pinned::new(unsafe { Table::new(*ty, vm, 0)? }));
        }
        instance.tables.extend(tables.iter().map(Pinned::as_ptr));
        self.own(tables);
        fill_context(&mut instance, module, self.vm());
        Ok(instance)
    }

    /// Whether a process may have what a module begins with.
    fn check_quota(&self, module: &Module, process: Option<u32>) -> Result<(), InstantiateError> {
        let memories = module.memories.iter().skip(module.imported.memories as usize);
        let bytes = memories.map(|ty| ty.bytes(ty.minimum)).fold(0, u64::saturating_add);
        if !self.may_hold_memory(process, bytes) {
            return Err(InstantiateError::Quota { what: "bytes of memory", needed: bytes });
        }
        let tables = module.tables.iter().skip(module.imported.tables as usize);
        let elements = tables.map(|ty| ty.minimum).fold(0, u64::saturating_add);
        if !self.may_hold_elements(process, elements) {
            return Err(InstantiateError::Quota { what: "table elements", needed: elements });
        }
        Ok(())
    }

    /// Globals, tables and segments, in the specification's order.
    fn initialise(&mut self, index: InstanceIndex, library: &Library) -> Result<(), Fault> {
        let instance = self.instance_mut(index);
        init_globals(instance, &library.module);
        init_tables(instance, &library.module);
        init_elements(instance, &library.module)?;
        init_data(instance, library)
    }
}

/// Puts the imports where compiled code looks for them. They match, as was checked.
fn fill_imports(instance: &mut Instance, imports: &[Extern]) {
    let layout = instance.library.module.layout;
    let (mut funcs, mut tables, mut globals, mut tags) = (0.., 0.., 0.., 0..);
    let next = |counter: &mut std::ops::RangeFrom<u32>| counter.next().expect("a range without end");
    for import in imports {
        match import {
            Extern::Func(func) => instance.ctx.set(layout.func_import(next(&mut funcs)), func.import),
            Extern::Table(table) => {
                // SAFETY: the table's domain is this one, as was checked; it lives.
                let vm = unsafe { (*table.table).vm() };
                instance.ctx.set(layout.table_import(next(&mut tables)), vm);
                instance.tables.push(table.table);
            }
            Extern::Memory(memory) => instance.memories.push(Arc::clone(&memory.memory)),
            Extern::Global(global) => {
                instance.ctx.set(layout.global_import(next(&mut globals)), global.global)
            }
            Extern::Tag(tag) => instance.ctx.set(layout.tag_import(next(&mut tags)), tag.tag),
        }
    }
}

/// Everything else that compiled code finds in the context, but for values that must be computed.
fn fill_context(instance: &mut Instance, module: &Module, domain: *mut u8) {
    let layout = &module.layout;
    instance.ctx.set(ctx::DOMAIN.cast_unsigned(), domain);
    instance.ctx.set(ctx::BUILTINS.cast_unsigned(), builtins::dispatch());
    for (ty, index) in module.types.iter().zip(0..) {
        instance.ctx.set(layout.sig(index), ty.sig.0);
    }
    for index in 0..instance.memories.len() {
        let slot = instance.memories[index].slot();
        instance.ctx.set(layout.memory(u32::try_from(index).expect("the validator bounds memories")), slot);
    }
    for tag in module.imported.tags..u32::try_from(module.tags.len()).expect("the validator bounds tags") {
        instance.ctx.set(layout.tag(tag - module.imported.tags), VmTag { sig: module.tag_sig(tag).0 });
    }
    for (&func, slot) in module.func_ref_order.iter().zip(0..) {
        let import = instance.func(func);
        let reference = VmFuncRef { code: import.code, ctx: import.ctx, sig: module.func_sig(func).0 };
        instance.ctx.set(layout.func_ref(slot), reference);
    }
}

/// Each may use the ones before it.
fn init_globals(instance: &mut Instance, module: &Module) {
    for (init, defined) in module.global_inits.iter().zip(0..) {
        let value = init.eval(&mut Constants(instance));
        instance.ctx.set(module.layout.global(defined), VmGlobal(value.to_le_bytes()));
    }
}

fn init_tables(instance: &mut Instance, module: &Module) {
    let imported = module.imported.tables as usize;
    for (defined, init) in module.table_inits.iter().enumerate() {
        let Some(init) = init else { continue };
        let word = init.eval(&mut Constants(instance)) as usize;
        // SAFETY: the domain's own table, which nothing else uses now.
        let table = unsafe { &mut *instance.tables[imported + defined] };
        table.fill(0, word, table.len()).expect("all of it");
    }
}

fn init_elements(instance: &mut Instance, module: &Module) -> Result<(), Fault> {
    for (segment, index) in module.elements.iter().zip(0..) {
        if let SegmentMode::Active { target, offset } = &segment.mode {
            let at = offset.eval(&mut Constants(instance)) as u64;
            // SAFETY: the domain's own table, which nothing else uses now.
            let table = unsafe { &mut *instance.tables[*target as usize] };
            let count = segment.items.len() as u64;
            table
                .init(at, count, |item| instance.element(index, item))
                .ok_or_else(|| Fault::new(Trap::TableOutOfBounds))?;
        }
        if segment.mode != SegmentMode::Passive {
            instance.drop_elements(index);
        }
    }
    Ok(())
}

fn init_data(instance: &mut Instance, library: &Library) -> Result<(), Fault> {
    let images = Images::of(library);
    for (segment, index) in library.module.data.iter().zip(0..) {
        let SegmentMode::Active { target, offset } = &segment.mode else { continue };
        if !images.covers(index as usize) {
            let at = offset.eval(&mut Constants(instance)) as u64;
            let bytes = library.module.data_bytes(segment);
            let memory = &instance.memories[*target as usize];
            memory.write(at, bytes).ok_or_else(|| Fault::new(Trap::MemoryOutOfBounds))?;
        }
        instance.drop_data(index);
    }
    Ok(())
}
