//! The domains of a tree, each in its present life.
//!
//! ```text
//! Tree ── Peers ─┬─ domain 0 ── Running ──┐
//!                ├─ domain 1 ── Running ──┤   each knows the others by a weak reference
//!                └─ …                     │
//!                ▲────────────────────────┘
//! ```
//!
//! A domain that is started again has the next generation: what others still hold of the life before leads nowhere.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use abi::types::ResourceType;
use abi::value::{Resource, Value};

use super::apart::{self, Apart, Proxy};
use super::call;
use super::carrier::{Carrier, Crossing, Deed};
use super::error::LaunchError;
use super::hooks::{Hooks, destroy};
use super::letter::Letter;
use super::linked::Linked;
use super::observe::dump::DumpOrder;
use super::observe::edge_tally::Tally;
use super::observe::watcher::Watch;
use super::onlooker::Onlooker;
use super::running::{HostState, Running};
use super::standing::Standing;
use super::tree::step;
use crate::domain::{Domain, DomainOptions};
use crate::jit::engine::Engine;
use crate::quota::{DomainQuota, Quota, Quotas};
use crate::sched::lock::{Held, ParkingLock};

static HOOKS: Hooks = Hooks;

/// The domains of a tree. One that is executing is locked by whoever executes it; one that has ended is gone.
pub(super) struct Peers {
    pub engine: Engine,
    /// What others keep of it who may outlive it.
    this: Weak<Peers>,
    pub linked: Arc<Linked>,
    pub host: HostState,
    /// The counters of the edges, by number.
    pub tallies: Arc<[Tally]>,
    /// Who watches them.
    pub watch: Arc<Watch>,
    /// Which domains run in other OS processes.
    pub apart: Apart,
    first_pid: u32,
    slots: Vec<Slot>,
    /// Changes whenever a domain begins another life.
    epoch: AtomicU64,
    /// Who gets dumps of processes that fault.
    pub dumps: OnceLock<DumpOrder>,
    carrier: OnceLock<Arc<dyn Carrier>>,
    onlooker: OnceLock<Arc<dyn Onlooker>>,
    /// A process that asks for the end of the program ends alone.
    contains_exits: AtomicBool,
    /// Somebody outside the tree may come back to it.
    known_outside: AtomicBool,
}

/// With room to the next one, as domains run at several workers; not aligned, as the allocator takes long for that.
struct Slot {
    domain: ParkingLock<Option<Domain>>,
    /// In place of the domain, where that runs in another OS process.
    proxy: ParkingLock<Option<Box<Proxy>>>,
    generation: AtomicU32,
    standing: Arc<Standing>,
    /// Those of its processes, by number; every life has them.
    quotas: ParkingLock<Vec<(u32, Quota)>>,
    total: ParkingLock<DomainQuota>,
    _apart: [u64; 16],
}

/// A domain that nobody else executes now.
pub(super) struct Entered<'p>(Held<'p, Option<Domain>>);

impl Deref for Entered<'_> {
    type Target = Domain;
    #[inline]
    fn deref(&self) -> &Domain {
        self.0.as_ref().expect("only what is there is entered")
    }
}

impl DerefMut for Entered<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Domain {
        self.0.as_mut().expect("only what is there is entered")
    }
}

impl Peers {
    /// The domains of a linked tree, of which nothing is up yet.
    pub fn new(
        engine: &Engine,
        linked: Arc<Linked>,
        host: HostState,
        first_pid: u32,
        quotas: &Quotas,
        apart: Apart,
    ) -> Arc<Peers> {
        let slots = (0..).zip(&linked.domains).map(|(number, domain): (usize, _)| Slot {
            domain: ParkingLock::new(None),
            proxy: ParkingLock::new(None),
            generation: AtomicU32::new(apart.lives.get(number).copied().unwrap_or(0)),
            standing: Arc::new(Standing::new(domain.processes.len())),
            quotas: ParkingLock::new(Vec::new()),
            total: ParkingLock::new(DomainQuota::default()),
            _apart: [0; 16],
        });
        let slots = slots.collect();
        let peers = Arc::new_cyclic(|this| Peers {
            engine: engine.clone(),
            this: this.clone(),
            slots,
            tallies: linked.edges.iter().map(|_| Tally::default()).collect(),
            watch: Arc::default(),
            linked,
            host,
            apart,
            first_pid,
            epoch: AtomicU64::new(0),
            dumps: OnceLock::new(),
            carrier: OnceLock::new(),
            onlooker: OnceLock::new(),
            contains_exits: AtomicBool::new(false),
            known_outside: AtomicBool::new(false),
        });
        for (process, quota) in &quotas.processes {
            if let Some(info) = peers.linked.processes.get(*process) {
                peers.slots[info.place.domain as usize].quotas.lock().push((info.place.process, *quota));
            }
        }
        for (number, quota) in &quotas.domains {
            if let Some(slot) = peers.slots.get(*number as usize) {
                *slot.total.lock() = *quota;
            }
        }
        for number in (0..peers.count()).filter(|number| !peers.is_apart(*number)) {
            *peers.slots[number as usize].domain.lock() = Some(Peers::empty(&peers, number));
        }
        peers
    }

    /// A domain in its present life, with nothing in it.
    fn empty(peers: &Arc<Peers>, number: u32) -> Domain {
        let running = Running::new(peers, number);
        let layout = peers.linked.domains[number as usize].layout;
        let options = DomainOptions { layout, hooks: &HOOKS, state: Box::new(running) };
        let mut domain = Domain::new(&peers.engine, options);
        domain.set_tallies(&peers.tallies);
        for (process, quota) in peers.slots[number as usize].quotas.lock().iter() {
            domain.set_quota(*process, *quota);
        }
        domain.set_total_quota(*peers.slots[number as usize].total.lock());
        // SAFETY: records do not move, and every end of a life tells its standing before the domain goes.
        unsafe { peers.standing(number).placed(domain.vm(), layout) };
        domain
    }

    /// Begins the next life of a domain, after the end of this one: loads everything anew. Gives whether it has: not if it is
    /// not `wanted` any more when nobody executes the domain, as one that comes after it may have begun meanwhile.
    /// `generation` becomes that of the life.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function trapped: then the domain is gone.
    pub fn restart(
        peers: &Arc<Peers>,
        number: u32,
        why: &Trap,
        generation: &mut u32,
        wanted: &dyn Fn() -> bool,
    ) -> Result<bool, LaunchError> {
        let slot = &peers.slots[number as usize];
        // A domain in another OS process leaves this empty, but its lives begin one after the other, too.
        let mut held = slot.domain.lock();
        if !wanted() {
            return Ok(false);
        }
        if peers.is_apart(number) {
            return apart::restart(peers, number, why, generation).map(|()| true);
        }
        if let Some(old) = held.take() {
            slot.standing.end(why);
            peers.bury(old);
        }
        *generation = peers.next_life(number);
        let mut domain = Peers::empty(peers, number);
        let steps = peers.linked.steps.iter().filter(|(of, _)| *of == number);
        for (_, next) in steps {
            if let Err(error) = step(&mut domain, next) {
                slot.standing.end(&Trap::Gone(format!("it could not be started again: {error}")));
                drop(domain);
                return Err(error);
            }
        }
        *held = Some(domain);
        slot.standing.up();
        Ok(true)
    }

    /// Ends a life of a domain, once nobody executes it.
    pub fn end(&self, number: u32, generation: u32, why: &Trap) {
        let slot = &self.slots[number as usize];
        let is_present = || slot.generation.load(Ordering::SeqCst) == generation;
        // Its standing is told before the lock is given back: afterwards it may be that of the next life.
        if self.is_apart(number) {
            let mut held = slot.proxy.lock();
            let Some(proxy) = held.take_if(|_| is_present()) else { return };
            slot.standing.end(why);
            drop(held);
            return apart::bury(self, *proxy);
        }
        let mut held = slot.domain.lock();
        let Some(domain) = held.take_if(|_| is_present()) else { return };
        slot.standing.end(why);
        drop(held);
        self.bury(domain);
    }

    /// Unmaps a domain whose standing knows that it has ended, and gives back what its processes held of others.
    fn bury(&self, domain: Domain) {
        let running = Running::of(&domain);
        let (own, lent) = running.estate();
        let borrower = running.calling;
        drop(domain);
        self.bequeath(own, lent, borrower);
    }

    /// Gives back what a domain held of others when it ended: what was its alone, and what it had lent, to whom.
    pub fn bequeath(&self, own: Vec<Resource>, lent: Vec<Resource>, borrower: Option<u32>) {
        for resource in own {
            self.release(resource);
        }
        match self.carrier().zip(borrower) {
            // Whoever borrowed it may be using it: that is over when it gets to what is posted now.
            Some((carrier, borrower)) if !lent.is_empty() => {
                carrier.post(Crossing::release(borrower, lent));
            }
            _ => lent.into_iter().for_each(|resource| self.release(resource)),
        }
    }

    /// Destroys a resource that a domain held when it ended, or that was lost on the way to somebody.
    pub fn release(&self, resource: Resource) {
        if let Some(known) = self.linked.host_resources.get(&resource.ty) {
            if let Some(drop) = &known.drop {
                // There is nobody to tell of a failure.
                let _ = drop(&mut **self.host.lock(), resource.rep);
            }
            return;
        }
        let Some(domain) = self.implementer(resource.ty) else { return };
        if self.generation(domain) != resource.generation {
            return;
        }
        match self.carrier() {
            Some(carrier) => carrier.post(Crossing::drop_resource(domain, resource)),
            None if self.is_apart(domain) => {
                let _ = apart::serve(self, domain, None, &Deed::Drop(resource));
            }
            None => {
                if let Ok(mut domain) = self.idle(domain) {
                    let _ = destroy(&mut domain, None, resource.ty, resource.rep);
                }
            }
        }
    }

    /// Releases every resource that is owned by a value.
    pub fn release_all(&self, values: &[Value]) {
        values.iter().flat_map(Value::owned).for_each(|resource| self.release(resource));
    }

    /// Lets calls between the domains be carried. The first carrier stays.
    pub fn carry_with(&self, carrier: Arc<dyn Carrier>) {
        let _ = self.carrier.set(carrier);
    }

    /// Whoever carries calls between the domains, if they are not made on the caller's thread.
    pub fn carrier(&self) -> Option<&Arc<dyn Carrier>> {
        self.carrier.get()
    }

    /// Lets somebody watch over the tree. The first one stays.
    pub fn watch_with(&self, onlooker: Arc<dyn Onlooker>) {
        let _ = self.onlooker.set(onlooker);
    }

    /// Whoever watches over the tree.
    pub fn onlooker(&self) -> Option<&Arc<dyn Onlooker>> {
        self.onlooker.get()
    }

    /// From now on an end of the program that a process asks for stops at the boundaries of its domain.
    pub fn contain_exits(&self) {
        self.contains_exits.store(true, Ordering::SeqCst);
    }

    /// A fault as the caller in another domain is told of it.
    pub fn contained(&self, fault: Fault) -> Fault {
        match fault.trap {
            Trap::Exit(code) if self.contains_exits.load(Ordering::SeqCst) => {
                Fault::new(Trap::Gone(format!("it has exited with code {code}")))
            }
            _ => fault,
        }
    }

    /// A domain, when nobody executes it any more.
    ///
    /// # Errors
    /// [`Trap::Gone`]
    #[inline]
    pub fn domain(&self, number: u32) -> Result<Entered<'_>, Trap> {
        self.entered(number, self.slots[number as usize].domain.lock())
    }

    #[inline]
    fn entered<'p>(&self, number: u32, held: Held<'p, Option<Domain>>) -> Result<Entered<'p>, Trap> {
        if held.is_some() { Ok(Entered(held)) } else { Err(self.gone(number)) }
    }

    /// The same for whoever has the tree to itself.
    ///
    /// # Errors
    /// [`Trap::Gone`]
    #[inline]
    pub fn domain_of(peers: &mut Arc<Peers>, number: u32) -> Result<Entered<'_>, Trap> {
        let lock = &peers.slots[number as usize].domain;
        let alone = Arc::strong_count(peers) == 1 && !peers.known_outside.load(Ordering::Relaxed);
        // Whoever had another reference has given it back.
        fence(Ordering::Acquire);
        // SAFETY: all other threads that could ask for a domain hold the peers, or have been given a way back to them
        // ([`Self::outside`]); what runs in a domain holds the weak references that are left, and only we run that.
        match alone.then(|| unsafe { lock.try_lock_alone() }).flatten() {
            Some(held) => peers.entered(number, held),
            None => peers.domain(number),
        }
    }

    /// A way back to the tree for somebody who is no part of it.
    pub fn outside(&self) -> Weak<Peers> {
        self.known_outside.store(true, Ordering::Relaxed);
        self.this.clone()
    }

    /// The same in one of its lives.
    ///
    /// # Errors
    /// [`Trap::Gone`]
    #[inline]
    pub fn life(&self, number: u32, generation: u32) -> Result<Entered<'_>, Trap> {
        let entered = self.domain(number)?;
        if self.generation(number) == generation { Ok(entered) } else { Err(self.gone(number)) }
    }

    /// A domain if nobody executes it. Calls go from importer to exporter and never back, so one that is busy is on
    /// this call chain already.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Gone`]
    pub fn idle(&self, number: u32) -> Result<Entered<'_>, Trap> {
        match self.slots[number as usize].domain.try_lock() {
            Some(held) if held.is_some() => Ok(Entered(held)),
            Some(_) => Err(self.gone(number)),
            None => Err(Trap::CannotEnter),
        }
    }

    /// A domain that somebody executes who stands still; `None` if it has ended.
    ///
    /// # Safety
    /// The thread that executes it must stand as long as the reference lives.
    pub unsafe fn held(&self, number: u32) -> Option<&Domain> {
        // SAFETY: the caller's promise.
        unsafe { self.slots[number as usize].domain.seen() }.as_ref()
    }

    /// The limits of a process, and of its domain.
    pub fn quotas(&self, number: u32, process: u32) -> (Quota, DomainQuota) {
        let slot = &self.slots[number as usize];
        let quotas = slot.quotas.lock();
        let quota = quotas.iter().find(|(known, _)| *known == process).map(|(_, quota)| *quota);
        (quota.unwrap_or_default(), *slot.total.lock())
    }

    /// Calls a function of another domain on the caller's thread: nobody serves the domains yet.
    ///
    /// # Errors
    /// The fault.
    pub fn call_here(&self, letter: &Letter) -> Result<(), Fault> {
        let number = letter.func.domain;
        if self.is_apart(number) {
            return apart::serve(self, number, None, &Deed::Letter(letter)).map(|_| ());
        }
        call::answer(&mut *self.idle(number)?, letter)
    }

    /// Why a domain that is not there is not.
    #[cold]
    pub fn gone(&self, number: u32) -> Trap {
        Trap::Gone(self.standing(number).ended().map_or_else(String::new, |why| why.to_string()))
    }

    /// What everybody may see of a domain.
    pub fn standing(&self, number: u32) -> &Arc<Standing> {
        &self.slots[number as usize].standing
    }

    /// Which life of a domain this is, or was.
    pub fn generation(&self, number: u32) -> u32 {
        self.slots[number as usize].generation.load(Ordering::SeqCst)
    }

    /// Changes whenever a domain begins another life.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// What is done with the calls over an edge ([`super::observe::watcher::mode`]).
    pub fn mode(&self, edge: u32) -> u8 {
        self.tallies.get(edge as usize).map_or(0, Tally::mode)
    }

    /// Which domain implements a type; `None` for the host.
    pub fn implementer(&self, ty: ResourceType) -> Option<u32> {
        Some(self.linked.resources.get(ty.0 as usize)?.place?.domain)
    }

    /// The id of a process, by its place in the tree.
    pub fn process_id(&self, index: usize) -> Option<ProcessId> {
        let place = self.linked.processes.get(index)?.place;
        let offset = u32::try_from(index).expect("linking bounds the number of processes");
        Some(ProcessId { index: self.first_pid + offset, generation: self.generation(place.domain) })
    }

    /// The limits of a process, by its place in the tree.
    pub fn quota(&self, index: usize) -> Option<Quota> {
        let place = self.linked.processes.get(index)?.place;
        let quotas = self.slots[place.domain as usize].quotas.lock();
        quotas.iter().find(|(process, _)| *process == place.process).map(|(_, quota)| *quota)
    }

    /// Limits a process, in this life of its domain and the next ones.
    ///
    /// # Errors
    /// [`Trap::Gone`]: the limit holds in its next life.
    pub fn set_quota(&self, number: u32, process: u32, quota: Quota) -> Result<(), Trap> {
        let mut quotas = self.slots[number as usize].quotas.lock();
        quotas.retain(|(known, _)| *known != process);
        quotas.push((process, quota));
        drop(quotas);
        if self.is_apart(number) {
            return apart::limit(self, number, process, quota);
        }
        self.domain(number)?.set_quota(process, quota);
        Ok(())
    }

    /// Limits all processes of a domain together, in this life and the next ones.
    ///
    /// # Errors
    /// [`Trap::Gone`]: the limit holds in its next life.
    pub fn set_total_quota(&self, number: u32, quota: DomainQuota) -> Result<(), Trap> {
        *self.slots[number as usize].total.lock() = quota;
        if self.is_apart(number) {
            return apart::limit_all(self, number, quota);
        }
        self.domain(number)?.set_total_quota(quota);
        Ok(())
    }

    /// Whether a domain runs in another OS process.
    pub fn is_apart(&self, number: u32) -> bool {
        !self.apart.domains.is_empty() && self.apart.of(number).is_some()
    }

    /// The proxy of a domain that does; none while its process is not up.
    pub fn proxy_of(&self, number: u32) -> &ParkingLock<Option<Box<Proxy>>> {
        &self.slots[number as usize].proxy
    }

    /// Begins to count another life of a domain; gives its number.
    pub fn next_life(&self, number: u32) -> u32 {
        let slot = &self.slots[number as usize];
        let generation = slot.generation.load(Ordering::SeqCst) + 1;
        slot.generation.store(generation, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        slot.standing.begin();
        generation
    }

    /// Which life each domain is in.
    pub fn lives(&self) -> Vec<u32> {
        (0..self.count()).map(|number| self.generation(number)).collect()
    }

    /// Notes which life each domain is in, as another OS process says that knows.
    pub fn set_lives(&self, lives: &[u32]) {
        for (slot, life) in self.slots.iter().zip(lives) {
            slot.generation.store(*life, Ordering::SeqCst);
        }
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Which life the domain is in that implements a type; 0 for the host's types.
    pub fn life_of(&self, ty: ResourceType) -> u32 {
        self.implementer(ty).map_or(0, |number| self.generation(number))
    }

    /// The pid of the root.
    pub fn first_pid(&self) -> u32 {
        self.first_pid
    }

    /// The limits of a domain's processes, and of all of them together.
    pub fn all_quotas(&self, number: u32) -> (Vec<(u32, Quota)>, DomainQuota) {
        let slot = &self.slots[number as usize];
        (slot.quotas.lock().clone(), *slot.total.lock())
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("linking bounds the number of domains")
    }
}
