//! What linking knows of the core functions that adapters call, so that they are called without looking.

use std::collections::HashMap;
use std::sync::Arc;

use super::draft::Draft;
use super::linked::{CoreDef, Step};
use crate::jit::fuse::spec::{AdapterImports, Callee, Callees};
use crate::jit::library::Library;
use crate::jit::module::{Entity, ImportType};

/// A core instance of a domain: its library, and what it imports.
type Loaded<'s> = (&'s Arc<Library>, &'s [CoreDef]);

/// The callees of a domain, of which `steps` are the launch.
pub(super) fn callees(draft: &Draft, steps: &[(u32, Step)], domain: u32) -> Callees {
    let loads = steps.iter().filter(|(number, _)| *number == domain).filter_map(|(_, step)| match step {
        Step::Load { library, args, .. } => Some((library, &**args)),
        _ => None,
    });
    let loads: Vec<Loaded<'_>> = loads.collect();
    let mut imports: HashMap<u32, Arc<AdapterImports>> = HashMap::new();
    let callee = |(def, slot): (&CoreDef, &u32)| {
        let CoreDef::Export { instance, entity: Entity::Func(func) } = def else { return None };
        let loaded = loads.get(*instance as usize)?;
        let library = loaded.0;
        let func = library.module.defined_func(*func)?;
        let adapters = imports.entry(*instance).or_insert_with(|| Arc::new(adapters(draft, *loaded)));
        Some((*slot, Callee { library: Arc::clone(library), func, adapters: Arc::clone(adapters) }))
    };
    draft.func_slots.iter().filter_map(callee).collect()
}

/// The functions that a core instance imports from adapters.
fn adapters(draft: &Draft, (library, args): Loaded<'_>) -> AdapterImports {
    let funcs = library.module.imports.iter().zip(args);
    let funcs = funcs.filter(|(import, _)| matches!(import.ty, ImportType::Func(_)));
    let adapter = |(index, (_, def)): (u32, (_, &CoreDef))| {
        let CoreDef::Adapter(number) = def else { return None };
        let (params, results) = draft.specs.get(*number as usize)?.signature();
        Some((index, (*number, params, results)))
    };
    (0..).zip(funcs).filter_map(adapter).collect()
}
