//! A tree that runs: its domains have threads, and answer calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};

use abi::fault::{Fault, Trap};
use abi::id::DomainId;
use abi::value::{Resource, Value};
use kernel::component::carrier::{Carrier, Crossing};
use kernel::component::linked::ExportedFunc;
use kernel::component::neighbour::Resident;
use kernel::component::onlooker::Onlooker;
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::component::tree::Tree;
use kernel::sched::account::Account;
use kernel::sched::machine::{Machine, Spawner};
use kernel::sched::park::{Waiter, current_thread};

use crate::actor::Actor;
use crate::doorway::Doorway;
use crate::fates::{Board, Life, Watch};
use crate::mailbox::{Answer, Message};
use crate::reply::Pending;
use crate::system::{Place, Placement};
use crate::waits::{Station, Waits};

/// A tree that runs. Dropping it ends its domains.
pub struct Launched(Arc<Shared>);

/// A domain as a console shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainView {
    /// Its number in the tree, and which of its lives this is.
    pub id: DomainId,
    /// The path of the process that it begins with.
    pub name: String,
    /// Why it ends or has ended, if it does.
    pub ended: Option<Trap>,
    /// Whether it has nothing to do, or waits.
    pub is_idle: bool,
    /// The path of the process with which the domain begins that its call waits for.
    pub waits_for: Option<Arc<str>>,
    /// How many messages wait for it.
    pub waiting: usize,
    /// The most that did, in this life.
    pub most_waiting: usize,
    /// How many calls it was given in this life.
    pub calls: u64,
    /// Processor time that it has used in all its lives, nanoseconds. A thread that runs is counted when it is
    /// switched out.
    pub cpu_ns: u64,
    /// The same by process of the domain, as ticks saw it: what ran between ticks is missing.
    pub cpu_samples_ns: Vec<u64>,
    /// Where and how it runs.
    pub placement: Placement,
    /// The OS process that it runs in, if that is one of its own and up.
    pub os_pid: Option<u32>,
}

/// What the domains of a tree and whoever holds the tree share.
pub(crate) struct Shared {
    tree: Tree,
    desks: Vec<Desk>,
    pub waits: Arc<Waits>,
    stations: Arc<AtomicU64>,
    spawner: Spawner,
    board: Arc<Board>,
}

/// Who wants a domain to begin its next life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initiative {
    /// Whoever holds the tree.
    Holder,
    /// A caller whose edge says that a failed call is tried again.
    Caller,
}

/// Where calls of a domain go, whichever life it is in.
struct Desk {
    actor: RwLock<Arc<Actor>>,
    account: Arc<Account>,
    placement: Placement,
    home: Option<usize>,
    /// Only whoever supervises it begins its next life.
    is_let_go: AtomicBool,
}

/// Why a domain has ended that was to run in a process of its own.
const LAUNCHED_HERE: &str = "it is to run in an OS process of its own, but was launched in this one";

/// The worker that a domain is bound to, and why it cannot run, if it cannot.
fn placed(placement: Placement, workers: usize) -> (Option<usize>, Option<String>) {
    match placement.place.home(workers) {
        Ok(home) => (home, None),
        Err(why) => (None, Some(why)),
    }
}

/// Carries calls between the domains of a tree.
struct Mail(Weak<Shared>);

impl Launched {
    pub(crate) fn new(
        machine: &Machine,
        waits: &Arc<Waits>,
        stations: &Arc<AtomicU64>,
        tree: Tree,
        placement: &dyn Fn(u32, &str) -> Placement,
    ) -> Launched {
        let board = Arc::<Board>::default();
        let desks = tree
            .linked()
            .domain_roots()
            .map(|(number, path)| {
                let name: Arc<str> = path.into();
                let placement = placement(number, &name);
                let station = Station(stations.fetch_add(1, Ordering::Relaxed));
                board.add(Life(station.0));
                let account = machine.account(placement.share);
                let actor = Actor::new(
                    station,
                    name,
                    placement.mailbox,
                    placement.limits,
                    tree.undelivered(),
                    &board,
                );
                let (body, to_pay) = (actor.body(tree.server(number), None), Arc::clone(&account));
                let (home, misplaced) = placed(placement, machine.workers());
                actor.sit(match home {
                    Some(worker) => machine.spawn_at(worker, to_pay, body),
                    None => machine.spawn(to_pay, body),
                });
                let here = placement.place == Place::OwnProcess && !tree.is_apart(number);
                let misplaced = misplaced.or_else(|| here.then(|| LAUNCHED_HERE.to_owned()));
                misplaced.into_iter().for_each(|why| actor.kill(Trap::Killed(why)));
                let is_let_go = AtomicBool::new(false);
                Desk { actor: RwLock::new(actor), account, placement, home, is_let_go }
            })
            .collect();
        let (waits, stations) = (Arc::clone(waits), Arc::clone(stations));
        let spawner = machine.spawner();
        let shared = Arc::new(Shared { tree, desks, waits, stations, spawner, board });
        shared.tree.carry_with(Arc::new(Mail(Arc::downgrade(&shared))));
        Launched(shared)
    }

    /// The tree: its exports, its processes.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.0.tree
    }

    /// Calls an exported function and blocks until it has returned.
    ///
    /// # Errors
    /// The fault, or that its domain is gone.
    pub fn call(&self, func: &Arc<ExportedFunc>, args: Vec<Value>) -> Answer {
        self.call_within(func, args, None)
    }

    /// The same, for `after_ns` nanoseconds at most.
    ///
    /// # Errors
    /// The fault, that its domain is gone, or that the time has passed.
    pub fn call_within(&self, func: &Arc<ExportedFunc>, args: Vec<Value>, after_ns: Option<u64>) -> Answer {
        let crossing = Crossing::call(Arc::clone(func), args);
        self.0.actor(crossing.domain())?.call(crossing, None, &self.0.waits, after_ns)
    }

    /// The same as a future, which any executor may run. Nothing is sent before it is polled; dropping it lets the
    /// callee finish, and nobody gets the answer.
    ///
    /// # Errors
    /// The tree has no such domain, or a message may not be so long.
    pub fn start_call(&self, func: &Arc<ExportedFunc>, args: Vec<Value>) -> Result<Call, Fault> {
        let crossing = Crossing::call(Arc::clone(func), args);
        let actor = self.0.actor(crossing.domain())?;
        let (message, pending) = actor.start(crossing)?;
        Ok(Call { actor, message: Some(message), pending })
    }

    /// Drops a resource that the host holds. Nobody waits for its destructor.
    pub fn drop_resource(&self, resource: Resource) {
        self.0.tree.undelivered().release(&[Value::Own(resource)]);
    }

    /// Ends a domain at once, whatever it is doing. Who waits for it is answered that it is gone.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn kill(&self, domain: u32, by: &str) -> Result<(), Fault> {
        self.0.actor(domain)?.kill(Trap::Killed(by.to_owned()));
        Ok(())
    }

    /// Begins the next life of a domain: this one ends at once, whatever it is doing, and what it exports is served by
    /// the next as soon as that is up. Calls that come meanwhile wait for it.
    ///
    /// # Errors
    /// The tree has no such domain, or the machine has stopped.
    pub fn restart(&self, domain: u32, by: &str) -> Result<(), Fault> {
        let actor = self.0.actor(domain)?;
        self.0.desk(domain)?.is_let_go.store(false, Ordering::SeqCst);
        Ok(self.0.restart(domain, &actor, Trap::Killed(by.to_owned()), Initiative::Holder)?)
    }

    /// The same, unless this life is over already and a later one has begun. Gives the present life.
    ///
    /// # Errors
    /// As [`Self::restart`].
    pub fn restart_life(&self, domain: u32, life: Life, by: &str) -> Result<Life, Fault> {
        let actor = self.0.actor(domain)?;
        self.0.desk(domain)?.is_let_go.store(false, Ordering::SeqCst);
        if actor.station().0 == life.0 {
            self.0.restart(domain, &actor, Trap::Killed(by.to_owned()), Initiative::Holder)?;
        }
        Ok(Life(self.0.actor(domain)?.station().0))
    }

    /// Lets a domain end: it takes no more calls, and ends when those that wait for it are answered. With
    /// `waits_no_more` the call that it serves ends when it next waits for time or input. No caller begins its next life.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn retire(&self, domain: u32, by: &str, waits_no_more: bool) -> Result<(), Fault> {
        self.0.desk(domain)?.is_let_go.store(true, Ordering::SeqCst);
        self.0.actor(domain)?.retire(&Trap::Killed(by.to_owned()), waits_no_more);
        Ok(())
    }

    /// Ends a domain at once, and no caller begins its next life.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn let_go(&self, domain: u32, by: &str) -> Result<(), Fault> {
        self.0.desk(domain)?.is_let_go.store(true, Ordering::SeqCst);
        self.kill(domain, by)
    }

    /// The present life of a domain.
    #[must_use]
    pub fn life(&self, domain: u32) -> Option<Life> {
        self.0.actor(domain).ok().map(|actor| Life(actor.station().0))
    }

    /// What becomes of the domains from now on; `None` if somebody watches already.
    #[must_use]
    pub fn watch(&self) -> Option<Watch> {
        let watch = self.0.board.watch()?;
        self.0.tree.watch_with(Arc::clone(&self.0.board) as Arc<dyn Onlooker>);
        Some(watch)
    }

    /// The same for any number of others, who only want to know.
    #[must_use]
    pub fn overhear(&self) -> Watch {
        let watch = self.0.board.overhear();
        self.0.tree.watch_with(Arc::clone(&self.0.board) as Arc<dyn Onlooker>);
        watch
    }

    /// Blocks until this life of a domain has ended and its memory is given back.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn wait(&self, domain: u32) -> Result<(), Fault> {
        self.0.actor(domain)?.wait();
        Ok(())
    }

    /// A domain in its present life: its thread and its mailbox.
    #[must_use]
    pub fn domain(&self, domain: u32) -> Option<Arc<Actor>> {
        self.0.actor(domain).ok()
    }

    /// The domains, in order, as they stand. Waits for nobody.
    #[must_use]
    pub fn domains(&self) -> Vec<DomainView> {
        let view = |(number, desk): (u32, &Desk)| {
            let actor = Arc::clone(&desk.actor.read().unwrap_or_else(PoisonError::into_inner));
            DomainView {
                id: DomainId { index: number, generation: self.tree().generation(number) },
                name: actor.name().to_owned(),
                ended: actor.ending().cloned(),
                is_idle: actor.thread().is_none_or(|thread| thread.is_idle() || thread.visiting().is_some()),
                waits_for: self.0.waits_for(&actor),
                waiting: actor.mailbox().len(),
                most_waiting: actor.mailbox().peak(),
                calls: actor.calls(),
                cpu_ns: desk.account.used_ns(),
                cpu_samples_ns: desk.account.samples(),
                placement: desk.placement,
                os_pid: self.tree().confinement(number).and_then(|confinement| confinement.process_id),
            }
        };
        (0..).zip(&self.0.desks).map(view).collect()
    }

    /// Where a domain runs.
    #[must_use]
    pub fn place(&self, domain: u32) -> Option<Place> {
        self.0.desks.get(domain as usize).map(|desk| desk.placement.place)
    }

    /// What a domain has used of the processors, in all its lives, and its share of them.
    #[must_use]
    pub fn account(&self, domain: u32) -> Option<&Arc<Account>> {
        self.0.desks.get(domain as usize).map(|desk| &desk.account)
    }
}

impl Shared {
    fn desk(&self, number: u32) -> Result<&Desk, Trap> {
        self.desks.get(number as usize).ok_or_else(|| Trap::Gone("the tree has no such domain".to_owned()))
    }

    pub fn actor(&self, number: u32) -> Result<Arc<Actor>, Trap> {
        Ok(Arc::clone(&self.desk(number)?.actor.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The path of the process with which the domain begins that a domain's call waits for.
    fn waits_for(&self, actor: &Actor) -> Option<Arc<str>> {
        let known = self.waits.of(actor.station());
        let visited = || self.actor(actor.thread()?.visiting()?).ok();
        known.or_else(|| visited().map(|visited| visited.name().into()))
    }

    /// Begins the next life of a domain, unless `failed` is not its present one any more.
    fn restart(
        &self,
        number: u32,
        failed: &Arc<Actor>,
        why: Trap,
        initiative: Initiative,
    ) -> Result<(), Trap> {
        let desk = self.desk(number)?;
        let mut present = desk.actor.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever lets it go does so before it looks which life that ends.
        let is_let_go = initiative == Initiative::Caller && desk.is_let_go.load(Ordering::SeqCst);
        if !Arc::ptr_eq(&present, failed) || is_let_go {
            return Ok(());
        }
        failed.kill(why.clone());
        let station = Station(self.stations.fetch_add(1, Ordering::Relaxed));
        let Placement { mailbox, limits, .. } = desk.placement;
        let next =
            Actor::new(station, failed.name().into(), mailbox, limits, self.tree.undelivered(), &self.board);
        let body = next.body(self.tree.server(number), Some(why));
        let stopped = || Trap::Gone("the machine has stopped".to_owned());
        let thread = self.spawner.spawn(Arc::clone(&desk.account), body, desk.home).ok_or_else(stopped)?;
        next.sit(thread.clone());
        // Before anybody finds it: from then on it may be called, if it has nothing to do.
        thread.wake();
        *present = next;
        Ok(())
    }

    /// Carries a call, again and again if the policy says so.
    fn carry(&self, from: u32, mut crossing: Crossing, policy: &EdgePolicy) -> Answer {
        let retries = match policy.on_fault {
            OnFault::Retry(retries) if crossing.is_repeatable() => retries,
            _ => 0,
        };
        let (domain, from) = (crossing.domain(), self.actor(from).ok());
        for _ in 0..retries {
            let (again, actor) = (crossing.clone(), self.actor(domain)?);
            match actor.call(crossing, from.as_deref(), &self.waits, policy.deadline_ns) {
                Err(fault) if may_be_retried(&fault) => {
                    self.restart(domain, &actor, fault.trap, Initiative::Caller)?;
                }
                answer => return answer,
            }
            crossing = again;
        }
        self.actor(domain)?.call(crossing, from.as_deref(), &self.waits, policy.deadline_ns)
    }
}

/// Whether the callee failed: not its caller, and not because both would wait for each other.
fn may_be_retried(fault: &Fault) -> bool {
    let callers_end = current_thread().and_then(|thread| thread.verdict());
    !matches!(fault.trap, Trap::Exit(_) | Trap::Deadlock(_)) && callers_end.is_none()
}

impl Carrier for Mail {
    fn carry(&self, from: u32, crossing: Crossing, policy: &EdgePolicy) -> Answer {
        let shared = self.0.upgrade().ok_or_else(|| Trap::Gone("its tree has ended".to_owned()))?;
        shared.carry(from, crossing, policy)
    }

    fn resident(&self, domain: u32) -> Option<Arc<dyn Resident>> {
        let shared = self.0.upgrade()?;
        let doorway = Doorway::new(&self.0, shared.actor(domain).ok()?)?;
        Some(Arc::new(doorway))
    }

    fn measures(&self, domain: u32) -> bool {
        let actor = self.0.upgrade().and_then(|shared| shared.actor(domain).ok());
        actor.is_none_or(|actor| actor.measures())
    }

    fn post(&self, crossing: Crossing) {
        // A tree that has ended has nobody left to tell.
        if let Some(actor) = self.0.upgrade().and_then(|shared| shared.actor(crossing.domain()).ok()) {
            actor.post(crossing);
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        for desk in &self.0.desks {
            let actor = desk.actor.read().unwrap_or_else(PoisonError::into_inner);
            actor.kill(Trap::Killed("its tree has ended".to_owned()));
        }
    }
}

impl std::fmt::Debug for Launched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launched").field("domains", &self.0.desks.len()).finish_non_exhaustive()
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    actor: Arc<Actor>,
    /// What has not been sent yet.
    message: Option<Message>,
    pending: Pending,
}

impl Future for Call {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let waiter = || Waiter::Task(context.waker().clone());
        if let Some(message) = self.message.take() {
            match self.actor.send(message, waiter) {
                Ok(None) => (),
                Ok(Some(message)) => {
                    self.message = Some(message);
                    return Poll::Pending;
                }
                Err(fault) => return Poll::Ready(Err(fault)),
            }
        }
        self.pending.take(waiter).map_or(Poll::Pending, Poll::Ready)
    }
}
