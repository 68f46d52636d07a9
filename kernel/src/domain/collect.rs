//! When core exceptions pile up: which ones guests can still reach.

use super::Domain;
use crate::instance::Instance;
use crate::instance::exceptions::Exceptions;
use crate::jit::valtype::{HeapType, ValType};
use crate::vm::VmGlobal;

impl Domain {
    /// The exceptions, after those that nobody can reach were dropped if there are many new ones.
    ///
    /// Only for a built-in that a guest of this domain called: everything above us on its stack is looked at.
    pub(crate) fn exceptions_collected(&mut self) -> &mut Exceptions {
        if self.exceptions.as_ref().is_some_and(|exceptions| exceptions.is_due()) {
            self.collect_exceptions();
        }
        self.exceptions.get_or_insert_default()
    }

    #[cold]
    #[inline(never)]
    fn collect_exceptions(&mut self) {
        // Registers that compiled code keeps across a call are on our stack, because whoever called us saved
        // them before it used them, or they are still where they were: in this array, after the store.
        let registers = crate::arch::kept_registers();
        let here = registers.as_ptr() as usize;
        let mut words: Vec<usize> = registers.to_vec();
        for stack in &self.stacks {
            let from = if stack.usable.contains(&here) { here } else { stack.usable.start };
            // SAFETY: the usable part of a guest stack that is in use is readable, and a word aligned to a
            // word is read.
            words.extend(
                (from..stack.usable.end)
                    .step_by(size_of::<usize>())
                    .map(|at| unsafe { (at as *const usize).read_volatile() }),
            );
        }
        words.extend(
            self.tables
                .iter()
                .filter(|table| holds(ValType::Ref(table.ty().element)))
                .flat_map(|table| table.elements().iter().copied()),
        );
        let made = self.host.iter().flat_map(|host| &host.globals);
        words.extend(
            self.instances
                .iter()
                .flat_map(|instance| globals(instance))
                .chain(made.filter(|(_, ty)| holds(ty.ty)).map(|(global, _)| word(global))),
        );
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.collect(words.into_iter());
        }
    }
}

fn globals(instance: &Instance) -> impl Iterator<Item = usize> {
    let globals = instance.library.module.globals.iter().zip(0..).filter(|(ty, _)| holds(ty.ty));
    // SAFETY: the instance's own or imported global, whose domain owns it.
    globals.map(|(_, index)| word(unsafe { &*instance.global(index) }))
}

fn holds(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if matches!(ty.heap, HeapType::Exn | HeapType::NoExn))
}

fn word(global: &VmGlobal) -> usize {
    u128::from_le_bytes(global.0) as usize
}
