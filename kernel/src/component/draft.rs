//! A domain while its processes are being linked.

use std::collections::HashMap;
use std::sync::OnceLock;

use abi::flat::CoreType;

use super::error::LinkError;
use super::linked::{CoreDef, HostImport, LinkedDomain};
use crate::jit::engine::Engine;
use crate::jit::fuse::Adapters;
use crate::jit::fuse::spec::{AdapterSpec, Callees, Implementers};
use crate::jit::sig::SigId;
use crate::jit::valtype::{CoreFuncType, ValType};
use crate::vm::DomainLayout;

/// A domain while its processes are being linked.
#[derive(Default)]
pub(super) struct Draft {
    pub processes: Vec<u32>,
    pub imports: Vec<HostImport>,
    pub specs: Vec<AdapterSpec>,
    /// For each of them the edge that it is, if it is one.
    pub edges: Vec<Option<u32>>,
    pub func_slots: HashMap<CoreDef, u32>,
    pub memory_slots: HashMap<CoreDef, u32>,
    pub core_instances: u32,
}

impl Draft {
    /// Compiles its adapters; its processes implement these resource types.
    ///
    /// # Errors
    /// An adapter that does not compile.
    pub fn finish(
        mut self,
        engine: &Engine,
        implementers: &Implementers,
        callees: &Callees,
    ) -> Result<LinkedDomain, LinkError> {
        // Processes, core instances and adapters are bounded, so what counts them is.
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (func_slots, memory_slots) = (self.func_slots.len(), self.memory_slots.len());
        // Behind the memories of its own: the memory of whoever calls it from another domain.
        let mut reads_others = false;
        for spec in &mut self.specs {
            match spec {
                AdapterSpec::Arrival { plan } if plan.caller.memory.is_some() => {
                    plan.caller.memory = Some(count(memory_slots));
                    reads_others = true;
                }
                // From here on the imports stay where they are, as long as there are the adapters.
                AdapterSpec::Host { import, address, .. } => {
                    *address = self.imports.get(*import as usize).and_then(HostImport::address);
                }
                _ => {}
            }
        }
        let memories = count(memory_slots + usize::from(reads_others));
        let layout = DomainLayout::new(count(self.processes.len()), count(func_slots), memories);
        Ok(LinkedDomain {
            layout,
            processes: self.processes,
            imports: self.imports,
            adapters: Adapters::compile(engine, &self.specs, layout, implementers, callees)?,
            adapter_sigs: self.specs.iter().map(|spec| sig(engine, spec)).collect(),
            specs: self.specs,
            edges: self.edges,
            tapped: OnceLock::new(),
            func_slots,
            memory_slots,
        })
    }
}

/// The core signature that importers of a lowered function see.
fn sig(engine: &Engine, spec: &AdapterSpec) -> SigId {
    let (params, results) = spec.signature();
    let core = |types: &[CoreType]| {
        types
            .iter()
            .map(|ty| match ty {
                CoreType::I32 => ValType::I32,
                CoreType::I64 => ValType::I64,
                CoreType::F32 => ValType::F32,
                CoreType::F64 => ValType::F64,
            })
            .collect()
    };
    engine.intern(&CoreFuncType { params: core(&params), results: core(&results) })
}

/// The slot of a definition, and whether it is a new one. Core instances, adapters and so slots are bounded.
pub(super) fn slot(slots: &mut HashMap<CoreDef, u32>, def: &CoreDef) -> (u32, bool) {
    if let Some(slot) = slots.get(def) {
        return (*slot, false);
    }
    let slot = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    slots.insert(*def, slot);
    (slot, true)
}
