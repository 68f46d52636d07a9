//! The state of a tree while it runs: what its domain's hooks work on.

use std::any::Any;
use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use abi::scope::Handles;
use abi::state::ProcessState;
use abi::types::ResourceType;

use super::linked::Linked;
use crate::domain::Domain;
use crate::domain::externs::{Func, MemoryRef};

/// Everything about a tree that its domain does not know.
pub(super) struct Running {
    /// The program it was launched from.
    pub linked: Arc<Linked>,
    /// The processes' handles, and the scopes of calls under way.
    pub handles: Handles,
    /// The launcher's state.
    pub host: Box<dyn Any + Send>,
    /// Function slots, once filled.
    pub funcs: Vec<Option<Func>>,
    /// Memory slots, once filled.
    pub memories: Vec<Option<MemoryRef>>,
    /// The processes' ids.
    pub ids: Vec<ProcessId>,
    /// The processes' states.
    pub states: Vec<ProcessState>,
    /// What ended some of them.
    pub faults: Vec<Fault>,
}

impl Running {
    /// A tree of which nothing is up yet.
    pub fn new(linked: Arc<Linked>, host: Box<dyn Any + Send>, first_pid: u32) -> Running {
        let processes =
            u32::try_from(linked.processes.len()).expect("linking bounds the number of processes");
        Running {
            handles: Handles::new(processes),
            host,
            funcs: vec![None; linked.func_slots],
            memories: vec![None; linked.memory_slots],
            ids: (0..processes).map(|index| ProcessId { index: first_pid + index, generation: 0 }).collect(),
            states: vec![ProcessState::Starting; processes as usize],
            faults: Vec::new(),
            linked,
        }
    }

    /// The tree that a domain with [`super::hooks::Hooks`] runs.
    pub fn of(domain: &Domain) -> &Running {
        domain.state().expect("a domain with these hooks is made with this state")
    }

    /// The same, to change.
    pub fn of_mut(domain: &mut Domain) -> &mut Running {
        domain.state_mut().expect("a domain with these hooks is made with this state")
    }

    /// Lowers a borrow: the representation itself for the process that implements the type, else a handle.
    pub fn lower_borrow(&mut self, process: u32, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        let implementer = self.linked.resources.get(ty.0 as usize).and_then(|resource| resource.process);
        if implementer == Some(process) {
            return Ok(rep);
        }
        self.handles.borrow(process, ty, rep)
    }
}
