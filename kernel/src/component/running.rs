//! The state of a tree while it runs: what the hooks of its domains work on.
//!
//! ```text
//! Tree ── Peers ─┬─ domain 0 ── Running ──┐
//!                ├─ domain 1 ── Running ──┤   each knows the others by a weak reference,
//!                └─ …                     │   and shares the host's state
//!                ▲────────────────────────┘
//! ```

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use abi::fault::{Fault, Trap};
use abi::id::{DomainId, ProcessId};
use abi::scope::Handles;
use abi::state::ProcessState;
use abi::types::ResourceType;
use abi::value::Value;

use super::call;
use super::carrier::{Carrier, Crossing};
use super::linked::{ExportedFunc, Linked, LinkedDomain, Place};
use super::task::Task;
use crate::domain::Domain;
use crate::domain::externs::{Func, MemoryRef};
use crate::sched::lock::{Held, ParkingLock};

/// The state that the launcher gave, shared by the domains of a tree.
pub(super) type HostState = Arc<ParkingLock<Box<dyn Any + Send>>>;

/// The domains of a tree. One that is executing is locked by whoever executes it; one that was ended is gone.
pub(super) struct Peers {
    domains: Vec<ParkingLock<Option<Domain>>>,
    carrier: OnceLock<Arc<dyn Carrier>>,
    /// Why each ended domain has ended, and the faults that it left.
    ended: Mutex<Vec<(u32, Trap, Vec<Fault>)>>,
}

/// A domain that nobody else executes now.
pub(super) struct Entered<'p>(Held<'p, Option<Domain>>);

impl Deref for Entered<'_> {
    type Target = Domain;
    fn deref(&self) -> &Domain {
        self.0.as_ref().expect("only what is there is entered")
    }
}

impl DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut Domain {
        self.0.as_mut().expect("only what is there is entered")
    }
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
        let domains = domains.into_iter().map(|domain| ParkingLock::new(Some(domain))).collect();
        Peers { domains, carrier: OnceLock::new(), ended: Mutex::default() }
    }

    /// Lets calls between the domains be carried. The first carrier stays.
    pub fn carry_with(&self, carrier: Arc<dyn Carrier>) {
        let _ = self.carrier.set(carrier);
    }

    /// Whoever carries calls between the domains, if they are not made on the caller's thread.
    pub fn carrier(&self) -> Option<&Arc<dyn Carrier>> {
        self.carrier.get()
    }

    /// A domain, when nobody executes it any more.
    ///
    /// # Errors
    /// [`Trap::Gone`]
    pub fn domain(&self, number: u32) -> Result<Entered<'_>, Trap> {
        let held = self.domains[number as usize].lock();
        if held.is_some() { Ok(Entered(held)) } else { Err(self.gone(number)) }
    }

    /// A domain if nobody executes it. Calls go from importer to exporter and never back, so one that is busy is on
    /// this call chain already.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Gone`]
    pub fn idle(&self, number: u32) -> Result<Entered<'_>, Trap> {
        match self.domains[number as usize].try_lock() {
            Some(held) if held.is_some() => Ok(Entered(held)),
            Some(_) => Err(self.gone(number)),
            None => Err(Trap::CannotEnter),
        }
    }

    /// Calls a function of another domain for domain `from`.
    ///
    /// # Errors
    /// The fault of whoever served the call, or why nobody did.
    pub fn call(&self, from: u32, func: &ExportedFunc, args: Vec<Value>) -> Result<Option<Value>, Fault> {
        match self.carrier() {
            Some(carrier) => carrier.carry(from, Crossing::call(Arc::new(func.clone()), args)),
            None => call::call(&mut *self.idle(func.domain)?, func, &args),
        }
    }

    fn gone(&self, number: u32) -> Trap {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let why = ended.iter().find(|(domain, ..)| *domain == number).map(|(_, why, _)| why.to_string());
        Trap::Gone(why.unwrap_or_default())
    }

    /// Ends a domain, once nobody executes it.
    pub fn end(&self, number: u32, why: &Trap) {
        let Some(domain) = self.domains[number as usize].lock().take() else { return };
        let faults = Running::of(&domain).faults.clone();
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push((number, why.clone(), faults));
    }

    /// The faults of a domain, oldest first, even if it is gone.
    pub fn faults(&self, number: u32) -> Vec<Fault> {
        if let Ok(domain) = self.domain(number) {
            return Running::of(&domain).faults.clone();
        }
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended
            .iter()
            .filter(|(domain, ..)| *domain == number)
            .flat_map(|(_, _, faults)| faults.clone())
            .collect()
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
