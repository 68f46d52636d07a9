//! What an embedder holds: a machine, and trees that run on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use abi::fault::{Fault, Trap};
use abi::value::Value;
use kernel::component::carrier::{Carrier, Crossing};
use kernel::component::linked::ExportedFunc;
use kernel::component::tree::Tree;
use kernel::sched::account::Share;
use kernel::sched::machine::{Machine, MachineError, MachineOptions};
use kernel::sched::park::Waiter;

use crate::actor::{Actor, CallLimits};
use crate::mailbox::{Answer, Message};
use crate::reply::Pending;
use crate::waits::{Station, Waits};

/// Trees that run on the workers of one machine.
#[derive(Debug)]
pub struct System {
    machine: Machine,
    waits: Arc<Waits>,
    stations: AtomicU64,
}

/// How the domains of a tree are to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// How each domain shares the processors.
    pub share: Share,
    /// How many calls may wait for each domain.
    pub mailbox: usize,
    /// Limits of calls to each domain.
    pub limits: CallLimits,
}

/// A tree that runs. Dropping it ends its domains.
pub struct Launched {
    tree: Mutex<Tree>,
    actors: Arc<Actors>,
}

#[derive(Debug)]
struct Actors {
    all: Vec<Arc<Actor>>,
    waits: Arc<Waits>,
}

/// Carries calls between the domains of a tree.
struct Mail(Weak<Actors>);

impl System {
    /// Starts a machine for trees to run on.
    ///
    /// # Errors
    /// [`MachineError`]
    pub fn start(options: MachineOptions) -> Result<System, MachineError> {
        Ok(System::on(Machine::start(options)?))
    }

    /// A system on a machine, which may be a simulated one.
    #[must_use]
    pub fn on(machine: Machine) -> System {
        System { machine, waits: Arc::default(), stations: AtomicU64::new(0) }
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Gives each domain of a tree a thread, which serves what is called of it from now on.
    #[must_use]
    pub fn run(&self, tree: Tree, placement: Placement) -> Launched {
        let all = (0..tree.domain_count())
            .map(|number| {
                let station = Station(self.stations.fetch_add(1, Ordering::Relaxed));
                let root = tree.linked().processes().iter().find(|process| process.place.domain == number);
                let name: Arc<str> = root.map_or("", |process| process.path.as_str()).into();
                let actor = Actor::new(station, name, placement.mailbox, placement.limits);
                let body = actor.body(tree.server(number));
                actor.sit(self.machine.spawn(self.machine.account(placement.share), body));
                actor
            })
            .collect();
        let actors = Arc::new(Actors { all, waits: Arc::clone(&self.waits) });
        tree.carry_with(Arc::new(Mail(Arc::downgrade(&actors))));
        Launched { tree: Mutex::new(tree), actors }
    }
}

impl Carrier for Mail {
    fn carry(&self, from: u32, crossing: Crossing) -> Answer {
        let actors = self.0.upgrade().ok_or_else(|| Trap::Gone("its tree has ended".to_owned()))?;
        let from = actors.all.get(from as usize);
        actors.actor(crossing.domain())?.call(crossing, from.map(|actor| &**actor), &actors.waits)
    }
}

impl Actors {
    fn actor(&self, number: u32) -> Result<&Arc<Actor>, Trap> {
        self.all.get(number as usize).ok_or_else(|| Trap::Gone("the tree has no such domain".to_owned()))
    }
}

impl Launched {
    /// The tree: its exports, its processes.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls an exported function and blocks until it has returned.
    ///
    /// # Errors
    /// The fault, or that its domain is gone.
    pub fn call(&self, func: &Arc<ExportedFunc>, args: Vec<Value>) -> Answer {
        let crossing = Crossing::call(Arc::clone(func), args);
        self.actors.actor(crossing.domain())?.call(crossing, None, &self.actors.waits)
    }

    /// The same as a future, which any executor may run. Nothing is sent before it is polled.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn start_call(&self, func: &Arc<ExportedFunc>, args: Vec<Value>) -> Result<Call, Fault> {
        let crossing = Crossing::call(Arc::clone(func), args);
        let actor = Arc::clone(self.actors.actor(crossing.domain())?);
        let (message, pending) = Actor::start(crossing);
        Ok(Call { actor, message: Some(message), pending })
    }

    /// Ends a domain at once, whatever it is doing. Who waits for it is answered that it is gone.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn kill(&self, domain: u32, by: &str) -> Result<(), Fault> {
        self.actors.actor(domain)?.kill(Trap::Killed(by.to_owned()));
        Ok(())
    }

    /// Blocks until a domain has ended and its memory is given back.
    ///
    /// # Errors
    /// The tree has no such domain.
    pub fn wait(&self, domain: u32) -> Result<(), Fault> {
        self.actors.actor(domain)?.wait();
        Ok(())
    }

    /// A domain: its thread and its mailbox.
    #[must_use]
    pub fn domain(&self, domain: u32) -> Option<&Actor> {
        self.actors.all.get(domain as usize).map(|actor| &**actor)
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        for actor in &self.actors.all {
            actor.kill(Trap::Killed("its tree has ended".to_owned()));
        }
    }
}

impl std::fmt::Debug for Launched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launched").field("actors", &self.actors).finish_non_exhaustive()
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
