//! Where the compiled code of a domain finds the functions that it calls outside its own instance, so that they can be
//! replaced while it runs.
//!
//! Such a place is a [`crate::vm::VmFuncImport`] in the context of an instance or in the domain's record, or a
//! [`crate::vm::VmFuncRef`] of an imported function. Both begin with the code and the context; the context of an adapter
//! is the domain's record. Only the code is replaced, by another function of the same signature and context, so a
//! thread that reads the two words meanwhile calls the one or the other.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::jit::library::Library;
use crate::vm::DomainLayout;

/// The places of one life of a domain. Empty before it and after it.
#[derive(Debug)]
pub(in super::super) struct Slots {
    /// Null where the domain runs in another OS process.
    record: *mut u8,
    layout: DomainLayout,
    loaded: Vec<Loaded>,
}

/// A library that a process has loaded.
#[derive(Debug)]
struct Loaded {
    process: u32,
    /// The context of the instance; null in another OS process.
    ctx: *mut u8,
    library: Arc<Library>,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { record: ptr::null_mut(), layout: DomainLayout::default(), loaded: Vec::new() }
    }
}

// SAFETY: the addresses are of records that outlive it ([`Slots::end`]); only words that are atomic are written.
unsafe impl Send for Slots {}

impl Slots {
    /// A life begins.
    ///
    /// # Safety
    /// The record and the contexts that are added must stay where they are until [`Slots::end`].
    pub unsafe fn begin(&mut self, record: *mut u8, layout: DomainLayout) {
        (self.record, self.layout) = (record, layout);
    }

    /// An instance of it is there.
    pub fn add(&mut self, process: u32, ctx: *mut u8, library: &Arc<Library>) {
        self.loaded.push(Loaded { process, ctx, library: Arc::clone(library) });
    }

    /// The life is about to end.
    pub fn end(&mut self) {
        *self = Slots::default();
    }

    /// What a process has loaded.
    pub fn libs(&self, process: u32) -> Vec<Arc<Library>> {
        let own = self.loaded.iter().filter(|loaded| loaded.process == process);
        own.map(|loaded| Arc::clone(&loaded.library)).collect()
    }

    /// Replaces adapters by what `other` gives for their addresses.
    pub fn replace(&self, other: &dyn Fn(*const u8) -> Option<*const u8>) {
        let Slots { record, layout, loaded } = self;
        if record.is_null() {
            return;
        }
        let replace = |base: *mut u8, offset: u32| {
            // SAFETY: a record of this life, which is not over while it is borrowed, and an offset of its layout that has
            // two words: the code and the context.
            unsafe {
                let slot = base.add(offset as usize).cast::<*mut u8>();
                if slot.add(1).read() != *record {
                    return;
                }
                let code = AtomicPtr::from_ptr(slot);
                if let Some(other) = other(code.load(Ordering::Relaxed)) {
                    code.store(other.cast_mut(), Ordering::Release);
                }
            }
        };
        (0..layout.func_count()).for_each(|slot| replace(*record, layout.func(slot)));
        for Loaded { ctx, library, .. } in loaded {
            let module = &library.module;
            (0..module.imported.funcs).for_each(|func| replace(*ctx, module.layout.func_import(func)));
            for (func, place) in module.func_ref_order.iter().zip(0..) {
                if module.defined_func(*func).is_none() {
                    replace(*ctx, module.layout.func_ref(place));
                }
            }
        }
    }
}
