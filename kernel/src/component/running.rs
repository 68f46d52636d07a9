//! The state of a domain of a tree while it runs: what its hooks work on.

use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use abi::fault::Trap;
use abi::id::DomainId;
use abi::scope::Handles;
use abi::types::ResourceType;
use abi::value::Resource;

use super::dispatch::Dispatch;
use super::guest::Ready;
use super::linked::{Linked, LinkedDomain, Place};
use super::neighbour::Near;
use super::observe::edge_tally::Tally;
use super::observe::taps::OpenTap;
use super::observe::watcher::Watch;
use super::peers::Peers;
use super::standing::Standing;
use super::task::Task;
use crate::domain::Domain;
use crate::domain::externs::{Func, MemoryRef};
use crate::sched::express::Line;
use crate::sched::lock::ParkingLock;

/// The state that the launcher gave, shared by the domains of a tree.
pub(super) type HostState = Arc<ParkingLock<Box<dyn Any + Send>>>;

/// Everything about a domain of a tree that the domain does not know itself.
pub(super) struct Running {
    /// The program that the tree was launched from.
    pub linked: Arc<Linked>,
    /// Which domain of the tree this is.
    pub number: u32,
    /// Which of its lives.
    pub generation: u32,
    /// All domains of the tree.
    pub peers: Weak<Peers>,
    /// The processes' handles, and the scopes of calls under way.
    pub handles: Handles,
    /// The launcher's state.
    pub host: HostState,
    /// Function slots, once filled.
    pub funcs: Vec<Option<Func>>,
    /// The same for those that were called with Rust types.
    pub ready: Vec<Option<Ready>>,
    /// Memory slots, once filled.
    pub memories: Vec<Option<MemoryRef>>,
    /// What others may see.
    pub standing: Arc<Standing>,
    /// The counters of the tree's edges. Those that are counted here are those of this domain's imports and exports.
    pub tallies: Arc<[Tally]>,
    /// Which edges are watched.
    pub watch: Arc<Watch>,
    /// The calls over watched edges that have not ended, innermost last.
    pub taps: Vec<OpenTap>,
    /// The asynchronous tasks under way, innermost last.
    pub tasks: Vec<Task>,
    /// What each process has of its own, whichever task it is in.
    pub locals: Vec<Locals>,
    /// The lives of all domains that the handles here lead to, and when they were looked up. Empty if this is the only one.
    lives: Vec<u32>,
    epoch: u64,
    /// Who is behind each port, by import, as far as that was asked for since then.
    pub near: Vec<Near>,
    /// The ways to the domains that are bound to other workers, by domain, likewise; as many as were needed yet.
    pub lines: Vec<Option<Line<Dispatch>>>,
    /// The domain that a call went to which has not returned, or that was left before it had.
    pub calling: Option<u32>,
}

/// What a process has of its own, beside its handles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Locals {
    /// Its `context` slots.
    pub context: [u64; 2],
    /// Its backpressure counter.
    pub backpressure: u16,
}

impl Running {
    /// A domain of which nothing is up yet.
    pub fn new(peers: &Arc<Peers>, number: u32) -> Running {
        let domain = &peers.linked.domains[number as usize];
        let processes =
            u32::try_from(domain.processes.len()).expect("linking bounds the number of processes");
        Running {
            number,
            generation: peers.generation(number),
            handles: Handles::new(processes),
            host: Arc::clone(&peers.host),
            funcs: vec![None; domain.func_slots],
            ready: Vec::new(),
            memories: vec![None; domain.memory_slots],
            standing: Arc::clone(peers.standing(number)),
            tallies: Arc::clone(&peers.tallies),
            watch: Arc::clone(&peers.watch),
            taps: Vec::new(),
            tasks: Vec::new(),
            locals: vec![Locals::default(); processes as usize],
            lives: if peers.count() == 1 { Vec::new() } else { peers.lives() },
            epoch: peers.epoch(),
            near: Vec::new(),
            lines: Vec::new(),
            calling: None,
            linked: Arc::clone(&peers.linked),
            peers: Arc::downgrade(peers),
        }
    }

    /// What runs in a domain with [`super::hooks::Hooks`].
    #[inline]
    pub fn of(domain: &Domain) -> &Running {
        domain.state().expect("a domain with these hooks is made with this state")
    }

    /// The same, to change.
    #[inline]
    pub fn of_mut(domain: &mut Domain) -> &mut Running {
        domain.state_mut().expect("a domain with these hooks is made with this state")
    }

    /// This domain, as faults and consoles name it.
    pub fn id(&self) -> DomainId {
        DomainId { index: self.number, generation: self.generation }
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

    /// Notices which domains have begun another life since the last time: handles that lead into the one before are
    /// gone. To be called before handles leave this domain and before others arrive.
    pub fn refresh(&mut self, peers: &Peers) {
        if peers.epoch() != self.epoch {
            self.revoke(peers);
        }
    }

    #[cold]
    fn revoke(&mut self, peers: &Peers) {
        // Before the lives are read: one that begins meanwhile is noticed the next time.
        self.epoch = peers.epoch();
        self.near.clear();
        self.lines.fill_with(|| None);
        for (domain, life) in (0..).zip(&mut self.lives) {
            let now = peers.generation(domain);
            if *life == now {
                continue;
            }
            *life = now;
            for (ty, resource) in (0..).map(ResourceType).zip(&self.linked.resources) {
                if resource.place.is_some_and(|place| place.domain == domain) {
                    self.handles.tables.iter_mut().for_each(|table| table.revoke(ty));
                }
            }
        }
    }

    /// Lets others see how many handles there are.
    pub fn count_handles(&self) {
        for (process, table) in (0..).zip(&self.handles.tables) {
            if let Some(meter) = self.standing.meter(process) {
                meter.handles.store(table.live(), Ordering::Relaxed);
            }
        }
    }

    fn implementer(&self, ty: ResourceType) -> Option<Place> {
        self.linked.resources.get(ty.0 as usize)?.place
    }

    /// Which life of the domain that implements a type the handles here lead to; 0 for the host's types.
    pub fn life_of(&self, ty: ResourceType) -> u32 {
        match self.implementer(ty) {
            Some(place) if place.domain == self.number => self.generation,
            Some(place) => self.lives.get(place.domain as usize).copied().unwrap_or(0),
            None => 0,
        }
    }

    /// The type under which `process` may get a resource: see [`abi::side::Side::known`].
    ///
    /// # Errors
    /// [`Trap::Gone`]
    pub fn known(&self, process: u32, resource: &Resource) -> Result<ResourceType, Trap> {
        if self.life_of(resource.ty) == resource.generation {
            return Ok(resource.ty);
        }
        if self.implementer(resource.ty) == Some(Place { domain: self.number, process }) {
            return Err(Trap::Gone("a resource of an earlier life of its domain".to_owned()));
        }
        Ok(ResourceType::GONE)
    }

    /// What the processes hold of others: what is theirs alone, and what they have lent.
    pub fn estate(&self) -> (Vec<Resource>, Vec<Resource>) {
        let owned = self.handles.tables.iter().flat_map(|table| table.owned());
        let foreign = owned.filter(|(ty, ..)| {
            *ty != ResourceType::GONE && self.implementer(*ty).is_none_or(|place| place.domain != self.number)
        });
        let (lent, own): (Vec<_>, Vec<_>) = foreign.partition(|(.., lent)| *lent);
        let resources = |owned: Vec<(ResourceType, u32, bool)>| {
            let resource = |(ty, rep, _)| Resource { ty, rep, generation: self.life_of(ty) };
            owned.into_iter().map(resource).collect()
        };
        (resources(own), resources(lent))
    }
}
