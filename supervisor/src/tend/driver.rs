//! Keeps a running tree as its supervisors want it: carries events of the tree to the [`Overseer`], and its orders to the
//! tree.
//!
//! It never waits: a turn does what there is to do and says when the next one is due, so that a loop of any kind can drive
//! it, a simulated machine's too. What it calls in the tree it calls as futures.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use abi::fault::{Fault, Trap};
use abi::value::Value;
use ipc::fates::{Event, Life, Watch, What};
use ipc::launched::{Call, Launched};
use kernel::component::linked::ExportedFunc;
use kernel::sched::park::{self, Waiter};

use super::child_spec::Spec;
use super::happening::Happening;
use super::overseer::{Exit, News, Node, Order, Outcome, Overseer};

/// What others see of a driver and tell it.
#[derive(Debug)]
pub struct Desk {
    overseer: Mutex<Overseer>,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    wishes: Vec<Wish>,
    waker: Option<Waker>,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The next life of a process.
    Restart(Node),
    /// The end of a process, for good.
    Terminate(Node),
    /// The end of the tree, by whom.
    ShutDown(String),
}

/// Whom to tell what happens. Must not wait.
pub type Tell = dyn FnMut(&Happening) + Send;

/// Drives one tree.
pub struct Driver {
    launched: Arc<Launched>,
    watch: Watch,
    desk: Arc<Desk>,
    members: Vec<Member>,
    /// The member that begins a domain, by the domain's number.
    by_domain: HashMap<u32, usize>,
    by_node: HashMap<Node, usize>,
    regimes: HashMap<Node, Regime>,
    /// Whether a child that is not started again has ended badly.
    failed: bool,
    tell: Box<Tell>,
}

/// How a supervisor counts, for those who are told.
#[derive(Clone, Copy, Debug)]
struct Regime {
    strategy: super::child_spec::Strategy,
    intensity: u32,
    period_ns: u64,
}

/// A supervised process: it begins a domain.
struct Member {
    node: Node,
    path: String,
    domain: u32,
    /// Its `wasi:cli/run`, if that is to be called in each of its lives.
    run: Option<Arc<ExportedFunc>>,
    call: Option<Pin<Box<Call>>>,
    /// The life that is supervised; none between two.
    life: Option<Life>,
    /// The life before that, which the next one is to follow.
    last: Life,
    /// The last life that is known to have begun.
    begun: Option<Life>,
    generation: u32,
    /// It has been started once: the launch did that.
    is_known: bool,
    /// Its last end was a bad one.
    failed: bool,
}

/// Why there is no driver.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undrivable {
    /// The tree has no process of this path.
    #[error("the tree has no process `{0}`")]
    Unknown(String),
    /// A supervised process shares its domain with the one that this begins with.
    #[error("`{path}` is in the domain that begins with `{first}`: it cannot be started again alone")]
    Shared {
        /// The process.
        path: String,
        /// The process that its domain begins with.
        first: String,
    },
    /// Somebody drives the tree already.
    #[error("the tree is supervised already")]
    Taken,
}

impl Desk {
    /// The supervisors as they stand.
    pub fn overseer(&self) -> MutexGuard<'_, Overseer> {
        self.overseer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is wanted. It is done soon.
    pub fn wish(&self, wish: Wish) {
        let mut inbox = self.inbox();
        // More than one of a kind makes no difference, so the list stays short.
        if !inbox.wishes.contains(&wish) {
            inbox.wishes.push(wish);
        }
        let waker = inbox.waker.clone();
        drop(inbox);
        waker.iter().for_each(Waker::wake_by_ref);
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    /// A driver for a tree that has been launched. `run_of` gives the `wasi:cli/run` of a process that is to be called,
    /// by path.
    ///
    /// # Errors
    /// [`Undrivable`]
    pub fn new(
        launched: &Arc<Launched>,
        spec: &Spec,
        run_of: &dyn Fn(&str) -> Option<Arc<ExportedFunc>>,
        tell: Box<Tell>,
    ) -> Result<Driver, Undrivable> {
        let overseer = Overseer::new(spec);
        let (mut members, mut by_domain, mut by_node) = (Vec::new(), HashMap::new(), HashMap::new());
        for (node, path) in overseer.nodes().filter(|(node, _)| overseer.is_process(*node)) {
            let domain = domain_begun_by(launched, path)?;
            by_node.insert(node, members.len());
            by_domain.insert(domain, members.len());
            members.push(Member {
                node,
                path: path.to_owned(),
                domain,
                run: run_of(path),
                call: None,
                life: None,
                last: launched.life(domain).unwrap_or(Life(0)),
                begun: None,
                generation: 0,
                is_known: false,
                failed: false,
            });
        }
        let mut regimes = HashMap::new();
        note_regimes(spec, &mut 0, &mut regimes);
        launched.tree().contain_exits();
        let watch = launched.watch().ok_or(Undrivable::Taken)?;
        let desk = Arc::new(Desk { overseer: Mutex::new(overseer), inbox: Mutex::default() });
        let launched = Arc::clone(launched);
        Ok(Driver { launched, watch, desk, members, by_domain, by_node, regimes, failed: false, tell })
    }

    /// What others see of it.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// The node that stands for a domain.
    #[must_use]
    pub fn node_of(&self, domain: u32) -> Option<Node> {
        Some(self.members.get(*self.by_domain.get(&domain)?)?.node)
    }

    /// Every domain that is supervised, and the node that stands for it.
    pub fn domains(&self) -> impl Iterator<Item = (u32, Node)> {
        self.members.iter().map(|member| (member.domain, member.node))
    }

    /// Starts everybody.
    pub fn begin(&mut self, now_ns: u64) {
        self.desk.overseer().begin(now_ns);
        self.obey(now_ns);
    }

    /// Drives the tree on this OS thread until the outermost supervisor has ended.
    pub fn run(&mut self) -> Outcome {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        self.begin(park::now_ns());
        loop {
            let now_ns = park::now_ns();
            let next_ns = self.turn(now_ns, &waker);
            if let Some(outcome) = self.over() {
                return outcome;
            }
            match next_ns {
                Some(at_ns) => thread::park_timeout(Duration::from_nanos(at_ns.saturating_sub(now_ns))),
                None => thread::park(),
            }
        }
    }

    /// Why the outermost supervisor has ended, if it has.
    #[must_use]
    pub fn over(&self) -> Option<Outcome> {
        self.desk.overseer().over()
    }

    /// Whether a child that was not started again has ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Does what there is to do. Gives when the next turn is due; `waker` is woken if it is before that.
    pub fn turn(&mut self, now_ns: u64, waker: &Waker) -> Option<u64> {
        loop {
            let mut idle = true;
            for wish in self.wishes(waker) {
                idle = false;
                self.fulfil(wish, now_ns);
            }
            while let Some(event) = self.watch.next(|| Waiter::Task(waker.clone())) {
                idle = false;
                self.handle(&event, now_ns);
            }
            for index in 0..self.members.len() {
                if let Some(answer) = self.poll(index, waker) {
                    idle = false;
                    self.returned(index, &answer, now_ns);
                }
            }
            self.desk.overseer().elapsed(now_ns);
            if !self.obey(now_ns) && idle {
                return self.desk.overseer().next_ns();
            }
        }
    }

    fn wishes(&self, waker: &Waker) -> Vec<Wish> {
        let mut inbox = self.desk.inbox();
        match &mut inbox.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        std::mem::take(&mut inbox.wishes)
    }

    fn fulfil(&mut self, wish: Wish, now_ns: u64) {
        match wish {
            Wish::Restart(node) => self.desk.overseer().restart(node, now_ns),
            Wish::Terminate(node) => self.desk.overseer().terminate(node, now_ns),
            Wish::ShutDown(by) => {
                (self.tell)(&Happening::ShuttingDown { by });
                self.desk.overseer().shut_down(now_ns);
            }
        }
        self.obey(now_ns);
    }

    fn poll(&mut self, index: usize, waker: &Waker) -> Option<Result<Option<Value>, Fault>> {
        let call = self.members[index].call.as_mut()?;
        match call.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Pending => None,
            Poll::Ready(answer) => {
                self.members[index].call = None;
                Some(answer)
            }
        }
    }

    /// Something has become of a domain.
    fn handle(&mut self, event: &Event, now_ns: u64) {
        let Some(index) = self.by_domain.get(&event.domain.index).copied() else { return };
        // A caller whose edge says so has begun another life, and what became of the one before was not kept.
        if self.members[index].life.is_some_and(|life| life < event.life) {
            self.exited(index, Exit::Abnormal, "its next life was begun", now_ns);
        }
        let member = &mut self.members[index];
        if event.what == What::Began {
            member.begun = Some(event.life);
            member.generation = event.domain.generation;
        }
        if member.life != Some(event.life) {
            return;
        }
        match &event.what {
            What::Began => self.begun(index, now_ns),
            What::Faulted { fault, .. } => self.faulted(index, fault, now_ns),
            What::Ended(why) => self.ended(index, why, now_ns),
        }
    }

    /// The life that was to be begun has begun.
    fn begun(&mut self, index: usize, now_ns: u64) {
        let Member { node, path, generation, run, .. } = &self.members[index];
        let (node, run) = (*node, run.clone());
        (self.tell)(&Happening::Started { process: path.clone(), generation: *generation });
        // It is started when its `run` is about to be called: what that comes to is news of its own.
        self.members[index].call =
            run.and_then(|run| self.launched.start_call(&run, Vec::new()).ok()).map(Box::pin);
        self.desk.overseer().started(node, now_ns);
        self.obey(now_ns);
    }

    /// A call has ended processes of a domain.
    fn faulted(&mut self, index: usize, fault: &Fault, now_ns: u64) {
        if self.is_ending(index) {
            return;
        }
        match fault.trap {
            Trap::Exit(0) => self.exited(index, Exit::Normal, "it has exited with code 0", now_ns),
            Trap::Exit(code) => {
                self.exited(index, Exit::Abnormal, &format!("it has exited with code {code}"), now_ns);
            }
            _ => {
                let member = &self.members[index];
                (self.tell)(&Happening::Faulted {
                    process: member.path.clone(),
                    generation: member.generation,
                    reason: fault.trap.to_string(),
                    at: place_of(fault),
                });
                self.gone(index, Exit::Abnormal, now_ns);
            }
        }
    }

    /// A life has ended.
    fn ended(&mut self, index: usize, why: &Trap, now_ns: u64) {
        match self.is_ending(index) {
            true => self.exited(index, Exit::Normal, "its supervisor has ended it", now_ns),
            false => self.exited(index, Exit::Abnormal, &why.to_string(), now_ns),
        }
    }

    /// The `run` of a process has returned.
    fn returned(&mut self, index: usize, answer: &Result<Option<Value>, Fault>, now_ns: u64) {
        if self.is_ending(index) || self.members[index].life.is_none() {
            return;
        }
        match answer {
            Ok(Some(Value::Result(Err(_)))) => {
                self.exited(index, Exit::Abnormal, "its `run` has returned an error", now_ns);
            }
            Ok(_) => self.exited(index, Exit::Normal, "its `run` has returned", now_ns),
            // What ended its life is told by itself.
            Err(Fault { trap: Trap::Gone(_) | Trap::Killed(_), .. }) => {}
            Err(fault) => self.faulted(index, fault, now_ns),
        }
    }

    fn exited(&mut self, index: usize, exit: Exit, reason: &str, now_ns: u64) {
        let Member { path, generation, .. } = &self.members[index];
        let (process, generation) = (path.clone(), *generation);
        (self.tell)(&Happening::Ended { process, generation, reason: reason.to_owned() });
        self.gone(index, exit, now_ns);
    }

    /// A process has ended, whether its domain has or not.
    fn gone(&mut self, index: usize, exit: Exit, now_ns: u64) {
        let member = &mut self.members[index];
        let (node, domain) = (member.node, member.domain);
        member.failed = exit == Exit::Abnormal;
        member.call = None;
        if let Some(life) = member.life.take() {
            member.last = life;
        }
        self.desk.overseer().ended(node, exit, now_ns);
        self.obey(now_ns);
        if self.desk.overseer().is_down(node) {
            // It stays so for a while, or for good: nobody else is to begin its next life.
            let _ = self.launched.let_go(domain, "its supervisor has not started it again");
            self.members[index].last = self.launched.life(domain).unwrap_or(self.members[index].last);
        }
    }

    fn is_ending(&self, index: usize) -> bool {
        self.desk.overseer().is_ending(self.members[index].node)
    }

    /// Does what the supervisors order, and tells what they say; whether there was anything.
    fn obey(&mut self, now_ns: u64) -> bool {
        let mut any = false;
        loop {
            let (news, order) = {
                let mut overseer = self.desk.overseer();
                let news = overseer.next_news();
                (news, if news.is_none() { overseer.next_order() } else { None })
            };
            match (news, order) {
                (Some(news), _) => self.pass_on(news),
                (None, Some(Order::Start(node))) => self.start(self.by_node[&node], now_ns),
                (None, Some(Order::Ask(node))) => self.ask(self.by_node[&node]),
                (None, Some(Order::Kill(node))) => self.kill(self.by_node[&node], now_ns),
                (None, None) => return any,
            }
            any = true;
        }
    }

    fn start(&mut self, index: usize, now_ns: u64) {
        let member = &mut self.members[index];
        member.call = None;
        if !std::mem::replace(&mut member.is_known, true) {
            member.life = Some(member.last);
            self.begun(index, now_ns);
            return;
        }
        let last = member.life.unwrap_or(member.last);
        match self.launched.restart_life(member.domain, last, "its supervisor begins its next life") {
            Ok(life) => {
                member.life = Some(life);
                // Somebody else may have begun it before.
                if member.begun == Some(life) {
                    self.begun(index, now_ns);
                }
            }
            Err(fault) => self.exited(index, Exit::Abnormal, &fault.to_string(), now_ns),
        }
    }

    fn ask(&mut self, index: usize) {
        let Member { path, domain, run, .. } = &self.members[index];
        (self.tell)(&Happening::Stopping { process: path.clone() });
        // It is there: it has been found in the tree.
        let _ = self.launched.retire(*domain, "its supervisor has ended it", run.is_some());
    }

    fn kill(&mut self, index: usize, now_ns: u64) {
        let Member { path, domain, life, .. } = &self.members[index];
        (self.tell)(&Happening::Killing { process: path.clone() });
        let _ = self.launched.let_go(*domain, "its supervisor has killed it");
        if life.is_none() {
            self.exited(index, Exit::Abnormal, "it was not there", now_ns);
        }
    }

    fn pass_on(&mut self, news: News) {
        let desk = Arc::clone(&self.desk);
        let name = |node: Node| desk.overseer().name(node).to_owned();
        let happening = match news {
            News::Up(node) => Happening::Up { supervisor: name(node) },
            News::Finished(node) => {
                self.failed |= self.by_node.get(&node).is_some_and(|index| self.members[*index].failed);
                Happening::Finished { process: name(node) }
            }
            News::Restarting(node, restarts) => {
                let supervisor = desk.overseer().supervisor(node).expect("who is restarted has a supervisor");
                let Regime { strategy, intensity, period_ns } = self.regimes[&supervisor];
                let (process, supervisor) = (name(node), name(supervisor));
                Happening::Restarting { process, supervisor, strategy, restarts, intensity, period_ns }
            }
            News::NotStarted(node) => Happening::NotStarted { process: name(node) },
            News::GaveUp(node) => {
                let Regime { intensity, period_ns, .. } = self.regimes[&node];
                Happening::GaveUp { supervisor: name(node), intensity, period_ns }
            }
            News::Over(outcome) => Happening::Over { outcome: told(outcome).to_owned() },
        };
        (self.tell)(&happening);
    }
}

fn told(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::ShutDown => "the tree has been shut down",
        Outcome::GaveUp => "the tree has ended: its supervisor gave up",
        Outcome::NotStarted => "the tree has ended: a process could not be started",
        Outcome::Finished => "the tree has ended: nothing is left to run",
    }
}

/// The number of the domain that begins with a process.
fn domain_begun_by(launched: &Launched, path: &str) -> Result<u32, Undrivable> {
    let processes = launched.tree().linked().processes();
    let process = processes.iter().find(|process| process.path == path);
    let domain = process.ok_or_else(|| Undrivable::Unknown(path.to_owned()))?.place.domain;
    let first = processes.iter().find(|process| process.place.domain == domain);
    match first.filter(|first| first.path != path) {
        Some(first) => Err(Undrivable::Shared { path: path.to_owned(), first: first.path.clone() }),
        None => Ok(domain),
    }
}

/// Numbers the supervisors as the overseer does.
fn note_regimes(spec: &Spec, next: &mut usize, regimes: &mut HashMap<Node, Regime>) {
    let Spec { strategy, intensity, period_ns, .. } = *spec;
    regimes.insert(Node(*next), Regime { strategy, intensity, period_ns });
    for child in &spec.children {
        *next += 1;
        if let super::child_spec::Child::Supervisor(spec) = child {
            note_regimes(spec, next, regimes);
        }
    }
}

/// Where a fault happened: the innermost function, and the process's path.
fn place_of(fault: &Fault) -> Option<String> {
    let frame = fault.frames.iter().find(|frame| frame.func_index.is_some())?;
    let func =
        frame.func_name.clone().or_else(|| frame.func_index.map(|index| format!("function {index}")))?;
    let module = frame.module.as_ref().map_or_else(String::new, |module| format!("{module}!"));
    Some(format!("{module}{func} of {}", frame.process_name))
}

/// Wakes an OS thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}
