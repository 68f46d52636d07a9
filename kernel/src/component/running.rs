//! The state of a tree while it runs: what the hooks of its domains work on.
//!
//! ```text
//! Tree ── Peers ─┬─ domain 0 ── Running ──┐
//!                ├─ domain 1 ── Running ──┤   each knows the others by a weak reference,
//!                └─ …                     │   and shares the host's state
//!                ▲────────────────────────┘
//! ```

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use abi::fault::{Fault, Trap};
use abi::id::{DomainId, ProcessId};
use abi::scope::Handles;
use abi::state::ProcessState;
use abi::types::ResourceType;

use super::linked::{Linked, LinkedDomain, Place};
use super::task::Task;
use crate::domain::Domain;
use crate::domain::externs::{Func, MemoryRef};

/// The state that the launcher gave, shared by the domains of a tree.
pub(super) type HostState = Arc<Mutex<Box<dyn Any + Send>>>;

/// The domains of a tree. One that is executing is locked by whoever executes it.
pub(super) struct Peers {
    domains: Vec<Mutex<Domain>>,
}

/// Everything about a domain of a tree that the domain does not know itself.
pub(super) struct Running {
    /// The program that the tree was launched from.
    pub linked: Arc<Linked>,
    /// Which domain of the tree this is.
    pub number: u32,
    /// The other ones.
    pub peers: Weak<Peers>,
    /// The processes' handles, and the scopes of calls under way.
    pub handles: Handles,
    /// The launcher's state.
    pub host: HostState,
    /// Function slots, once filled.
    pub funcs: Vec<Option<Func>>,
    /// Memory slots, once filled.
    pub memories: Vec<Option<MemoryRef>>,
    /// The ids of all processes of the tree.
    pub ids: Arc<[ProcessId]>,
    /// The states of this domain's processes.
    pub states: Vec<ProcessState>,
    /// What ended some of them.
    pub faults: Vec<Fault>,
    /// The asynchronous tasks under way, innermost last.
    pub tasks: Vec<Task>,
    /// Each process's `context` slots.
    pub contexts: Vec<[u64; 2]>,
    /// Each process's backpressure counter.
    pub backpressure: Vec<u16>,
}

impl Peers {
    /// The domains of a tree, in order.
    pub fn new(domains: Vec<Domain>) -> Peers {
        Peers { domains: domains.into_iter().map(Mutex::new).collect() }
    }

    /// A domain, when nobody executes it any more.
    pub fn domain(&self, number: u32) -> MutexGuard<'_, Domain> {
        self.domains[number as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A domain if nobody executes it. Calls go from importer to exporter and never back, so one that is busy is on
    /// this call chain already.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`]
    pub fn idle(&self, number: u32) -> Result<MutexGuard<'_, Domain>, Trap> {
        match self.domains[number as usize].try_lock() {
            Ok(domain) => Ok(domain),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Trap::CannotEnter),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.domains.len()).expect("linking bounds the number of domains")
    }
}

impl Running {
    /// A domain of which nothing is up yet.
    pub fn new(
        linked: &Arc<Linked>,
        number: u32,
        peers: Weak<Peers>,
        host: HostState,
        ids: Arc<[ProcessId]>,
    ) -> Running {
        let domain = &linked.domains[number as usize];
        let processes =
            u32::try_from(domain.processes.len()).expect("linking bounds the number of processes");
        Running {
            number,
            peers,
            handles: Handles::new(processes),
            host,
            funcs: vec![None; domain.func_slots],
            memories: vec![None; domain.memory_slots],
            ids,
            states: vec![ProcessState::Starting; processes as usize],
            faults: Vec::new(),
            tasks: Vec::new(),
            contexts: vec![[0; 2]; processes as usize],
            backpressure: vec![0; processes as usize],
            linked: Arc::clone(linked),
        }
    }

    /// What runs in a domain with [`super::hooks::Hooks`].
    pub fn of(domain: &Domain) -> &Running {
        domain.state().expect("a domain with these hooks is made with this state")
    }

    /// The same, to change.
    pub fn of_mut(domain: &mut Domain) -> &mut Running {
        domain.state_mut().expect("a domain with these hooks is made with this state")
    }

    /// This domain, as faults and consoles name it.
    pub fn id(&self) -> DomainId {
        DomainId { index: self.number, generation: 0 }
    }

    /// What linking knows of this domain.
    pub fn program(&self) -> &LinkedDomain {
        &self.linked.domains[self.number as usize]
    }

    /// The index in the tree of a process of this domain.
    pub fn in_tree(&self, process: u32) -> Option<usize> {
        self.program().processes.get(process as usize).map(|index| *index as usize)
    }

    /// Lowers a borrow: the representation itself for the process that implements the type, else a handle.
    pub fn lower_borrow(&mut self, process: u32, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        let implementer = self.linked.resources.get(ty.0 as usize).and_then(|resource| resource.place);
        if implementer == Some(Place { domain: self.number, process }) {
            return Ok(rep);
        }
        self.handles.borrow(process, ty, rep)
    }
}
