//! Where the compiled code of a domain finds the functions that it calls outside its own instance, so that they can be
//! replaced while it runs.
//!
//! Such a place is a [`crate::vm::VmFuncImport`] in the context of an instance or in the domain's record, or a
//! [`crate::vm::VmFuncRef`] of an imported function. Both begin with the code and the context; the context of an adapter
//! is the domain's record. Only the code is replaced, by another function of the same signature and context, so a
//! thread that reads the two words meanwhile calls the one or the other.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::instance::Instance;
use crate::jit::library::Library;
use crate::vm::DomainLayout;

/// The places of one life of a domain. Empty before it and after it.
#[derive(Debug, Default)]
pub(in super::super) struct Slots(Mutex<Option<Life>>);

#[derive(Debug)]
struct Life {
    record: *mut u8,
    layout: DomainLayout,
    instances: Vec<(*mut u8, Arc<Library>)>,
}

// SAFETY: the addresses are of records that outlive it ([`Slots::end`]); only words that are atomic are written.
unsafe impl Send for Life {}

impl Slots {
    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins.
    ///
    /// # Safety
    /// The record and the instances that are added must stay where they are until [`Slots::end`].
    pub unsafe fn begin(&self, record: *mut u8, layout: DomainLayout) {
        *self.life() = Some(Life { record, layout, instances: Vec::new() });
    }

    /// An instance of it is there.
    pub fn add(&self, instance: &Instance) {
        if let Some(life) = &mut *self.life() {
            life.instances.push((instance.ctx.base(), Arc::clone(&instance.library)));
        }
    }

    /// The life is about to end.
    pub fn end(&self) {
        *self.life() = None;
    }

    /// Replaces adapters by what `other` gives for their addresses.
    pub fn replace(&self, other: &dyn Fn(*const u8) -> Option<*const u8>) {
        let life = self.life();
        let Some(Life { record, layout, instances }) = &*life else { return };
        let replace = |base: *mut u8, offset: u32| {
            // SAFETY: a record of this life, which is not over while it is locked, and an offset of its layout that has
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
        for (ctx, library) in instances {
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
