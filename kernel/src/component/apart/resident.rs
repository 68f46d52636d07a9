//! The other side: what runs in the process of a domain that is apart.
//!
//! It links the same tree, brings up the one domain that it is for, and serves what it is asked for. What the domain calls
//! outside of itself it asks the other side for, on the thread that the domain runs on.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use abi::fault::{Fault, Trap};
use abi::plan::Passing;
use abi::state::ProcessState;
use abi::types::{FuncType, ValType};
use abi::value::{Resource, Value};
use abi::wire::{Cursor, Piece, Slot};

use super::blueprint::Offers;
use super::frame::{self, News, Order, Outcome, ProcessNews, Request, Said};
use super::{Apart, ApartDomain, Cut, Line};
use crate::component::carrier::{Carrier, Crossing, Deed, Server};
use crate::component::error::LaunchError;
use crate::component::executable::Executable;
use crate::component::letter::{Letter, Parcel, param_types, result_types};
use crate::component::linked::{CoreDef, ExportedFunc, Linked, Step, Target};
use crate::component::peers::Peers;
use crate::component::port::EdgePolicy;
use crate::component::running::Running;
use crate::component::tree::step;
use crate::host::{DropResource, HostCall, HostFunc};
use crate::instance::images::Images;
use crate::jit::engine::Engine;
use crate::jit::module::Entity;
use crate::jit::valtype::CoreFuncType;
use crate::quota::Quotas;
use crate::sched::lock::ParkingLock;
use crate::sched::park::{current_thread, now_ns};

/// Calls between two looks at how many handles there are.
const COUNT_EVERY: u32 = 256;

/// A domain whose tree is in another OS process.
pub struct Resident {
    desk: Arc<Desk>,
    peers: Arc<Peers>,
    server: Server,
    funcs: Vec<Arc<ExportedFunc>>,
    call_ns: Option<u64>,
    domain: u32,
    /// When its standing was last told of.
    told: u64,
    faults_told: u64,
    calls: u32,
    received: Vec<u8>,
    said: Vec<u8>,
}

/// Where the domain's calls of others go.
struct Desk {
    line: Mutex<Box<dyn Line>>,
    tree: OnceLock<(Weak<Peers>, u32)>,
}

/// Stands for every function of the host.
struct Forward(Arc<Desk>);

/// Stands for every other domain.
struct Outward(Arc<Desk>);

impl Resident {
    /// Takes the first order from the other side, and links the tree of an image. `confine` is called when that is done,
    /// before any code of the guest runs, and says what it did.
    ///
    /// # Errors
    /// Why it cannot; the other side is told too.
    pub fn new(
        image: &[u8],
        mut line: Box<dyn Line>,
        confine: impl FnOnce() -> Result<String, String>,
    ) -> Result<Resident, String> {
        let mut frame = Vec::new();
        line.receive(&mut frame).map_err(|cut| cut.trap().to_string())?;
        let desk = Arc::new(Desk { line: Mutex::new(line), tree: OnceLock::new() });
        let made = Order::take(&mut Cursor::new(&frame))
            .map_err(|error| error.to_string())
            .and_then(|order| Resident::link(image, &desk, order))
            .and_then(|resident| Ok((resident, confine()?)));
        let mut said = Vec::new();
        match made {
            Ok((resident, confinement)) => {
                frame::write(&Said::Done(Outcome::Done, None), &[], &mut said);
                desk.line().send(&said, confinement.as_bytes()).map_err(|cut| cut.trap().to_string())?;
                Ok(resident)
            }
            Err(why) => {
                let refused = Said::Done(Outcome::Refused(why.clone()), None);
                frame::write(&refused, &[], &mut said);
                let _ = desk.line().send(&said, &[]);
                Err(why)
            }
        }
    }

    fn link(image: &[u8], desk: &Arc<Desk>, order: Order) -> Result<Resident, String> {
        let engine = Engine::new().map_err(|error| error.to_string())?;
        let executable = Executable::from_image(&engine, image).map_err(|error| error.to_string())?;
        let drop = |ty| -> Arc<DropResource> {
            let desk = Arc::clone(desk);
            Arc::new(move |_: &mut (dyn Any + Send), rep| desk.give_up(Resource { ty, rep, generation: 0 }))
        };
        let func: Arc<dyn HostFunc> = Arc::new(Forward(Arc::clone(desk)));
        let offers = Offers { engine: &engine, func, drop: &drop };
        let offers = offers.read(&order.offers).map_err(|error| error.to_string())?;
        let linked = executable.link(&offers, &order.options).map_err(|error| error.to_string())?;
        let count = u32::try_from(linked.domains()).map_err(|error| error.to_string())?;
        if order.domain >= count || order.lives.len() != count as usize {
            return Err(format!("expected a domain of a tree of {count}, found domain {}", order.domain));
        }
        let others = (0..count).filter(|number| *number != order.domain);
        let others = others.map(|number| ApartDomain { number, call_ns: None });
        let apart = Apart { domains: others.collect(), starter: None, lives: order.lives };
        prepare(&engine, &linked, order.domain)?;
        let linked = Arc::new(linked);
        let funcs = linked.callables(order.domain);
        let host: Box<dyn Any + Send> = Box::new(());
        let host = Arc::new(ParkingLock::new(host));
        let none = Quotas::default();
        let peers = Peers::new(&engine, linked, host, order.first_pid, &none, apart);
        for (process, quota) in order.quotas {
            peers.set_quota(order.domain, process, quota).map_err(|trap| trap.to_string())?;
        }
        peers.set_total_quota(order.domain, order.total).map_err(|trap| trap.to_string())?;
        peers.carry_with(Arc::new(Outward(Arc::clone(desk))));
        let _ = desk.tree.set((peers.outside(), order.domain));
        Ok(Resident {
            desk: Arc::clone(desk),
            server: Server::new(Arc::clone(&peers), order.domain),
            peers,
            funcs,
            call_ns: order.call_ns,
            domain: order.domain,
            told: 0,
            faults_told: 0,
            calls: 0,
            received: Vec::new(),
            said: Vec::new(),
        })
    }

    /// Serves what it is asked for until the other side is gone. On a thread of a machine calls can be interrupted.
    pub fn serve(&mut self) {
        loop {
            let mut received = std::mem::take(&mut self.received);
            if self.desk.line().receive(&mut received).is_err() {
                return;
            }
            let (outcome, values) = self.obey(&mut received);
            self.received = received;
            let news = self.news();
            self.said.clear();
            frame::write(&Said::Done(outcome, news), values.slots(), &mut self.said);
            if self.desk.line().send(&self.said, values.bytes()).is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, received: &mut Vec<u8>) -> (Outcome, Parcel) {
        let none = |outcome| (outcome, Parcel::default());
        let mut from = Cursor::new(received);
        let request = match heard(&self.peers, &mut from) {
            Ok(request) => request,
            Err(why) => return none(Outcome::Refused(why)),
        };
        let of_fault = |fault| none(Outcome::Fault(Box::new(fault)));
        let (request, slots, bytes) = request;
        let from = received.len() - bytes.len();
        let crossing = match request {
            Request::Steps(first, to) => return none(self.launch(first, to)),
            Request::Call(number) => return self.call(number, slots, (received, from)),
            Request::Drop(resource) => Crossing::drop_resource(self.domain, resource),
            Request::GiveBack(handles) => {
                Crossing::give_back(self.domain, self.peers.generation(self.domain), handles)
            }
            Request::Quota(process, quota) => {
                return none(done(self.peers.set_quota(self.domain, process, quota)));
            }
            Request::Total(quota) => return none(done(self.peers.set_total_quota(self.domain, quota))),
            Request::Answer(..) => return none(Outcome::Refused("an answer to nothing".to_owned())),
        };
        self.server.serve(&crossing).map_or_else(of_fault, |_| none(Outcome::Done))
    }

    fn launch(&mut self, from: u32, to: u32) -> Outcome {
        let steps = self.peers.linked.steps.get(from as usize..to as usize).unwrap_or(&[]);
        let mut domain = match self.peers.domain(self.domain) {
            Ok(domain) => domain,
            Err(trap) => return Outcome::Refused(trap.to_string()),
        };
        for (_, next) in steps.iter().filter(|(number, _)| *number == self.domain) {
            match step(&mut domain, next) {
                Ok(()) => (),
                Err(LaunchError::Fault(fault)) => return Outcome::Fault(fault),
                Err(LaunchError::Resource(why)) => return Outcome::Refused(why),
            }
        }
        if to as usize == self.peers.linked.steps.len() {
            self.peers.standing(self.domain).up();
        }
        Outcome::Done
    }

    fn call(&mut self, number: u32, slots: Vec<Slot>, values: (&mut Vec<u8>, usize)) -> (Outcome, Parcel) {
        let none = |outcome| (outcome, Parcel::default());
        let Some(func) = self.funcs.get(number as usize) else {
            return none(Outcome::Refused(format!("a function with number {number}")));
        };
        let frame = (std::mem::take(values.0), values.1);
        let args = match Parcel::received(param_types(&func.ty), frame, slots) {
            Ok(args) => args,
            Err(error) => return none(Outcome::Refused(error.to_string())),
        };
        let letter = Letter::new(func, args, &self.peers);
        let crossing = Crossing::letter(Arc::clone(&letter));
        match self.limited(|| self.server.serve(&crossing)) {
            Ok(_) => (Outcome::Value, letter.take().unwrap_or_default()),
            Err(fault) => none(Outcome::Fault(Box::new(fault))),
        }
    }

    /// Does something within the time that a call may take.
    fn limited<T>(&self, work: impl FnOnce() -> T) -> T {
        let thread = current_thread();
        let alarm = self.call_ns.zip(thread.as_ref()).and_then(|(allowed, thread)| {
            let trap = Trap::Limit { limit: "wall-clock time of a call in ns", value: allowed, allowed };
            thread.condemn_at(now_ns().saturating_add(allowed), trap)
        });
        let result = work();
        if let Some(thread) = thread {
            alarm.into_iter().for_each(|alarm| thread.cancel(alarm));
            // The call is over, and with it what condemned it, here or at the other side.
            thread.pardon();
        }
        result
    }

    /// How the processes stand, if that has changed.
    fn news(&mut self) -> Option<News> {
        let standing = self.peers.standing(self.domain);
        self.calls = self.calls.wrapping_add(1);
        let changes = standing.changes();
        if changes == self.told && !self.calls.is_multiple_of(COUNT_EVERY) {
            return None;
        }
        self.told = changes;
        if let Ok(domain) = self.peers.idle(self.domain) {
            Running::of(&domain).count_handles();
        }
        let row = |process| {
            let (now, meter) = (standing.process(process)?, standing.meter(process)?);
            let read = std::sync::atomic::Ordering::Relaxed;
            Some(ProcessNews {
                ending: match now.state {
                    ProcessState::Faulted => 1,
                    ProcessState::Exited => 2,
                    _ => 0,
                },
                memory_bytes: standing.memory_bytes(process),
                handles: meter.handles.load(read),
                faults: meter.faults.load(read),
            })
        };
        let (faults, kept) = standing.faults_since(self.faults_told);
        self.faults_told = kept;
        Some(News { processes: (0..standing.count()).map_while(row).collect(), faults })
    }
}

/// Makes what else would be made when it is first used, as nothing can be made any more then: ways into functions, and
/// the first contents of memories.
fn prepare(engine: &Engine, linked: &Linked, domain: u32) -> Result<(), String> {
    let start = engine.intern(&CoreFuncType { params: [].into(), results: [].into() });
    let mut signatures = vec![start];
    let steps = linked.steps.iter().filter(|(number, _)| *number == domain);
    let mut libraries = Vec::new();
    for (_, step) in steps {
        match step {
            Step::Load { library, .. } => {
                let _ = Images::of(library);
                libraries.push(library);
            }
            Step::Func { def: CoreDef::Export { instance, entity: Entity::Func(func) }, .. } => {
                let library = libraries.get(*instance as usize);
                signatures.extend(library.map(|library| library.module.func_sig(*func)));
            }
            Step::Func { def: CoreDef::Adapter(index), .. } => {
                signatures.push(linked.domains[domain as usize].adapter_sigs[*index as usize]);
            }
            Step::Func { .. } | Step::Memory { .. } => {}
        }
    }
    signatures
        .into_iter()
        .try_for_each(|signature| engine.entry(signature).map(|_| ()).map_err(|error| error.to_string()))
}

fn done(done: Result<(), Trap>) -> Outcome {
    done.map_or_else(|trap| Outcome::Refused(trap.to_string()), |()| Outcome::Done)
}

/// Reads what the other side says, and notices which lives the domains are in.
fn heard<'f>(peers: &Peers, from: &mut Cursor<'f>) -> Result<(Request, Vec<Slot>, &'f [u8]), String> {
    let text = |error: abi::wire::WireError| error.to_string();
    if let Some(lives) = <Option<Vec<u32>> as Piece>::take(from).map_err(text)? {
        peers.set_lives(&lives);
    }
    frame::read(from).map_err(text)
}

impl Desk {
    fn line(&self) -> MutexGuard<'_, Box<dyn Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the other side for something, which comes to values of these types.
    fn ask<'t>(
        &self,
        said: &Said,
        values: &Parcel,
        result: impl Iterator<Item = &'t ValType>,
    ) -> Result<Parcel, Fault> {
        let gone = || Fault::new(Trap::Gone("its tree has ended".to_owned()));
        let peers = self.tree.get().and_then(|(peers, _)| peers.upgrade()).ok_or_else(gone)?;
        let mut frame = Vec::new();
        frame::write(said, values.slots(), &mut frame);
        {
            let mut line = self.line();
            line.send(&frame, values.bytes()).map_err(Cut::trap)?;
            line.receive(&mut frame).map_err(Cut::trap)?;
        }
        let mut from = Cursor::new(&frame);
        let (request, slots, bytes) = heard(&peers, &mut from).map_err(Trap::Host)?;
        let Request::Answer(outcome, ends) = request else {
            return Err(Trap::Host("something else than an answer".to_owned()).into());
        };
        match outcome {
            Outcome::Done | Outcome::Value => {
                let from = frame.len() - bytes.len();
                Ok(Parcel::received(result, (frame, from), slots).map_err(Trap::from)?)
            }
            Outcome::Fault(fault) => {
                if ends && let Some(thread) = current_thread() {
                    thread.condemn(fault.trap.clone());
                }
                Err(*fault)
            }
            Outcome::Refused(why) => Err(Trap::Host(why).into()),
        }
    }

    fn give_up(&self, resource: Resource) -> Result<(), Trap> {
        let dropped = self.ask(&Said::Drop(resource), &Parcel::default(), [].into_iter());
        dropped.map(|_| ()).map_err(|fault| fault.trap)
    }

    /// The number of the import that leads to a function.
    fn port(&self, func: &Arc<ExportedFunc>) -> Option<u32> {
        let (peers, domain) = self.tree.get()?;
        let peers = peers.upgrade()?;
        port_number(&peers.linked, *domain, func)
    }
}

fn port_number(linked: &Linked, domain: u32, func: &Arc<ExportedFunc>) -> Option<u32> {
    let imports = &linked.domains.get(domain as usize)?.imports;
    let leads = |target: &Target| matches!(target, Target::Port(port) if Arc::ptr_eq(&port.func, func));
    u32::try_from(imports.iter().position(|import| leads(&import.target))?).ok()
}

impl HostFunc for Forward {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let ty = call.func_type();
        let (params, results) = (Passing::params(&ty), Passing::results(&ty));
        let mut core = call.core().to_vec();
        let import = call.import();
        let args = Parcel::of_params(call, &ty, &params, &core)?;
        let answer = self.0.ask(&Said::Host(import), &args, result_types(&ty));
        let result = answer.map_err(|fault| fault.trap)?;
        result.lower_results(call, &ty, (&params, &results), &mut core)?;
        call.core().copy_from_slice(&core);
        Ok(())
    }
}

impl Carrier for Outward {
    fn carry(&self, _: u32, crossing: Crossing, _: &EdgePolicy) -> Result<Option<Value>, Fault> {
        let odd = || Fault::new(Trap::Host("a call of a function that is not imported".to_owned()));
        let (deed, lent) = crossing.deed();
        let Deed::Letter(letter) = deed else { return Err(odd()) };
        let import = self.0.port(&letter.func).ok_or_else(odd)?;
        let said = Said::Port(import, lent.to_vec());
        letter.put(self.0.ask(&said, &letter.args, result_types(&letter.func.ty))?);
        Ok(None)
    }

    fn post(&self, crossing: Crossing) {
        if let (Deed::Drop(resource), _) = crossing.deed() {
            // Nobody is told how a destructor in another domain ends.
            let _ = self.0.give_up(resource);
        }
    }
}

impl std::fmt::Debug for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resident").field("domain", &self.domain).finish_non_exhaustive()
    }
}
