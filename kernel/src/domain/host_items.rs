//! Functions, tables, memories, globals and tags that the host makes, for guests to import.

use std::sync::Arc;

use abi::fault::{Fault, Trap};

use super::Domain;
use super::externs::{Extern, Func, GlobalRef, MemoryRef, TableRef, TagRef};
use super::signatures::{checked, mask};
use crate::instance::tables::Table;
use crate::jit::compile_error::CompileError;
use crate::jit::valtype::{CoreFuncType, GlobalType, MemoryType, RefType, TableType, ValType};
use crate::mem::MemError;
use crate::mem::block::Pinned;
use crate::mem::linear::Memory;
use crate::sched::park::checkpoint;
use crate::vm::{VmFuncImport, VmFuncRef, VmGlobal, VmHostCore, VmTable, VmTag};

/// A host function as the domain keeps it; the trampoline's context is its first field.
#[repr(C)]
struct HostFunc {
    vm: VmHostCore,
    ty: CoreFuncType,
    checked_results: Box<[(usize, RefType)]>,
    body: Body,
}

/// What the host has made in a domain, at addresses that stay.
#[derive(Default)]
pub(super) struct HostItems {
    funcs: Vec<Pinned<HostFunc>>,
    tables: Vec<Pinned<VmTable>>,
    pub memories: Vec<Arc<Memory>>,
    pub globals: Vec<(Pinned<VmGlobal>, GlobalType)>,
    tags: Vec<Pinned<VmTag>>,
    pub refs: Vec<Pinned<VmFuncRef>>,
}

enum Body {
    Values(Box<ValuesFn>),
    Reentrant(Box<ReentrantFn>),
}

/// A host function that sees its values only: parameters in, results out, from index 0 on.
pub type ValuesFn = dyn FnMut(&mut [u128]) -> Result<(), Trap> + Send;

/// A host function that may use the domain, and so be called again before it returns.
pub type ReentrantFn = dyn Fn(&mut Reentry<'_>, &mut [u128]) -> Result<(), Trap> + Send;

/// The domain as a host function that it called sees it: it can be looked at, and called, but not replaced.
#[derive(Debug)]
pub struct Reentry<'a> {
    domain: &'a mut Domain,
}

impl Reentry<'_> {
    /// Calls a function, as [`Domain::call`].
    ///
    /// # Errors
    /// As [`Domain::call`]. A host function that cannot go on without the result returns the fault's trap in
    /// turn.
    pub fn call(&mut self, func: &Func, args: &[u128], results: &mut [u128]) -> Result<(), Fault> {
        self.domain.call(func, args, results)
    }

    /// The bytes of an unshared memory of the domain; `None` for any other.
    #[must_use]
    pub fn memory_mut(&mut self, memory: &MemoryRef) -> Option<&mut [u8]> {
        self.domain.memory_mut(memory)
    }
}

impl std::ops::Deref for Reentry<'_> {
    type Target = Domain;
    fn deref(&self) -> &Domain {
        self.domain
    }
}

impl Domain {
    pub(super) fn host_items(&mut self) -> &mut HostItems {
        self.host.get_or_insert_default()
    }

    /// A function that guests may import. `body` gets the parameters and leaves the results in the same
    /// words, each in the low bytes; there are as many as parameters or results, whichever are more.
    ///
    /// # Errors
    /// [`CompileError`] if the engine cannot make the trampoline.
    pub fn host_func(&mut self, ty: &CoreFuncType, body: Box<ValuesFn>) -> Result<Extern, CompileError> {
        self.add_host_func(ty, Body::Values(body))
    }

    /// The same for one that uses the domain.
    ///
    /// # Errors
    /// [`CompileError`] if the engine cannot make the trampoline.
    pub fn host_func_reentrant(
        &mut self,
        ty: &CoreFuncType,
        body: Box<ReentrantFn>,
    ) -> Result<Extern, CompileError> {
        self.add_host_func(ty, Body::Reentrant(body))
    }

    fn add_host_func(&mut self, ty: &CoreFuncType, body: Body) -> Result<Extern, CompileError> {
        let sig = self.engine.intern(ty);
        let code = self.engine.exit(sig)?;
        let func = Pinned::new(HostFunc {
            vm: VmHostCore { domain: self.record.base(), call: call_host },
            ty: ty.clone(),
            checked_results: checked(&ty.results),
            body,
        });
        let import = VmFuncImport { code, ctx: func.as_ptr().cast() };
        self.host_items().funcs.push(func);
        Ok(Extern::Func(Func { import, sig, domain: self.key }))
    }

    /// A function of this domain by its code, its context and its signature: an adapter, say.
    ///
    /// # Safety
    /// `import` must be callable with this signature as long as the domain lives.
    #[must_use]
    pub unsafe fn func(&self, import: VmFuncImport, sig: crate::jit::sig::SigId) -> Func {
        Func { import, sig, domain: self.key }
    }

    /// A table, all null.
    ///
    /// # Errors
    /// [`MemError`] if its minimum is more than a table may have.
    pub fn host_table(&mut self, ty: TableType) -> Result<Extern, MemError> {
        let vm = Pinned::new(VmTable { base: std::ptr::null_mut(), len: 0 });
        // SAFETY: the record stays where it is as long as the domain, which owns both.
        let table = Pinned::new(unsafe { Table::new(ty, vm.as_ptr(), 0)? });
        let extern_ = Extern::Table(TableRef { table: table.as_ptr(), domain: self.key });
        self.host_items().tables.push(vm);
        self.tables.push(table);
        Ok(extern_)
    }

    /// A memory, all zero.
    ///
    /// # Errors
    /// [`MemError`] if its minimum is more than the kernel reserves, or the system refuses.
    pub fn host_memory(&mut self, ty: MemoryType) -> Result<Extern, MemError> {
        let memory = Arc::new(Memory::new(ty, None)?);
        self.host_items().memories.push(Arc::clone(&memory));
        Ok(Extern::Memory(MemoryRef { memory, domain: self.key }))
    }

    /// A global with this value in the low bytes. `None` if the value is no reference of this domain of the
    /// type.
    pub fn host_global(&mut self, ty: GlobalType, value: u128) -> Option<Extern> {
        if let ValType::Ref(ref_type) = ty.ty
            && !self.is_ref(value, ref_type)
        {
            return None;
        }
        let global = Pinned::new(VmGlobal(value.to_le_bytes()));
        let extern_ = Extern::Global(GlobalRef { global: global.as_ptr(), ty, domain: self.key });
        self.host_items().globals.push((global, ty));
        Some(extern_)
    }

    /// An exception tag; the parameters of `ty` are the values of its exceptions.
    pub fn host_tag(&mut self, ty: &CoreFuncType) -> Extern {
        let sig = self.engine.intern(ty);
        let tag = Pinned::new(VmTag { sig: sig.0 });
        let extern_ = Extern::Tag(TagRef { tag: tag.as_ptr(), sig, domain: self.key });
        self.host_items().tags.push(tag);
        extern_
    }
}

/// What exit trampolines call.
///
/// # Safety
/// `host` must be the context of a host function's trampoline, `values` the slots that it made.
unsafe extern "C" fn call_host(host: *mut VmHostCore, values: *mut u128) -> u32 {
    // SAFETY: the record is the first field of a `HostFunc`, which lives as long as its domain; a `Values`
    // body is never called again before it returns, because it has no way to the domain.
    let func = unsafe { &mut *host.cast::<HostFunc>() };
    // SAFETY: the domain that owns the function runs it: whoever called into the guest waits.
    let domain = unsafe { crate::instance::builtins::domain_of_record(func.vm.domain) };
    domain.nested = None;
    // SAFETY: the trampoline made this many slots.
    let values =
        unsafe { std::slice::from_raw_parts_mut(values, func.ty.params.len().max(func.ty.results.len())) };
    for (value, ty) in values.iter_mut().zip(&func.ty.params) {
        *value &= mask(*ty);
    }
    let result = match &mut func.body {
        Body::Values(body) => body(values),
        Body::Reentrant(body) => body(&mut Reentry { domain }, values),
    };
    let result = result.and_then(|()| checkpoint()).and_then(|()| {
        match func
            .checked_results
            .iter()
            .find(|(index, ty)| !domain.is_ref(values[*index] & mask(ValType::Ref(*ty)), *ty))
        {
            None => Ok(()),
            Some((index, _)) => Err(Trap::Host(format!(
                "result {index} of a host function is no reference of this domain of the type it must have"
            ))),
        }
    });
    match result {
        Ok(()) => 0,
        Err(trap) => domain.leave(trap),
    }
}
